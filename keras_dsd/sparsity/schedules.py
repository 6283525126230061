"""Schedules: sparsity as a function of time.

A schedule is a small frozen value that is called with a time and returns a sparsity. It
does not know what a phase, an epoch or an optimizer is: `t`, `begin`, `end` and `at`
are numbers in one unit that the caller chooses (optimizer steps or epochs), counted
from where the caller starts to count (a phase, from its own beginning).
"""

import abc
import dataclasses
import math
import numbers

from keras_dsd._shared import checks
from keras_dsd._shared.config import Config, serializable
from keras_dsd.optimizers.learning_rates import PhaseLearningRate
from keras_dsd.sparsity import counts

__all__ = [
    "BY_NAME",
    "Constant",
    "Cosine",
    "Cubic",
    "Linear",
    "OneShot",
    "PhaseLearningRate",
    "named",
]


@dataclasses.dataclass(frozen=True)
class _Schedule(Config):
    """Holds what every schedule has, the sparsity it ends at, and checks the fields."""

    final: float

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("final", "initial"):
                # As the decimal that was written: float32(0.29) becomes 0.29.
                value = counts.as_fraction(checks.sparsity(value, field.name))
                value = float(value)
            else:
                value = _time(value, field.name, at_least=0)
            object.__setattr__(self, field.name, value)


@serializable
@dataclasses.dataclass(frozen=True)
class Constant(_Schedule):
    """The same sparsity at all times.

    Args:
        final: number in [0, 1), the fraction of zeros.

    Raises:
        TypeError, ValueError: `final`, or the `t` of a call, is not such a number.

    >>> from keras_dsd import schedules
    >>> schedules.Constant(final=0.3)(17)
    0.3
    """

    def __call__(self, t):
        """Returns the sparsity at time `t`, as a float."""
        _time(t, "t")
        return self.final


@serializable
@dataclasses.dataclass(frozen=True)
class OneShot(_Schedule):
    """All at once: `initial` before the time `at`, `final` from then on.

    The schedule of DSD (Han et al. 2017, arXiv:1607.04381).

    Args:
        final: number in [0, 1), the fraction of zeros from `at` on.
        initial: number in [0, 1), the fraction before. Default 0.0.
        at: finite number, 0 or more, in the unit of `t`. Default 0.

    Raises:
        TypeError, ValueError: an argument, or the `t` of a call, is not as said.

    >>> from keras_dsd import schedules
    >>> [schedules.OneShot(final=0.3, at=2)(t) for t in (0, 1, 2, 3)]
    [0.0, 0.0, 0.3, 0.3]
    """

    _: dataclasses.KW_ONLY
    initial: float = 0.0
    at: float = 0

    def __call__(self, t):
        """Returns the sparsity at time `t`, as a float."""
        return self.final if _time(t, "t") >= self.at else self.initial


@dataclasses.dataclass(frozen=True)
class _Ramp(_Schedule, abc.ABC):
    """Goes from `initial` at `begin` to `final` at `end`, by a subclass's path."""

    _: dataclasses.KW_ONLY
    initial: float = 0.0
    begin: float = 0
    end: float

    def __post_init__(self):
        super().__post_init__()
        if self.end < self.begin:
            raise ValueError(
                "`end` must not come before `begin`. "
                f"Received: begin={self.begin}, end={self.end}"
            )

    def __call__(self, t):
        """Returns the sparsity at time `t`, as a float."""
        t = _time(t, "t")
        # The ends are returned, not computed: they hold bit for bit.
        if t >= self.end:
            return self.final
        if t <= self.begin:
            return self.initial
        left = self._left((t - self.begin) / (self.end - self.begin))
        value = self.final + (self.initial - self.final) * left
        # Rounding may step over an end by one bit, which can cost a whole weight.
        low, high = sorted((self.initial, self.final))
        return min(max(value, low), high)

    @staticmethod
    @abc.abstractmethod
    def _left(p):
        """Returns how much of the way, 1 to 0, is left after the fraction p of time."""


@serializable
@dataclasses.dataclass(frozen=True)
class Linear(_Ramp):
    """At an even pace: s_f + (s_i - s_f) * (1 - p).

    p runs from 0 at `begin` to 1 at `end`. Exactly `initial` up to `begin`, exactly
    `final` from `end` on; with `begin == end`, a jump.

    Args:
        final: number in [0, 1), the fraction of zeros from `end` on (s_f).
        initial: number in [0, 1), the fraction up to `begin` (s_i). Default 0.0.
        begin: finite number, 0 or more, in the unit of `t`. Default 0.
        end: finite number, `begin` or more.

    Raises:
        TypeError, ValueError: an argument, or the `t` of a call, is not as said.

    >>> from keras_dsd import schedules
    >>> [schedules.Linear(final=0.5, end=4)(t) for t in (0, 1, 2, 4, 9)]
    [0.0, 0.125, 0.25, 0.5, 0.5]
    """

    @staticmethod
    def _left(p):
        return 1 - p


@serializable
@dataclasses.dataclass(frozen=True)
class Cubic(_Ramp):
    """Fast while there is much to prune, then slowly: s_f + (s_i - s_f) * (1 - p)**3.

    The gradual pruning of Zhu & Gupta (2017, arXiv:1710.01878). p, and what holds at
    and beyond the ends: as in `Linear`.

    Args:
        final: number in [0, 1), the fraction of zeros from `end` on (s_f).
        initial: number in [0, 1), the fraction up to `begin` (s_i). Default 0.0.
        begin: finite number, 0 or more, in the unit of `t`. Default 0.
        end: finite number, `begin` or more.

    Raises:
        TypeError, ValueError: an argument, or the `t` of a call, is not as said.

    >>> from keras_dsd import schedules
    >>> [schedules.Cubic(final=0.5, end=1000)(t) for t in (0, 500, 1000)]
    [0.0, 0.4375, 0.5]
    """

    @staticmethod
    def _left(p):
        # Products keep the order of their factors under rounding; a power need not.
        return (1 - p) * (1 - p) * (1 - p)


@serializable
@dataclasses.dataclass(frozen=True)
class Cosine(_Ramp):
    """Slow at both ends: s_f + (s_i - s_f) * (1 + cos(pi * p)) / 2.

    The half wave of Loshchilov & Hutter (2017, arXiv:1608.03983), there for learning
    rates. p, and what holds at and beyond the ends: as in `Linear`.

    Args:
        final: number in [0, 1), the fraction of zeros from `end` on (s_f).
        initial: number in [0, 1), the fraction up to `begin` (s_i). Default 0.0.
        begin: finite number, 0 or more, in the unit of `t`. Default 0.
        end: finite number, `begin` or more.

    Raises:
        TypeError, ValueError: an argument, or the `t` of a call, is not as said.

    >>> from keras_dsd import schedules
    >>> [round(schedules.Cosine(final=0.5, end=4)(t), 3) for t in (0, 1, 2, 4)]
    [0.0, 0.073, 0.25, 0.5]
    """

    @staticmethod
    def _left(p):
        return (1 + math.cos(math.pi * p)) / 2


BY_NAME = {
    "constant": Constant,
    "cosine": Cosine,
    "cubic": Cubic,
    "linear": Linear,
    "one_shot": OneShot,
}


def named(name):
    """Returns the schedule class of that name, such as `Cubic` for "cubic".

    Raises:
        ValueError, TypeError: the name is unknown, or not a string.

    >>> from keras_dsd import schedules
    >>> schedules.named("cubic")(final=0.5, end=10)
    Cubic(final=0.5, initial=0.0, begin=0, end=10)
    """
    return checks.known(name, "schedule", BY_NAME)


def _time(value, name, at_least=-math.inf):
    """Returns a finite Python number >= `at_least`; a whole one stays an integer."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < at_least:
        bound = "" if at_least == -math.inf else f", {at_least} or more"
        raise ValueError(
            f"`{name}` must be a finite number{bound}. Received: {name}={value!r}"
        )
    return int(value) if isinstance(value, numbers.Integral) else number
