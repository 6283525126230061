"""`Sparse`: the phase in which masks hold most weights, or some, at zero.

Knows numbers, schedules, distributions, patterns and methods of regrowth; knows no
model, no optimizer and no mask.
"""

import dataclasses
from typing import Any, ClassVar

from keras_dsd import regrowth
from keras_dsd._shared import checks
from keras_dsd._shared.config import serializable
from keras_dsd.regrowth import lookup
from keras_dsd.sparsity import counts, distributions, patterns, schedules
from keras_dsd.training.phases import auto
from keras_dsd.training.phases.base import Phase


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
            left out where an N:M `pattern` says it. Or `"auto"`: as the phase begins,
            the largest, in thousandths, at which a metric of `fit`'s validation gets
            worse by no more than `tolerance`, by bisection over some 10 evaluations
            without training. `DSDCallback.searches` and the audit log keep what was
            tried; a run that was killed goes on with what was found.
        distribution: how layers share it: `"uniform"`, `"er"`, `"erk"`, `"global"`, a
            dict {regex on the weight's path: sparsity} or a callable (see
            `distributions`). With `"auto"` also `"sensitivity"`: each weight gets what
            it bears alone, all scaled down until the model bears them together (some
            10 evaluations for each weight). Defaults to `"uniform"`.
        schedule: sparsity over time: `"one_shot"`, `"cubic"`, `"linear"`, `"cosine"`,
            `"constant"`, or a callable of the time since the phase began (see
            `schedules`). A named ramp starts from the sparsity of the phase before and
            ends after three quarters of this one. Defaults to `"one_shot"`.
        pattern: which weights live or die together: `"unstructured"`, `"2:4"`,
            `"4x4"`, or one of `patterns`. Defaults to `"unstructured"`.
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
        tolerance: by how much the metric may get worse with `"auto"`, in its own unit:
            0.01 of an accuracy is a point. Defaults to 0.01.
        monitor: that metric as it stands in the logs, say `"val_loss"`. Defaults to
            `None`: the first, by name, that is no loss, else the loss.
        mode: `"max"` if more of it is better, `"min"` if less is, `"auto"`: as its name
            says. Defaults to `"auto"`.

    Raises:
        TypeError, ValueError: an argument is not as said, or two contradict each other.
            With `"auto"` also from `fit`, before training: it validates on nothing, or
            has no such metric.

    >>> from keras_dsd import phases
    >>> phases.Sparse(epochs=10, sparsity=0.3).schedule
    'one_shot'
    >>> phases.Sparse(epochs=10, pattern="2:4").sparsity
    0.5
    """

    sparsity: Any = None  # type: ignore[misc]  # a number once checked
    distribution: object = "uniform"
    schedule: object = "one_shot"
    pattern: object = patterns.Unstructured()
    regrowth: Any = None  # type: ignore[misc]
    update_every: int | None = None  # type: ignore[misc]

    tolerance: float = auto.TOLERANCE
    monitor: str | None = None
    mode: str = "auto"

    is_sparse: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        pattern = patterns.get(self.pattern)
        object.__setattr__(self, "pattern", pattern)
        auto.check(self)
        if not self.is_by_weight:
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
        elif not self.is_auto:
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
                "`regrowth` keeps the sparsity, or brings its own schedule (GraNet), "
                'so `schedule` must be "one_shot". Received: '
                f"schedule={self.schedule!r}, regrowth={self.regrowth!r}"
            )
        checks.sparsity(self.sparsity)
        method = lookup.shared(self.regrowth)
        if method.initial_sparsity is not None:
            checks.sparsity(method.initial_sparsity, "initial_sparsity")
        if self.initial_sparsity > self.sparsity:
            raise ValueError(
                "The phase must end at least as sparse as it starts. Received: "
                f"sparsity={self.sparsity!r}, regrowth={self.regrowth!r}"
            )
        if self.initial_sparsity != self.sparsity and not method.prunes:
            raise ValueError(
                "A method that starts with another sparsity than the phase ends with "
                "must prune: set `prunes = True` in its class. Received: "
                f"initial_sparsity={self.initial_sparsity!r}, "
                f"sparsity={self.sparsity!r}, regrowth={self.regrowth!r}"
            )

    @property
    def is_auto(self):
        """Whether the sparsity is found in training."""
        return isinstance(self.sparsity, str) and self.sparsity == auto.AUTO

    @property
    def is_by_weight(self):
        """Whether each weight's own sparsity is found."""
        return (
            isinstance(self.distribution, str) and self.distribution == auto.BY_WEIGHT
        )

    @property
    def is_ramp(self):
        """Whether the schedule begins where the phase before ended."""
        is_named = self.regrowth is None and not callable(self.schedule)
        return is_named and not self.is_static

    def at(self, sparsity, distribution=None):
        """Returns the phase with a sparsity in place of "auto".

        Args:
            sparsity: number in [0, 1).
            distribution: how layers share it. Defaults to `None`: as they do.
        """
        return dataclasses.replace(
            self,
            sparsity=sparsity,
            distribution=self.distribution if distribution is None else distribution,
            tolerance=auto.TOLERANCE,
            monitor=None,
            mode="auto",
        )

    @property
    def provisional(self):
        """The phase with a sparsity, for what must be checked before it is found."""
        return self.at(0.5, "uniform" if self.is_by_weight else None)

    @property
    def initial_sparsity(self):
        """That of the phase's first masks, which the distribution shares out."""
        own = lookup.shared(self.regrowth).initial_sparsity
        return self.sparsity if own is None else own

    @property
    def is_static(self):
        """Whether the sparsity is the same from the phase's first step to its last."""
        return self.schedule in ("one_shot", "constant") or isinstance(
            self.schedule, schedules.Constant
        )

    @property
    def details(self):
        """What `DSDCallback` says of the phase, besides its length and its rate."""
        amount = auto.AUTO if self.is_auto else f"{float(self.sparsity):g}"
        text = f", sparsity {amount}"
        if self.regrowth is not None:
            own = self.regrowth
            methods = own.values() if isinstance(own, dict) else [own]
            names = dict.fromkeys(type(method).__name__ for method in methods)
            text += f", {' and '.join(names)}"
        return text

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
        if self.regrowth is not None:
            method = lookup.shared(self.regrowth)
            return method.schedule(self.sparsity, length, every)
        if callable(self.schedule):
            return self.schedule
        if self.is_static:
            return schedules.Constant(self.sparsity)
        # The last quarter trains at the final sparsity; however few updates there are,
        # the last of them reaches it.
        end = min(length * 3 // 4, (length - 1) // every * every)
        return schedules.named(self.schedule)(self.sparsity, initial=initial, end=end)
