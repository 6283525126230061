"""The published methods of regrowth, each a drop score, a growth score and a budget.

Knows scores and counts; knows no model, no optimizer and no phase.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from keras import ops

from keras_dsd._shared import checks
from keras_dsd._shared.config import serializable
from keras_dsd.regrowth.base import Method, Regrowth, shares_of
from keras_dsd.sparsity import schedules

GROWTHS = ("gradient", "random")


@serializable
@dataclasses.dataclass(frozen=True)
class Static(Method):
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
        """Returns the random counts."""
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
        checks.one_of(self.growth, "growth", GROWTHS)

    @property
    def needs(self):  # type: ignore[override]
        """What the scores look at."""
        return (self.growth,)

    def grow_score(self, connections):
        """Returns the sizes of the gradients, or the random counts."""
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
        self._check(checks.not_negative, "gradient_factor", "soft_bound")

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

    def budget(self, counts, decayed, is_last):
        """Returns how many weights of each tensor stay, and how many then come."""
        above = 0.0 if is_last else self.soft_bound * decayed
        most = counts.target + shares_of(counts.target, above)
        most = np.minimum(most, counts.size)
        stay = most - shares_of(counts.target, self.drop_fraction * decayed)
        stay = np.clip(stay, 0, counts.active)
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
    initial_sparsity: float = 0.2  # type: ignore[misc]
    prune_stop: float = 0.5

    prunes: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        self._check(checks.sparsity, "initial_sparsity")
        self._check(checks.share, "prune_stop")

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

    def budget(self, counts, decayed, is_last):
        """Returns how many weights of each tensor stay, and how many then come."""
        stay, moved = super().budget(counts, decayed, is_last)
        return stay, _spread(moved.sum(), counts.momentum, counts.size - stay)


def _spread(total, shares, free):
    """Returns integers that add up to `total`, in proportion to `shares`.

    None is above its entry of `free`, how many weights of a tensor are not active.
    """
    given = np.zeros(len(free), int)
    weight = np.where(np.isfinite(shares), shares, 0.0).astype(float)
    if not weight.sum() > 0:
        weight = np.ones(len(free))
    while (left := total - given.sum()) > 0:
        is_open = given < free
        part = np.where(is_open, weight, 0.0)
        if not part.sum() > 0:  # only layers without any momentum are not full
            part = is_open.astype(float)
        exact = left * part / part.sum()
        more = np.floor(exact).astype(int)
        rest = int(left - more.sum())
        order = np.argsort(more - exact, kind="stable")  # the largest remainders
        more[order[is_open[order]][:rest]] += 1
        given = np.minimum(given + more, free)
    return given
