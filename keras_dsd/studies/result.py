"""The result of a study: its records as rows, and what they allow to decide.

Reads the files of a study and nothing else: every number here can be computed anew
from them. Knows records, verdicts and worth.
"""

import pathlib
import statistics

from keras_dsd._shared import checks
from keras_dsd.studies import readings, records, subgroups, tables, verdicts
from keras_dsd.studies.forms import Forms
from keras_dsd.studies.worth import Worth

WHEN = ("best", "last", "mean_of_last")
PARTS = ("test", "train", "validation")


class Result(Forms):
    """What a study found.

    Args:
        directory: the study's folder.
        methods: names of the methods to look at. Defaults to `None`: all with a run.
        seeds: seeds to look at. Defaults to `None`: all.

    Attributes:
        runs: list of records of finished runs, dicts.
        failures: list of records of failed runs.
        damaged: list of what is wrong with files that can't be read; they are not used.

    Raises:
        ValueError: the directory holds no study.
    """

    def __init__(self, directory, *, methods=None, seeds=None):
        self.directory = pathlib.Path(directory)
        try:
            self.study = records.read(self.directory / "study.json")
        except FileNotFoundError:
            raise records.StudyError(
                f"There is no study here. Received: directory={str(directory)!r}"
            ) from None
        runs, failures, self.damaged = records.read_all(self.directory)
        wanted = list(self.study["methods"]) if methods is None else list(methods)
        known = {name: index for index, name in enumerate(wanted)}

        def chosen(all_records):
            here = [
                record
                for record in all_records
                if record["method"] in known
                and (seeds is None or record["seed"] in seeds)
            ]
            return sorted(here, key=lambda r: (known[r["method"]], r["seed"]))

        self.runs, self.failures = chosen(runs), chosen(failures)
        self.methods = [
            name for name in wanted if any(run["method"] == name for run in self.runs)
        ]

    @property
    def metric(self):
        """Name of the metric that counts, `None` without a finished run."""
        return self.runs[0]["metric"] if self.runs else None

    def values(self, method, metric=None, *, when="last", part="test"):
        """Returns {seed: value} of a metric of a method.

        Args:
            method: its name.
            metric: a metric of the model; "corrupted": the mean over all corruptions
                and severities; "seconds": of training. Defaults to `None`: the one
                that counts.
            when: "last": after the last epoch; "best": at the best validation epoch;
                "mean_of_last": the mean of the last epochs' validation. Defaults to
                "last".
            part: "test", "validation" or "train". Defaults to "test".

        Raises:
            TypeError, ValueError: there is no such method or metric.
        """
        checks.one_of(method, "method", self.methods)
        checks.one_of(when, "when", WHEN)
        checks.one_of(part, "part", PARTS)
        metric = metric or self.metric
        found = {
            run["seed"]: readings.value(run, metric, when, part)
            for run in self.runs
            if run["method"] == method
        }
        if all(value is None for value in found.values()):
            raise ValueError(
                f"The runs have no such number. Received: metric={metric!r}, "
                f"when={when!r}, part={part!r}"
            )
        return {seed: value for seed, value in found.items() if value is not None}

    def verdicts(
        self,
        metric=None,
        *,
        against="conventional",
        when="last",
        part="test",
        margin=None,
    ):
        """Returns {method: `verdicts.Verdict`} of all methods against one.

        Runs that diverged have no finite metric; their seeds are left out and told.

        Args:
            metric: as for `values`.
            against: name of the method to compare with.
            when: as for `values`.
            part: as for `values`.
            margin: difference within which two methods count as the same, in the
                metric's unit. Defaults to `None`: equality is not asked.
        """
        metric = metric or self.metric
        described = self.describe(metric)
        finite = {
            name: {
                seed: value
                for seed, value in self.values(
                    name, metric, when=when, part=part
                ).items()
                if value - value == 0
            }
            for name in [*self.methods]
        }
        checks.one_of(against, "against", self.methods)
        others = {name: values for name, values in finite.items() if name != against}
        return verdicts.judge(
            described, finite[against], others, against=against, margin=margin
        )

    def verdict(self, method, against="conventional", metric=None, **arguments):
        """Returns the `verdicts.Verdict` on one method; Holm goes over all of them.

        Args:
            method: its name.
            against: name of the method to compare with.
            metric: as for `values`.
            **arguments: others of `verdicts`.
        """
        found = self.verdicts(metric, against=against, **arguments)
        return checks.known(method, "method", found)

    # Each an option that a user names.
    def value(  # noqa: PLR0913
        self,
        method,
        *,
        cost_per_hour,
        events_per_month,
        cost_per_error,
        months,
        against="conventional",
        trainings=1,
    ):
        """Returns what using a method instead of another is worth, a `worth.Worth`.

        Errors are 1 minus the metric, which must be an accuracy; the mean over seeds
        after the last epoch, whether or not the difference is shown: look at `verdict`.

        Args:
            method: its name.
            cost_per_hour: of training.
            events_per_month: how often the deployed model decides something.
            cost_per_error: of one wrong decision.
            months: how long the model is used.
            against: name of the method to compare with.
            trainings: how often it is trained in that time. Defaults to 1.

        Raises:
            ValueError: the metric is no accuracy, or an argument is not as said.
        """
        if not (self.metric or "").endswith(("acc", "accuracy")):
            raise ValueError(
                "Errors can be counted where the metric is an accuracy. "
                f"Received: metric={self.metric!r}"
            )
        found = self.verdict(method, against)
        hours = [
            statistics.fmean(self.values(name, "seconds").values()) / 3600
            for name in (method, against)
        ]
        return Worth(
            hours_added=hours[0] - hours[1],
            errors_saved=found.difference or 0.0,
            cost_per_hour=cost_per_hour,
            events_per_month=events_per_month,
            cost_per_error=cost_per_error,
            months=months,
            trainings=trainings,
        )

    def unequal(self):
        """Returns what was not the same for all methods of a seed, a list of lines.

        Empty if all began with the same weights, saw the same batches in the same order
        and drew the same random numbers, as long as they trained.
        """
        return tables.unequal(self.runs)

    def classes(self, method, against="conventional"):
        """Returns how each class's accuracy changed, the most changed first.

        A list of dicts with `label`, `count`, `accuracy`, `before`, `difference`, `low`
        and `high` (95 % interval) and `p` after Holm over the classes; empty where
        the model has no classes.
        """
        return subgroups.by_class(self.runs, method, against)

    def disagreements(self, method, against="conventional"):
        """Returns {seed: indices of test items on which two methods disagree}.

        Empty for seeds without predicted classes.
        """
        return subgroups.disagreements(self.runs, method, against)

    def table(self, *, against="conventional"):
        """Returns one row for each method, a list of dicts.

        Keys: `method`, `seeds`, `failed`, the metric after the last epoch (mean and
        deviation over seeds), at the best epoch and under corruptions, its difference
        and verdict, seconds and their ratio to `against`, peak memory, parameters,
        zeros, bytes of the file and latency of the deployed model.
        """
        return tables.rows(self, against)

    def to_dict(self):
        """Returns all of it: the study, the rows, the verdicts and the records."""
        return {
            "study": self.study,
            "table": self.table() if self._has_baseline else [],
            "verdicts": {
                name: vars(found)
                for name, found in (
                    self.verdicts().items() if self._has_baseline else ()
                )
            },
            "classes": {
                name: self.classes(name)
                for name in self.methods
                if self._has_baseline and name != "conventional"
            },
            "unequal": self.unequal(),
            "failures": self.failures,
            "damaged": self.damaged,
            "runs": self.runs,
        }

    @property
    def _has_baseline(self):
        return "conventional" in self.methods

    def describe(self, metric):
        """Returns how a metric of the study is read and written."""
        return readings.described(self.runs[0], metric)
