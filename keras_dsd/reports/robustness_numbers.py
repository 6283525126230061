"""The numbers of a robustness report: checked, and what a page derives from them.

Knows the record alone, a dict of JSON's types.
"""

import functools
import math
import statistics

from keras_dsd.reports import recognition

KEYS = {
    "metric",
    "grows",
    "clean",
    "robust",
    "by_family",
    "mce",
    "relative_mce",
    "ce",
    "relative_ce",
    "table",
    "families",
    "images",
    "seed",
    "constants",
    "digest",
    "baseline",
}
WHAT = "a robustness report"
Z = 1.96  # of the normal distribution: 95 % lie within as many deviations


class Numbers:
    """A record, and means, gains and margins that follow from it.

    `numbers["images"]` is what the record has of that name.

    Args:
        record: dict, as `RobustnessReport.to_dict` returns it.

    Attributes:
        means: {corruption: mean over its severities}; `None` where a value was not
            finite.
        baseline_means: the same of the model that it is compared with; empty if there
            is none.

    Raises:
        ValueError: it is no such record, or its numbers do not belong together.
    """

    def __init__(self, record):
        recognition.check_keys(record, KEYS, WHAT)
        self._record = record
        self.means = _means(record)
        baseline = record["baseline"]
        self.baseline_means = {}
        if isinstance(baseline, dict):
            recognition.check_keys(baseline, KEYS, WHAT)
            self.baseline_means = _means(baseline)
            if self.baseline_means.keys() != self.means.keys():
                raise ValueError(
                    "The baseline has other corruptions. Received: "
                    f"{sorted(self.means)} and {sorted(self.baseline_means)}"
                )

    def __getitem__(self, key):
        return self._record[key]

    @property
    def style(self):
        """How values are written: an accuracy is a percentage."""
        is_accuracy = self["metric"].endswith(("acc", "accuracy"))
        return "percent" if is_accuracy else "number"

    @property
    def severities(self):
        """The severities of all corruptions, sorted, as they stand in the record."""
        found = {severity for row in self["table"].values() for severity in row}
        return sorted(found, key=int)

    @property
    def worst_first(self):
        """Names of the corruptions; first those without a finite value, then by it."""
        sign = 1 if self["grows"] else -1

        def place(name):
            mean = self.means[name]
            return -math.inf if mean is None else sign * mean

        return sorted(self.means, key=place)

    def gain(self, new, old):
        """Returns how much better a value is than another; `None` if one is missing."""
        if new is None or old is None:
            return None
        return new - old if self["grows"] else old - new

    @property
    def gains(self):
        """{corruption: how much better it is than the baseline}."""
        return {
            name: self.gain(mean, self.baseline_means[name])
            for name, mean in self.means.items()
        }

    @functools.cached_property
    def margin(self):
        """Half of the widest 95 % interval of a value; `None` if it is no accuracy."""
        if self.style != "percent":
            return None
        values = [value for row in self["table"].values() for value in row.values()]
        known = [value for value in [*values, self["clean"]] if value is not None]
        variance = max((value * (1 - value) for value in known), default=0.0)
        return Z * math.sqrt(max(variance, 0.0) / self["images"])

    @property
    def baseline_saw(self):
        """Whether the baseline saw the same images: "same", "other" or "unknown"."""
        pairs = [
            (self[name], self["baseline"][name])
            for name in ("images", "digest", "seed", "constants")
        ]
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            return "other"
        return "unknown" if any(None in pair for pair in pairs) else "same"


def _means(record):
    """Returns {corruption: mean over severities}, checked against the record's own."""
    try:
        means = {
            name: _mean(row.values()) for name, row in sorted(record["table"].items())
        }
        total = _mean(means.values())
        together = (
            means.keys() == record["families"].keys()
            and all(
                int(severity) > 0
                for row in record["table"].values()
                for severity in row
            )
            and record["images"] > 0
            and (total is None) == (record["robust"] is None)
            and (total is None or math.isclose(total, record["robust"]))
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            "Not the numbers of a robustness report. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    if not together:
        raise ValueError(
            "The numbers of the report do not belong together: the mean of its table "
            f"is {total!r}. Received: robust={record['robust']!r}, "
            f"images={record['images']!r}"
        )
    return means


def _mean(values):
    values = list(values)
    return None if None in values else statistics.fmean(values)
