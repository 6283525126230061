"""What is derived of a table of measured values: means, mCE, relative mCE, gains.

The sums of a report, without its forms. Knows numbers and names; no model, no image.
"""

import dataclasses
import math
import statistics
import typing
import warnings

from keras_dsd._shared import directions
from keras_dsd.robustness import published_errors


@dataclasses.dataclass(frozen=True)
class Measured:
    """A metric on clean images and under each corruption, and what follows from it.

    Args: as those of `RobustnessReport`.
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
    digest: int | None = None

    @property
    def means(self):
        """{corruption: mean over severities}."""
        return {name: _mean(row.values()) for name, row in self.table.items()}

    @property
    def robust(self):
        """Mean over all corruptions and severities: the robust accuracy."""
        return _mean(self.means.values())

    @property
    def by_family(self):
        """{family: mean over its corruptions}."""
        return {
            family: _mean(
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
        baseline, and where no error can be told: for a metric that grows beyond 1, or
        one that falls below 0.
        """
        if self.baseline is None:
            return None
        pairs = {
            name: (self._error(mean), self._baseline_error(name))
            for name, mean in self.means.items()
        }
        if any(error < 0 for pair in pairs.values() for error in pair):
            return None
        return {name: _ratio(*pair) for name, pair in pairs.items()}

    @property
    def mce(self):
        """Mean of `ce`, 1.0 if the model is as good as the baseline; or `None`."""
        return self.ce and _mean(self.ce.values())

    @property
    def relative_ce(self):
        """{corruption: what it adds to the error, as a multiple of the baseline's}.

        Below 0 for a model that gains under a corruption, and infinite where the
        baseline neither loses nor gains. Where the baseline gains, the ratio does not
        tell which of the two is better. `None` where `ce` is, and without clean images.
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
        return self.relative_ce and _mean(self.relative_ce.values())

    def gain_over(self, other):
        """Returns {corruption: how much better this model is than another}.

        Warns if the reports are of other images, or of another seed or strengths.

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
        if not isinstance(other, Measured):
            raise TypeError(
                "`other` must be a `RobustnessReport`. "
                f"Received: other of type {type(other).__name__}"
            )
        self.check_like(other.metric, other._cells(), other.grows)
        self.warn_unlike(other)
        sign = 1 if self.grows else -1
        return {
            name: sign * (mean - other.means[name]) for name, mean in self.means.items()
        }

    def check_like(self, metric, conditions, grows):
        """Raises a ValueError unless this report is of the same things as another one.

        Args:
            metric: name of the other's metric.
            conditions: iterable of the other's (name, severity); those of severity 0,
                which are clean images, don't count.
            grows: whether more of the other's metric is better.
        """
        conditions = {(name, severity) for name, severity in conditions if severity}
        for what, own, others in (
            ("metric", *map(directions.plain, (self.metric, metric))),
            ("direction", _BETTER[self.grows], _BETTER[grows]),
            ("corruptions and severities", self._cells(), conditions),
        ):
            if own != others:
                raise ValueError(
                    f"Two reports can be compared if they have the same {what}. "
                    f"Received: {_shown(own)} and {_shown(others)}"
                )

    def warn_unlike(self, other):
        """Warns if another report is of other images, or of another seed or strengths.

        What a report does not tell is not compared.
        """
        as_many = self.images == other.images
        for what, own, others in (
            ("number of images", self.images, other.images),
            (
                "images, or their order,",
                as_many and self.digest,
                as_many and other.digest,
            ),
            ("seed", self.seed, other.seed),
            ("constants", self.constants, other.constants),
        ):
            if own != others and not {None, "auto"} & {own, others}:
                warnings.warn(
                    f"The {what} of the two reports differ, so what differs in their "
                    "values is not the models' alone. "
                    f"Received: {own!r} and {others!r}",
                    stacklevel=3,
                )

    def _cells(self):
        return {
            (name, severity) for name, row in self.table.items() for severity in row
        }

    def _error(self, value):
        return 1 - value if self.grows else value

    def _baseline_error(self, name):
        if self.baseline == "alexnet":
            return published_errors.ALEXNET[name]
        return self.baseline._error(self.baseline.means[name])

    def _baseline_clean_error(self):
        if self.baseline == "alexnet":
            return published_errors.ALEXNET_CLEAN
        clean = self.baseline.clean
        return None if clean is None else self.baseline._error(clean)


_BETTER = {True: "more is better", False: "less is better"}


def _shown(value):
    return value if isinstance(value, str) else sorted(value)


def _mean(values):
    values = list(values)
    if {math.inf, -math.inf} <= set(values):  # a sum that `fmean` refuses
        return math.nan
    return statistics.fmean(values)


def _ratio(error, baseline):
    if baseline:
        return error / baseline
    return error * math.inf if error else 1.0
