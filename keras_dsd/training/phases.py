"""Phases: what a training run does when, as a list of small frozen values.

A phase says what holds for some epochs (`timeline` finds the phase of an epoch). Knows
numbers, schedules and names; knows no model, no optimizer, no mask.
"""

import dataclasses
import math
import re
import zlib
from typing import Any

from keras_dsd import regrowth
from keras_dsd._shared import checks, directions
from keras_dsd._shared.config import Config, serializable
from keras_dsd.sparsity import counts, distributions, patterns, schedules

RESTORES = ("random", "rewind", "zero")


@serializable
@dataclasses.dataclass(frozen=True)
class Plateau(Config):
    """Ends a phase before its `epochs` are over, once a metric no longer improves.

    Works as `keras.callbacks.EarlyStopping` does, within one phase: each phase starts
    to count anew. While a sparsity schedule still runs, nothing is counted. When a
    phase ends early the following ones come earlier, and `fit` ends with the last.

    Args:
        monitor: a key of the epoch's logs. Defaults to `"val_loss"`.
        patience: epochs without improvement after which the phase ends, 1 or more.
            Defaults to 3.
        min_delta: how much better, as an absolute value, counts as improvement.
            Defaults to 0.
        mode: `"min"`, `"max"` or `"auto"`: as the name ends, a counter behind it apart:
            acc, accuracy, auc, iou, precision, recall, score and the like are to grow,
            loss, error, mse, crossentropy and the like to shrink. Defaults to `"auto"`.

    Raises:
        TypeError, ValueError: an argument is not as said, or `mode` is `"auto"` and the
            name does not tell.

    >>> from keras_dsd import phases
    >>> phases.Dense(epochs=50, until=phases.Plateau("val_accuracy")).until.patience
    3
    """

    monitor: str = "val_loss"
    patience: int = 3
    min_delta: float = 0.0
    mode: str = "auto"

    def __post_init__(self):
        if not isinstance(self.monitor, str):
            raise TypeError(
                "`monitor` must be a key of the logs, a string. "
                f"Received: monitor={self.monitor!r}"
            )
        checks.integer(self.patience, "patience", at_least=1)
        checks.not_negative(self.min_delta, "min_delta")
        directions.grows(self.monitor, self.mode)  # or it is asked for

    def improves(self, value, best):
        """Returns whether `value` is better than `best` (NaN: there is none yet)."""
        if math.isnan(best):
            return not math.isnan(value)
        if directions.grows(self.monitor, self.mode):
            return value > best + self.min_delta
        return value < best - self.min_delta


@dataclasses.dataclass(frozen=True)
class Phase(Config):
    """What all phases share: how long, at what learning rate, until when."""

    epochs: int
    _: dataclasses.KW_ONLY
    lr_factor: float | None = None
    until: Plateau | None = None

    def __post_init__(self):
        checks.integer(self.epochs, "epochs", at_least=1)
        if self.lr_factor is not None:
            checks.positive(self.lr_factor, "lr_factor")
        if self.until is not None and not isinstance(self.until, Plateau):
            raise TypeError(
                "`until` must be a `phases.Plateau` or None. "
                f"Received: until={self.until!r}"
            )

    @property
    def fingerprint(self):
        """A number that tells this phase from others, the same in every process."""
        values = [getattr(self, field.name) for field in dataclasses.fields(self)]
        text = "\n".join([type(self).__name__, *map(repr, values)])
        text = re.sub(" at 0x[0-9a-fA-F]+", "", text)  # where a function lies
        return zlib.crc32(text.encode()) & 0x7FFFFFFF


@serializable
@dataclasses.dataclass(frozen=True)
class Dense(Phase):
    """Ordinary training, bit for bit what it would be without this library.

    The first D of DSD (Han et al. 2017, arXiv:1607.04381).

    Args:
        epochs: how long; with `until`, at most.
        lr_factor: the learning rate, as a multiple of the one that the optimizer had
            when training began. Defaults to `None`: leave the rate alone.
        until: a `Plateau` that ends the phase early. Defaults to `None`.

    Raises:
        TypeError, ValueError: `epochs` is not an integer of 1 or more, or another
            argument is not as said.

    >>> from keras_dsd import phases
    >>> phases.Dense(epochs=10).epochs
    10
    """


@serializable
@dataclasses.dataclass(frozen=True)
class Sparse(Phase):
    """Training of the largest weights only; the others are zero and stay zero.

    The S of DSD. The masks are chosen by magnitude when the phase begins and, with the
    default schedule, stay as they are. No gradient reaches a pruned weight.

    Args:
        epochs: how long; with `until`, at most.
        sparsity: fraction of weights that are zero, in [0, 1). A tensor of n weights
            gets floor(sparsity * n) zeros. Han et al. find 0.25 to 0.5 good. May be
            left out where an N:M `pattern` says it.
        distribution: how layers share it: `"uniform"`, `"er"`, `"erk"`, `"global"`, a
            dict {regex on the weight's path: sparsity} or a callable (see
            `distributions`). Defaults to `"uniform"`.
        schedule: sparsity over time: `"one_shot"`, `"cubic"`, `"linear"`, `"cosine"`,
            `"constant"`, or a callable of the time since the phase began (see
            `schedules`). A named ramp starts from the sparsity of the phase before and
            ends after three quarters of this one. Defaults to `"one_shot"`.
        pattern: which weights live or die together: `"unstructured"`, `"2:4"`,
            `"4x4"`, or one of `patterns`. Defaults to `None`, unstructured.
        regrowth: how connections move during the phase: `"set"`, `"rigl"`, `"mest"`,
            `"granet"`, `"snfs"`, `"static"`, one of `regrowth`, or a dict {regex on
            the weight's path: one of these}. Then a phase that comes first starts from
            random masks, a later one from the largest magnitudes. Defaults to `None`:
            masks stay, or follow the schedule.
        update_every: optimizer steps between two updates of the masks, and then the
            unit of the schedule's time. Defaults to `None`: once an epoch, time in
            epochs. Only for a schedule that changes, or `regrowth`.
        lr_factor: as for `Dense`. Defaults to `None`.
        until: as for `Dense`. Defaults to `None`.

    Raises:
        TypeError, ValueError: an argument is not as said, or two contradict each other.

    >>> from keras_dsd import phases
    >>> phases.Sparse(epochs=10, sparsity=0.3).schedule
    'one_shot'
    >>> phases.Sparse(epochs=10, pattern="2:4").sparsity
    0.5
    """

    sparsity: Any = None  # a number once checked
    distribution: object = "uniform"
    schedule: object = "one_shot"
    pattern: object = None
    regrowth: Any = None
    update_every: int | None = None

    def __post_init__(self):
        super().__post_init__()
        pattern = patterns.get(self.pattern)
        object.__setattr__(self, "pattern", pattern)
        distributions.get(self.distribution)
        if not callable(self.schedule):
            schedules.named(self.schedule)
        if self.regrowth is not None:
            object.__setattr__(self, "regrowth", regrowth.get(self.regrowth))
            self._check_regrowth(pattern)
        if pattern.sparsity is not None:
            self._check_fixed(pattern)
        elif self.sparsity is None:
            raise ValueError(
                "`sparsity` is missing: give the fraction of weights that are to be "
                "zero, a number in [0, 1). Received: sparsity=None"
            )
        else:
            checks.sparsity(self.sparsity)
        final = getattr(self.schedule, "final", self.sparsity)
        if final != self.sparsity:
            raise ValueError(
                "The schedule must end at `sparsity`. "
                f"Received: sparsity={self.sparsity!r}, schedule={self.schedule!r}"
            )
        if self.update_every is not None:
            checks.integer(self.update_every, "update_every", at_least=1)
            if self.is_static and self.regrowth is None:
                raise ValueError(
                    "`update_every` has no effect where the sparsity does not change. "
                    f"Received: update_every={self.update_every!r}, "
                    f"schedule={self.schedule!r}"
                )

    def _check_fixed(self, pattern):
        if self.sparsity is None:
            object.__setattr__(self, "sparsity", float(pattern.sparsity))
        elif counts.as_fraction(checks.sparsity(self.sparsity)) != pattern.sparsity:
            raise ValueError(
                f"{pattern} is a sparsity of {float(pattern.sparsity)}; leave "
                f"`sparsity` out. Received: sparsity={self.sparsity!r}"
            )
        if self.schedule != "one_shot" or self.distribution != "uniform":
            raise ValueError(
                f"{pattern} fixes the sparsity of every layer from its start, so "
                '`schedule` must be "one_shot" and `distribution` "uniform". Received: '
                f"schedule={self.schedule!r}, distribution={self.distribution!r}"
            )

    def _check_regrowth(self, pattern):
        if pattern != patterns.Unstructured():
            raise ValueError(
                "`regrowth` moves single connections, so the pattern must be "
                f"unstructured. Received: pattern={pattern!r}, "
                f"regrowth={self.regrowth!r}"
            )
        if not self.is_static:
            raise ValueError(
                "`regrowth` keeps the sparsity (and GraNet brings its own schedule), "
                'so `schedule` must be "one_shot". Received: '
                f"schedule={self.schedule!r}, regrowth={self.regrowth!r}"
            )
        checks.sparsity(self.sparsity)
        if self.initial_sparsity > self.sparsity:
            raise ValueError(
                "The phase must end at least as sparse as it starts. Received: "
                f"sparsity={self.sparsity!r}, regrowth={self.regrowth!r}"
            )

    @property
    def initial_sparsity(self):
        """The sparsity with which the masks are first laid, by the distribution."""
        return getattr(self.regrowth, "initial_sparsity", self.sparsity)

    @property
    def is_static(self):
        """Whether the sparsity is the same from the phase's first step to its last."""
        return self.schedule in ("one_shot", "constant") or isinstance(
            self.schedule, schedules.Constant
        )

    def length(self, steps):
        """Returns how long the phase is, in the unit of the schedule's time.

        Args:
            steps: optimizer steps in an epoch; not used without `update_every`.
        """
        return self.epochs * (steps if self.update_every else 1)

    def schedule_over(self, initial, steps):
        """Returns the schedule, a callable of the time since the phase began.

        Args:
            initial: the sparsity of the phase before.
            steps: optimizer steps in an epoch; not used without `update_every`.
        """
        every = self.update_every or 1
        length = self.length(steps)
        if hasattr(self.regrowth, "schedule"):
            return self.regrowth.schedule(self.sparsity, length, every)
        if callable(self.schedule):
            return self.schedule
        if self.is_static:
            return schedules.Constant(self.sparsity)
        # The last quarter trains at the final sparsity; however few updates there are,
        # the last of them reaches it.
        end = min(length * 3 // 4, (length - 1) // every * every)
        return schedules.named(self.schedule)(self.sparsity, initial=initial, end=end)


@serializable
@dataclasses.dataclass(frozen=True)
class Redense(Phase):
    """Training of all weights again: masks come off, survivors stay as they are.

    The second D of DSD: the weights come back at zero and train together with the
    survivors at a tenth of the learning rate.

    Args:
        epochs: how long; with `until`, at most.
        restore: what a weight that was pruned comes back with: `"zero"`; `"rewind"`,
            the value with which it was pruned (costs memory of one copy of the
            weights from the start); or `"random"`, a draw from Keras's default for
            kernels, Glorot uniform. Defaults to `"zero"`, as in the paper.
        lr_factor: as for `Dense`. Defaults to 0.1, as in the paper.
        until: as for `Dense`. Defaults to `None`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from keras_dsd import phases
    >>> phases.Redense(epochs=10).lr_factor
    0.1
    """

    restore: str = "zero"
    lr_factor: float | None = 0.1

    def __post_init__(self):
        super().__post_init__()
        checks.known(self.restore, "restore", dict.fromkeys(RESTORES))


def dsd(epochs, sparsity=0.3, cycles=1):
    """Returns the phases of DSD, or with more cycles DSDSD...

    Equal parts, the dense phase taking what is left over. Every `Redense` trains at a
    tenth of the rate before it, and keeps that rate for the sparse phase after it.

    Args:
        epochs: all epochs together, at least 2 * cycles + 1.
        sparsity: of the sparse phases, in [0, 1). Defaults to 0.3.
        cycles: how often sparse and dense again. Defaults to 1.

    Returns:
        A list of phases for `DSDCallback`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from keras_dsd import phases
    >>> [type(phase).__name__ for phase in phases.dsd(epochs=30)]
    ['Dense', 'Sparse', 'Redense']
    """
    cycles = checks.integer(cycles, "cycles", at_least=1)
    epochs = checks.integer(epochs, "epochs", at_least=2 * cycles + 1)
    checks.sparsity(sparsity)
    part = epochs // (2 * cycles + 1)
    result: list[Phase] = [Dense(epochs - 2 * cycles * part)]
    for cycle in range(1, cycles + 1):
        result.append(Sparse(part, sparsity=sparsity))
        result.append(Redense(part, lr_factor=float(f"1e-{cycle}")))
    return result


def dst(epochs, method="rigl", sparsity=0.5, *, distribution="erk", update_every=100):
    """Returns the phases of dynamic sparse training: one, sparse from the start.

    Random masks first, then connections move as `method` says.

    Args:
        epochs: all epochs, 1 or more.
        method: name or instance of a method of `regrowth`. Defaults to `"rigl"`.
        sparsity: fraction of weights that are zero, in [0, 1). Defaults to 0.5.
        distribution: as for `Sparse`. Defaults to `"erk"`.
        update_every: optimizer steps between two updates, or `None`: once an epoch.
            Defaults to 100, as in RigL.

    Returns:
        A list of phases for `DSDCallback`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from keras_dsd import phases
    >>> phases.dst(epochs=10, method="set")[0].regrowth.drop_fraction
    0.3
    """
    return [
        Sparse(
            epochs,
            sparsity=sparsity,
            distribution=distribution,
            regrowth=regrowth.get(method),
            update_every=update_every,
        )
    ]
