"""What a method of regrowth is: scores, and how much moves when.

Knows scores and counts; knows no model, no optimizer and no phase.
"""

import abc
import dataclasses
import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from keras_dsd._shared import checks
from keras_dsd._shared.config import Config
from keras_dsd.sparsity import counts, schedules

_DECAYS = {  # what is left of the drop fraction after the share p of its time
    "constant": lambda p: 1.0,
    "cosine": lambda p: (1 + math.cos(math.pi * p)) / 2,
    "linear": lambda p: 1 - p,
}


class Connections(NamedTuple):
    """What a score may look at: tensors of the shape of one weight.

    Attributes:
        value: the weight; 0 where it is not active.
        mask: boolean, which weights are active.
        gradient: of the loss at the masked weights, for all of them, in the last batch;
            `None` unless the method `needs` "gradient".
        random: uniform in [0, 1); `None` unless the method `needs` "random".
    """

    value: Any
    mask: Any
    gradient: Any = None
    random: Any = None


class Counts(NamedTuple):
    """What a budget may look at: NumPy arrays with one entry per weight tensor.

    Attributes:
        size: how many weights it has.
        active: how many of them are active.
        target: how many should be, as the phase's sparsity says.
        momentum: mean size of the optimizer's momentum over the active weights, or
            `None` unless the method `needs` "momentum".
    """

    size: np.ndarray
    active: np.ndarray
    target: np.ndarray
    momentum: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Method(Config):
    """How the masks of a sparse phase change: what is asked of every method.

    Attributes:
        needs: what an update reads besides weights: "gradient", "random", "momentum".
        moves: whether connections go and come.
        prunes: whether all weights that follow the phase's sparsity are pruned
            together, by magnitude, to what `schedule` says, before connections move.
        initial_sparsity: of the phase's first masks, in [0, 1); `None`: the phase's.
    """

    needs: ClassVar[tuple] = ()
    moves: ClassVar[bool] = False
    prunes: ClassVar[bool] = False
    initial_sparsity: ClassVar[float | None] = None

    def schedule(self, final, length, every):
        """Returns the sparsity over time, a callable of the time since the phase began.

        Args:
            final: the phase's sparsity.
            length: how long the phase is, in optimizer steps or epochs.
            every: time between two updates, in the same unit. So the last update is at
                `(length - 1) // every * every`: by then `final` must be reached.
        """
        return schedules.Constant(final)


@dataclasses.dataclass(frozen=True)
class Regrowth(Method, abc.ABC):
    """A method of dynamic sparse training; subclass it for one of your own.

    A subclass is a frozen dataclass with a `grow_score`, and `needs` if that looks at
    gradients or random numbers. One that prunes as it grows has `prunes = True`, an
    `initial_sparsity` and a `schedule`. Register it with
    `keras.saving.register_keras_serializable` if phases are to be saved.

    Args:
        drop_fraction: share of the active weights, in (0, 1], that an update at the
            phase's start drops. Defaults to 0.3.
        decay: how that share falls with time: `"cosine"`, `"linear"` (both to 0) or
            `"constant"`. Defaults to `"cosine"`.
        stop: when connections come to rest, as a share of the phase in (0, 1]. Defaults
            to 0.75.

    Raises:
        TypeError, ValueError: an argument is not as said.

    Example:

    >>> import dataclasses
    >>> from keras_dsd import regrowth
    >>> @dataclasses.dataclass(frozen=True)
    ... class SameSign(regrowth.Regrowth):
    ...     needs = ("gradient",)
    ...
    ...     def grow_score(self, connections):
    ...         return -connections.gradient
    >>> SameSign(drop_fraction=0.2).decayed(0, length=1000)
    1.0
    """

    drop_fraction: float = 0.3
    _: dataclasses.KW_ONLY
    decay: str = "cosine"
    stop: float = 0.75

    moves: ClassVar[bool] = True

    def __post_init__(self):
        checks.known(self.decay, "decay", _DECAYS)
        self._check(checks.share, "drop_fraction", "stop")

    def _check(self, check, *names):
        """Checks some fields; keeps them as the decimals that were written."""
        for name in names:
            value = check(getattr(self, name), name)
            object.__setattr__(self, name, float(counts.as_fraction(value)))

    def decayed(self, t, length):
        """Returns what is left of the drop fraction at time `t`, from 1.0 to 0.0.

        Args:
            t: time since the phase began.
            length: of the phase, in the same unit.
        """
        end = self.stop * length
        return 0.0 if t > end else _DECAYS[self.decay](t / end)

    def drop_score(self, connections):
        """Returns a tensor; active weights with the smallest magnitudes of it go."""
        return connections.value

    @abc.abstractmethod
    def grow_score(self, connections):
        """Returns a tensor; weights with its highest values come."""

    def budget(self, counts, decayed, is_last):
        """Returns how many weights of each tensor stay, and how many then come.

        Args:
            counts: the `Counts` before the update.
            decayed: what is left of the drop fraction.
            is_last: whether no other update follows in the phase.

        Returns:
            Two integer arrays, one entry per tensor.
        """
        moved = shares_of(counts.active, self.drop_fraction * decayed)
        return counts.active - moved, moved


def shares_of(amounts, fraction):
    """Returns floor(fraction * amount) of each, the fraction as it was written."""
    return np.array([counts.zeros(int(amount), fraction) for amount in amounts], int)
