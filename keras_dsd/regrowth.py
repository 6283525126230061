"""Regrowth: which connections go and which come while a model trains sparse.

A method is a drop score, a growth score and how much moves when. It says so of one
weight tensor at a time; `regrowing` asks it and moves the connections. Knows scores and
counts; knows no model, no optimizer and no phase.
"""

import abc
import dataclasses
import math
import re
from typing import Any, ClassVar, NamedTuple

import numpy as np
from keras import ops

from keras_dsd import _checks, counts, schedules
from keras_dsd._config import Config, serializable

GROWTHS = ("gradient", "random")

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
    """What a budget may look at: NumPy arrays of one number per weight tensor.

    Attributes:
        size: how many weights.
        active: how many are active.
        target: how many should be, as the phase's sparsity says.
        momentum: mean size of the optimizer's momentum over the active weights, or
            `None` unless the method `needs` "momentum".
    """

    size: np.ndarray
    active: np.ndarray
    target: np.ndarray
    momentum: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Regrowth(Config, abc.ABC):
    """A method of dynamic sparse training; subclass it for one of your own.

    A subclass is a frozen dataclass with a `grow_score`, and `needs` if that looks at
    gradients or random numbers. Register it with
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

    needs: ClassVar[tuple] = ()

    def __post_init__(self):
        _checks.known(self.decay, "decay", _DECAYS)
        self._check(_checks.share, "drop_fraction", "stop")

    def _check(self, check, *names):
        """Checks some numbers; keeps them as the decimals that were written."""
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

    def budget(self, numbers, decayed, is_last):
        """Returns how many weights of each tensor stay, and how many then come.

        Args:
            numbers: `Counts`.
            decayed: what is left of the drop fraction.
            is_last: whether no other update follows in the phase.

        Returns:
            Two integer arrays, one number per tensor.
        """
        moved = _shares(numbers.active, self.drop_fraction * decayed)
        return numbers.active - moved, moved


def _shares(numbers, fraction):
    return np.array([counts.zeros(int(number), fraction) for number in numbers], int)


@serializable
@dataclasses.dataclass(frozen=True)
class Static(Config):
    """Masks that do not move: the control.

    First in a list of phases: a random sparse network, trained as it is.

    >>> from keras_dsd import phases, regrowth
    >>> phases.Sparse(epochs=5, sparsity=0.5, regrowth=regrowth.Static()).regrowth
    Static()
    """


@serializable
@dataclasses.dataclass(frozen=True)
class SET(Regrowth):
    """The smallest weights go, random ones come.

    Sparse evolutionary training (Mocanu et al. 2018, arXiv:1707.04780). Differs: the
    smallest magnitudes of all signs together are dropped.

    Args:
        drop_fraction: as for `Regrowth`. Defaults to 0.3, as in the paper.
        decay: as for `Regrowth`. Defaults to `"constant"`, as in the paper.
        stop: as for `Regrowth`. Defaults to 1.0, as in the paper.

    >>> from keras_dsd import regrowth
    >>> regrowth.SET().drop_fraction
    0.3
    """

    _: dataclasses.KW_ONLY
    decay: str = "constant"
    stop: float = 1.0

    needs: ClassVar[tuple] = ("random",)

    def grow_score(self, connections):
        """Returns the random numbers."""
        return connections.random


@serializable
@dataclasses.dataclass(frozen=True)
class RigL(Regrowth):
    """The smallest weights go, those with the largest gradients come.

    Evci et al. 2020, arXiv:1911.11134. Differs from the authors' code: time counts from
    the phase's start, the optimizer's step of an update is made too, and ties are
    decided by index, not by noise.

    Args:
        drop_fraction: as for `Regrowth`. Defaults to 0.3.
        decay: as for `Regrowth`. Defaults to `"cosine"`.
        stop: as for `Regrowth`. Defaults to 0.75.

    >>> from keras_dsd import regrowth
    >>> regrowth.RigL(drop_fraction=0.5).decay
    'cosine'
    """

    needs: ClassVar[tuple] = ("gradient",)

    def grow_score(self, connections):
        """Returns the sizes of the gradients."""
        return ops.abs(connections.gradient)


@dataclasses.dataclass(frozen=True)
class _RandomOrGradient(Regrowth):
    """Grows at random or by gradient, as its argument `growth` says."""

    _: dataclasses.KW_ONLY
    growth: str = "random"

    def __post_init__(self):
        super().__post_init__()
        _checks.known(self.growth, "growth", dict.fromkeys(GROWTHS))

    @property
    def needs(self):  # type: ignore[override]
        """What the scores look at."""
        return (self.growth,)

    def grow_score(self, connections):
        """Returns the sizes of the gradients, or the random numbers."""
        if self.growth == "random":
            return connections.random
        return ops.abs(connections.gradient)


@serializable
@dataclasses.dataclass(frozen=True)
class MEST(_RandomOrGradient):
    """Weights that are small and little moved go, within a bound of memory.

    Yuan et al. 2021, arXiv:2110.14032. What goes has the smallest |weight| +
    gradient_factor * |gradient|. With a `soft_bound` (the paper's EM&S) more weights
    than the target train between updates: up to `soft_bound` of the target, a share
    that falls as the drop fraction does, and is taken back by the last update. Differs:
    counts are exact, and the gradient is that of the last batch, where the authors'
    code sees zeros.

    Args:
        drop_fraction: as for `Regrowth`. Defaults to 0.3.
        decay: as for `Regrowth`. Defaults to `"cosine"`.
        stop: as for `Regrowth`. Defaults to 0.75.
        growth: `"random"` or `"gradient"`. Defaults to `"random"`.
        gradient_factor: the paper's lambda, 0 or more. Defaults to 0.
        soft_bound: 0 or more, share of the target by which it may be exceeded. Defaults
            to 0, the paper's EM.

    >>> from keras_dsd import regrowth
    >>> regrowth.MEST(growth="gradient", soft_bound=0.1).needs
    ('gradient',)
    """

    _: dataclasses.KW_ONLY
    growth: str = "random"
    gradient_factor: float = 0.0
    soft_bound: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        self._check(_checks.not_negative, "gradient_factor", "soft_bound")

    @property
    def needs(self):  # type: ignore[override]
        """What the scores look at."""
        gradient = self.growth == "gradient" or self.gradient_factor
        both = (("gradient", gradient), ("random", self.growth == "random"))
        return tuple(name for name, is_needed in both if is_needed)

    def drop_score(self, connections):
        """Returns |weight| + gradient_factor * |gradient|."""
        if not self.gradient_factor:
            return connections.value
        size = ops.abs(connections.gradient)
        return ops.abs(connections.value) + self.gradient_factor * size

    def budget(self, numbers, decayed, is_last):
        """Returns how many weights of each tensor stay, and how many then come."""
        room = 0.0 if is_last else self.soft_bound * decayed
        most = numbers.target + np.array(
            [int(counts.as_fraction(room) * int(n)) for n in numbers.target], int
        )
        most = np.minimum(most, numbers.size)
        stay = most - _shares(numbers.target, self.drop_fraction * decayed)
        stay = np.clip(stay, 0, numbers.active)
        return stay, most - stay


@serializable
@dataclasses.dataclass(frozen=True)
class GraNet(_RandomOrGradient):
    """Prunes the whole network step by step, and regrows within each layer.

    Liu et al. 2021, arXiv:2106.10404: at every update all layers together are pruned by
    magnitude to a sparsity that rises as a cubic, then each layer exchanges a share of
    what it has. Differs from the authors' code: ends at the phase's sparsity exactly.

    Args:
        drop_fraction: as for `Regrowth`. Defaults to 0.5.
        decay: as for `Regrowth`. Defaults to `"cosine"`.
        stop: as for `Regrowth`. Defaults to 1.0.
        growth: `"random"` or `"gradient"`. Defaults to `"gradient"`.
        initial_sparsity: with which the phase begins, in [0, 1), no more than the
            phase's own. Defaults to 0.2, as in Wu et al. 2025.
        prune_stop: when the sparsity has reached the phase's, as a share of the phase
            in (0, 1]. Defaults to 0.5.

    >>> from keras_dsd import regrowth
    >>> regrowth.GraNet().schedule(final=0.5, length=100, every=10)(50)
    0.5
    """

    drop_fraction: float = 0.5
    _: dataclasses.KW_ONLY
    stop: float = 1.0
    growth: str = "gradient"
    initial_sparsity: float = 0.2
    prune_stop: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        self._check(_checks.sparsity, "initial_sparsity")
        self._check(_checks.share, "prune_stop")

    def schedule(self, final, length, every):
        """Returns the sparsity over time, see `phases.Sparse.schedule_over`."""
        # However few updates there are, the last of them reaches the end.
        end = min(self.prune_stop * length, (length - 1) // every * every)
        return schedules.Cubic(final, initial=self.initial_sparsity, end=end)


@serializable
@dataclasses.dataclass(frozen=True)
class SNFS(Regrowth):
    """Weights with large momentum come, most where momentum is largest.

    Dettmers & Zettlemoyer 2019, arXiv:1907.04840. A layer's share of what comes is its
    part of the mean momentum of active weights, read from the optimizer's slots.
    Differs: an optimizer here holds no momentum for weights that are not active, so
    what is compared within a layer is a momentum of the tracked gradients, with the
    optimizer's own coefficient; the number of all active weights is kept exactly.

    Args:
        drop_fraction: as for `Regrowth`. Defaults to 0.5.
        decay: as for `Regrowth`. Defaults to `"cosine"`.
        stop: as for `Regrowth`. Defaults to 1.0.

    >>> from keras_dsd import regrowth
    >>> regrowth.SNFS().needs
    ('gradient', 'momentum')
    """

    drop_fraction: float = 0.5
    _: dataclasses.KW_ONLY
    stop: float = 1.0

    needs: ClassVar[tuple] = ("gradient", "momentum")

    def grow_score(self, connections):
        """Returns the sizes of the momenta."""
        return ops.abs(connections.gradient)

    def budget(self, numbers, decayed, is_last):
        """Returns how many weights of each tensor stay, and how many then come."""
        stay, moved = super().budget(numbers, decayed, is_last)
        return stay, _spread(moved.sum(), numbers.momentum, numbers.size - stay)


def _spread(total, shares, room):
    """Returns integers that add up to `total`, in proportion, none above its room."""
    given = np.zeros(len(room), int)
    weight = np.where(np.isfinite(shares), shares, 0.0).astype(float)
    if not weight.sum() > 0:
        weight = np.ones(len(room))
    while (left := total - given.sum()) > 0:
        is_open = given < room
        part = np.where(is_open, weight, 0.0)
        if not part.sum() > 0:  # only layers without any momentum have room
            part = is_open.astype(float)
        exact = left * part / part.sum()
        more = np.floor(exact).astype(int)
        rest = int(left - more.sum())
        order = np.argsort(more - exact, kind="stable")  # the largest remainders
        more[order[is_open[order]][:rest]] += 1
        given = np.minimum(given + more, room)
    return given


BY_NAME = {
    "granet": GraNet,
    "mest": MEST,
    "rigl": RigL,
    "set": SET,
    "snfs": SNFS,
    "static": Static,
}


def get(value):
    """Returns the method that is meant, or a dict of them.

    Args:
        value: a method, a name such as `"rigl"`, or a dict {regular expression
            searched in a weight's path: method or name}, of which the first that
            matches counts; other weights are static.

    Raises:
        TypeError: something else.
        ValueError: an unknown name, an empty dict, or a dict with GraNet, which prunes
            all layers together.

    >>> from keras_dsd import regrowth
    >>> regrowth.get("set")
    SET(drop_fraction=0.3, decay='constant', stop=1.0)
    """
    if isinstance(value, (Regrowth, Static)):
        return value
    if isinstance(value, dict):
        return _get_all(value)
    if not isinstance(value, str):
        raise TypeError(
            "`regrowth` must be a method, its name, or a dict of them by regular "
            f"expression. Known: {sorted(BY_NAME)}. Received: regrowth={value!r}"
        )
    return _checks.known(value, "regrowth", BY_NAME)()


def _get_all(methods):
    if not methods:
        raise ValueError(f"`regrowth` is empty. Received: regrowth={methods!r}")
    for expression in methods:
        try:
            re.compile(expression + "")  # bytes would compile too
        except (TypeError, re.error) as error:
            raise ValueError(
                f"`regrowth` must hold regular expressions ({error}). "
                f"Received: regrowth={methods!r}"
            ) from error
    found = {key: get(value) for key, value in methods.items()}
    if any(isinstance(value, (dict, GraNet)) for value in found.values()):
        raise ValueError(
            "A dict of methods holds no other dict, and no GraNet, which prunes all "
            f"layers together. Received: regrowth={methods!r}"
        )
    return found


def check(value, paths):
    """Raises a ValueError if a regular expression of a dict matches none of `paths`."""
    for expression in value if isinstance(value, dict) else ():
        if not any(re.search(expression, path) for path in paths):
            raise ValueError(
                f"`regrowth` holds {expression!r}, which matches no weight that can be "
                f"pruned: {paths}. Received: regrowth={value!r}"
            )


def choose(value, path):
    """Returns the method for the weight at `path`, given what `get` returned."""
    if not isinstance(value, dict):
        return value
    for expression, method in value.items():
        if re.search(expression, path):
            return method
    return Static()
