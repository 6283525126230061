"""Moving connections: one update of the masks of a sparse phase with regrowth.

Asks the phase's methods which connections go and which come, and finds them by ranking,
all weights of a method in one compiled call. `mask_updates` writes the new masks. Knows
pruned weights, methods and targets; knows no phase and no training loop.
"""

import collections
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_dsd import backend
from keras_dsd.layers import draws
from keras_dsd.optimizers import slots as optimizer_slots
from keras_dsd.regrowth import Connections, Counts
from keras_dsd.sparsity import counts
from keras_dsd.training import arithmetic
from keras_dsd.training.mask_updates import refuse


def for_phase(targets, weights, optimizers):
    """Returns a list of `DropAndGrow`, one for all weights that move alike.

    Args:
        targets: the phase's `Targets`.
        weights: list of `PrunedWeight`, all.
        optimizers: list of the optimizers that train them.
    """
    alike = collections.defaultdict(list)
    for index, target in enumerate(targets.each):
        method = target.method
        if method is not None:
            # What has a sparsity of its own does not get sparser with the phase.
            prunes = method.prunes and target.follows
            alike[method, prunes].append(index)
    return [
        DropAndGrow(method, indices, [weights[i] for i in indices], prunes, optimizers)
        for (method, prunes), indices in alike.items()
    ]


class _Reading(NamedTuple):
    """What scores of one weight are computed from, all tensors.

    Attributes:
        value: the weight.
        scale: by which the loss was multiplied when the gradient was taken.
        gradient: the tracked gradient, a scalar where the method needs none.
        random: random numbers, a scalar where the method needs none.
    """

    value: Any
    scale: Any
    gradient: Any
    random: Any


class DropAndGrow:
    """Moves the connections of some weights by one method.

    Args:
        method: a `regrowth.Regrowth`.
        indices: where its weights stand among all weights of the phase.
        weights: list of `PrunedWeight`.
        prunes: whether they are pruned together first, to the phase's sparsity.
        optimizers: list of the optimizers that train them.
    """

    def __init__(self, method, indices, weights, prunes, optimizers):
        self.method = method
        self.weights = weights
        self._indices = indices
        self._prunes = prunes
        self._optimizers = optimizers
        self._momenta: list = [[] for _ in weights]
        if self._needs("momentum"):
            variables = [weight.variable for weight in weights]
            self._momenta = optimizer_slots.momenta(optimizers, variables)
        by = self._by = arithmetic.of(weights)
        self._rank = by.fused(by.ranking.rank)
        self._mean_momentum = backend.fused(_mean_momentum)
        self._drop_rank = by.fused(self._rank_to_drop)
        self._grow_rank = by.fused(self._rank_to_grow)
        self._measure = by.compiled(self._read_active_and_momentum)
        self._prune = by.compiled(self._pruned_together)
        self._exchange = by.compiled(self._exchanged)

    def _needs(self, what):
        return what in self.method.needs

    # What is compiled reads the variables; what is to be read instead of masks is
    # given: `alive`, a list of masks, empty for those that there are.

    def _read_active_and_momentum(self, alive):
        """Returns how many weights are active, and the list of mean momenta."""
        masks = alive or self._masks()
        active = self._by.counts(masks)
        momenta = [[slot.value for slot in slots] for slots in self._momenta]
        return active, [
            self._mean_momentum(mask, slots)
            for mask, slots in zip(masks, momenta, strict=True)
            if slots
        ]

    def _pruned_together(self, count):
        """Returns masks of the `count` largest weights of all, and what is finite."""
        values = [self._by.read(weight.variable) for weight in self.weights]
        masks = self._masks()
        ranks = [self._rank(*pair) for pair in zip(values, masks, strict=True)]
        return self._by.ranking.best(ranks, masks, count, together=True)

    def _exchanged(self, alive, counts, scales, random):
        """Returns masks after weakest weights went and others came; what is finite.

        Args:
            alive: list of masks.
            counts: integer tensor (2, weights): how many stay, and how many come.
            scales: list of what the loss was multiplied by when the gradient of each
                weight was taken, empty if none are needed.
            random: list of random numbers for each weight, empty if none are needed.
        """
        stay_count, come_count = counts[0], counts[1]
        alive = alive or self._masks()
        read = self._read(scales, random)
        ranks = [self._drop_rank(*pair) for pair in zip(read, alive, strict=True)]
        stay, finite = self._by.ranking.best(ranks, alive, stay_count)
        ranks = [
            self._grow_rank(*pair, come_count[index])
            for index, pair in enumerate(zip(read, stay, strict=True))
        ]
        best = self._by.ranking.best
        new, finite_too = best(ranks, stay, come_count, added=True)
        return new, finite & finite_too

    def _read(self, scales, random):
        """Returns the `_Reading` of each weight."""
        values = [weight.variable.value for weight in self.weights]
        nothing = [np.float32(0)] * len(values)
        gradients = nothing
        if self._needs("gradient"):
            gradients = [weight.gradient.value for weight in self.weights]
        parts = zip(
            values, scales or nothing, gradients, random or nothing, strict=True
        )
        return [_Reading(*one) for one in parts]

    def _masks(self):
        return [self._by.read(weight.mask) for weight in self.weights]

    def _rank_to_drop(self, reading, mask):
        score = self.method.drop_score(self._connections(reading, mask))
        return self._by.ranking.rank(self._by.taken(score), mask)

    def _rank_to_grow(self, reading, mask, count):
        score = self.method.grow_score(self._connections(reading, mask))
        free = self._by.ops.logical_not(mask)
        return self._by.ranking.signed_rank(self._by.taken(score), free, count)

    def _connections(self, reading, mask):
        gradient = random = None
        if self._needs("gradient"):
            scale = ops.cast(reading.scale, reading.gradient.dtype)
            gradient = reading.gradient / scale
        if self._needs("random"):
            random = reading.random
        return Connections(reading.value, ops.convert_to_tensor(mask), gradient, random)

    def choose(self, decayed, is_last, sparsity, targets, seed):
        """Chooses the connections that are due to move; writes nothing.

        Args:
            decayed: what is left of the drop fraction, from 1 to 0.
            is_last: whether no other update follows in the phase.
            sparsity: that of the phase now.
            targets: the phase's `Targets`.
            seed: tuple of what random draws depend on, besides the weight's origin.

        Returns:
            List of new masks, or `None` if nothing is due.

        Raises:
            ValueError: a weight or a score is not finite.
        """
        alive: list = []  # the masks that there are
        active, momentum = self._counted(alive)
        left = self._left_by_pruning(active, sparsity)
        if left is not None:
            alive, finite = self._prune(self._by.integers([left]))
            self._check(finite)
            active, _ = self._counted(alive)
        before = self._counts(active, momentum, targets.active(sparsity))
        stay, come = self.method.budget(before, decayed, is_last)
        if not (decayed or left is not None or (stay != active).any()):
            return None
        scales: list = []
        random: list = []
        if self._needs("gradient"):
            # That of the last batch, unless it has just been changed: a factor for all
            # weights of an optimizer.
            variables = [weight.variable for weight in self.weights]
            found = optimizer_slots.loss_scales(self._optimizers, variables)
            scales = [ops.convert_to_tensor(scale, "float32") for scale in found]
        if self._needs("random"):
            random = [draws.uniform(weight, seed) for weight in self.weights]
        moved = self._by.integers([stay, come])
        new, finite = self._exchange(alive, moved, scales, random)
        self._check(finite)
        return new

    def _counted(self, alive):
        """Returns how many weights are active, an array, and the list of momenta."""
        active, momentum = self._measure(alive)
        return ops.convert_to_numpy(active).astype(int), momentum

    def _left_by_pruning(self, active, sparsity):
        """Returns how many weights of all are to be left, `None` if none has to go."""
        if not self._prunes:
            return None
        size = sum(weight.size for weight in self.weights)
        left = size - counts.zeros(size, sparsity)
        return left if active.sum() > left else None

    def _counts(self, active, momentum, wanted):
        """Returns the `Counts` that a budget is made from.

        Args:
            active: array, how many of each weight are active.
            momentum: list of mean momenta.
            wanted: how many of each weight of the phase are to live, or `None`.
        """
        own = [wanted[index] for index in self._indices]
        target = [
            now if count is None else count
            for count, now in zip(own, active, strict=True)
        ]
        mean = None
        if self._needs("momentum"):
            mean = ops.convert_to_numpy(ops.stack(momentum))
        size = np.array([weight.size for weight in self.weights])
        return Counts(size, active, np.array(target), mean)

    def _check(self, finite):
        flags = ops.convert_to_numpy(finite)
        if not flags.all():
            refuse(self.weights[int(flags.argmin())])


def _mean_momentum(mask, slots):
    """Mean size of the momentum over active weights; Adam's relative to its spread."""
    size, *spread = (ops.abs(ops.cast(slot, "float32")) for slot in slots)
    if spread:
        size = size / (ops.sqrt(spread[0]) + 1e-8)
    active = ops.cast(mask, "float32")
    return ops.sum(size * active) / ops.maximum(ops.sum(active), 1)
