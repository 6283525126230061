"""What an evaluation found: numbers, and their forms. Knows no model and no image."""

import dataclasses
import json
import math
import pathlib
import statistics
import typing

from keras_dsd._shared import checks
from keras_dsd.robustness import published_errors, tables


@dataclasses.dataclass(frozen=True)
class RobustnessReport:
    """The metric of a model on clean images and under each corruption.

    Prints as a table. Means are taken as in the benchmarks: first over the severities
    of a corruption, then over corruptions, all weighing the same.

    Args:
        metric: name of the metric.
        grows: whether more of it is better.
        clean: its value on clean images, `None` if there were none.
        table: {corruption: {severity: value}}.
        families: {corruption: name of its family}.
        images: number of images that each value was measured on.
        seed: of the random draws.
        constants: set of strengths, as `corrupt` takes it; `"published"` for a data set
            that was corrupted by others.
        baseline: the report of the model that this one is compared with, the name
            `"alexnet"`, or `None`.
    """

    metric: str
    grows: bool
    clean: float | None
    table: dict
    families: dict
    images: int
    seed: int
    constants: str
    baseline: typing.Any = None

    @property
    def means(self):
        """{corruption: mean over severities}."""
        return {
            name: statistics.fmean(row.values()) for name, row in self.table.items()
        }

    @property
    def robust(self):
        """Mean over all corruptions and severities: the robust accuracy."""
        return statistics.fmean(self.means.values())

    @property
    def by_family(self):
        """{family: mean over its corruptions}."""
        return {
            family: statistics.fmean(
                mean
                for name, mean in self.means.items()
                if self.families[name] == family
            )
            for family in dict.fromkeys(self.families.values())
        }

    @property
    def ce(self):
        """{corruption: its error as a multiple of the baseline's}.

        The error is the metric, or 1 minus a metric that grows. `None` without a
        baseline, and for a metric that grows beyond 1, of which no error can be told.
        """
        if self.baseline is None or not self._has_errors():
            return None
        return {
            name: _ratio(self._error(mean), self._baseline_error(name))
            for name, mean in self.means.items()
        }

    @property
    def mce(self):
        """Mean of `ce`, 1.0 if the model is as good as the baseline; or `None`."""
        return self.ce and statistics.fmean(self.ce.values())

    @property
    def relative_ce(self):
        """{corruption: what it adds to the error, as a multiple of the baseline's}.

        `None` where `ce` is, and without clean images.
        """
        clean = None if self.ce is None else self._baseline_clean_error()
        if clean is None or self.clean is None:
            return None
        return {
            name: _ratio(
                self._error(mean) - self._error(self.clean),
                self._baseline_error(name) - clean,
            )
            for name, mean in self.means.items()
        }

    @property
    def relative_mce(self):
        """Mean of `relative_ce`, or `None`."""
        return self.relative_ce and statistics.fmean(self.relative_ce.values())

    def gain_over(self, other):
        """Returns {corruption: how much better this model is than another}.

        Args:
            other: `RobustnessReport` on the same metric, corruptions and severities.

        Returns:
            A dict of mean differences over the severities, positive where this model
            is better, in the units of the metric.

        Raises:
            ValueError: the reports are of different things.

        Example:

        >>> from keras_dsd import robustness
        >>> facts = dict(grows=True, images=100, seed=0, constants="cifar")
        >>> ours, theirs = (
        ...     robustness.RobustnessReport(
        ...         "accuracy", clean=0.9, table={"fog": {1: fog}},
        ...         families={"fog": "weather"}, **facts)
        ...     for fog in (0.75, 0.5)
        ... )
        >>> ours.gain_over(theirs)
        {'fog': 0.25}
        """
        if not isinstance(other, RobustnessReport):
            raise TypeError(
                "`other` must be a `RobustnessReport`. "
                f"Received: other of type {type(other).__name__}"
            )
        self.check_like(other.metric, other._cells())
        sign = 1 if self.grows else -1
        return {
            name: sign * (mean - other.means[name]) for name, mean in self.means.items()
        }

    def check_like(self, metric, conditions):
        """Raises a ValueError unless this report is of the same things as another one.

        Args:
            metric: name of the other's metric.
            conditions: iterable of the other's (name, severity); those of severity 0,
                which are clean images, don't count.
        """
        conditions = {(name, severity) for name, severity in conditions if severity}
        for what, own, others in (
            ("metric", self.metric, metric),
            ("corruptions and severities", self._cells(), conditions),
        ):
            if own != others:
                raise ValueError(
                    f"Two reports can be compared if they have the same {what}. "
                    f"Received: {_shown(own)} and {_shown(others)}"
                )

    def _cells(self):
        return {
            (name, severity) for name, row in self.table.items() for severity in row
        }

    def _error(self, value):
        return 1 - value if self.grows else value

    def _has_errors(self):
        return not self.grows or all(0 <= mean <= 1 for mean in self.means.values())

    def _baseline_error(self, name):
        if self.baseline == "alexnet":
            return published_errors.ALEXNET[name]
        return self.baseline._error(self.baseline.means[name])

    def _baseline_clean_error(self):
        if self.baseline == "alexnet":
            return published_errors.ALEXNET_CLEAN
        clean = self.baseline.clean
        return None if clean is None else self.baseline._error(clean)

    def to_dict(self):
        """Returns all numbers, measured and derived, as a dict that JSON can hold.

        Ratios to a baseline that makes no error, which are infinite, are `None`.
        """
        baseline = self.baseline
        if isinstance(baseline, RobustnessReport):
            baseline = baseline.to_dict()
        return {
            "metric": self.metric,
            "grows": self.grows,
            "clean": self.clean,
            "robust": self.robust,
            "by_family": self.by_family,
            "mce": _finite(self.mce),
            "relative_mce": _finite(self.relative_mce),
            "ce": _finite(self.ce),
            "relative_ce": _finite(self.relative_ce),
            "table": {
                name: {str(severity): value for severity, value in row.items()}
                for name, row in self.table.items()
            },
            "families": self.families,
            "images": self.images,
            "seed": self.seed,
            "constants": self.constants,
            "baseline": baseline,
        }

    @classmethod
    def from_dict(cls, numbers):
        """Returns the report of which `to_dict` made `numbers`."""
        own = {
            field.name: numbers[field.name]
            for field in dataclasses.fields(cls)
            if field.name in numbers
        }
        own["table"] = {
            name: {int(severity): value for severity, value in row.items()}
            for name, row in own["table"].items()
        }
        if isinstance(own["baseline"], dict):
            own["baseline"] = cls.from_dict(own["baseline"])
        return cls(**own)

    def to_json(self, path=None):
        """Returns `to_dict` as JSON, and writes it to a file if `path` is given."""
        return _written(json.dumps(self.to_dict(), indent=2) + "\n", path)

    @classmethod
    def from_json(cls, path):
        """Returns the report of a file that `to_json` wrote."""
        try:
            return cls.from_dict(json.loads(pathlib.Path(path).read_text("utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"Not a report that `to_json` wrote. Received: path={str(path)!r} "
                f"({type(error).__name__}: {error})"
            ) from error

    def to_csv(self, path=None):
        """Returns a line for each corruption and severity as CSV, or writes it too."""
        return _written(tables.csv_lines(self), path)

    def to_markdown(self, path=None):
        """Returns the table as Markdown, and writes it to a file if `path` is given."""
        return _written(tables.markdown(self), path)

    def plot(self, path=None):
        """Draws the table as a picture.

        Args:
            path: file to write, a PNG or whatever its ending says. Defaults to `None`:
                none is written.

        Returns:
            A `matplotlib.figure.Figure`.
        """
        from keras_dsd.robustness import figures  # matplotlib takes a second

        return figures.written(figures.report(self), path)

    def __str__(self):
        """Returns the report as a table."""
        return tables.plain(self)


def check_baseline(baseline, table):
    """Raises a ValueError unless the constants of a published baseline fit a table.

    Args:
        baseline: `"alexnet"`.
        table: iterable of (corruption, severity).
    """
    checks.known(baseline, "baseline", {"alexnet": None})
    found: dict = {}
    for name, severity in table:
        found.setdefault(name, []).append(severity)
    unknown = [name for name in found if name not in published_errors.ALEXNET]
    if unknown:
        raise ValueError(
            "AlexNet's errors are published for "
            f"{sorted(published_errors.ALEXNET)}. Received: corruptions={unknown}"
        )
    for severities in found.values():
        if sorted(severities) != [1, 2, 3, 4, 5]:
            raise ValueError(
                "AlexNet's errors are means over the severities 1 to 5. "
                f"Received: severities={severities}"
            )


def _shown(value):
    return value if isinstance(value, str) else sorted(value)


def _ratio(error, baseline):
    if baseline:
        return error / baseline
    return math.inf if error else 1.0


def _finite(value):
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return value if value is not None and math.isfinite(value) else None


def _written(text, path):
    if path is not None:
        pathlib.Path(path).write_text(text, encoding="utf-8")
    return text
