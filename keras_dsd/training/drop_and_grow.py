"""Moving connections: one update of the masks of a sparse phase with regrowth.

Asks the phase's methods which connections go and which come, and finds them by ranking,
all weights of a method in one compiled call. `updates` writes the new masks. Knows
pruned weights, methods and targets; knows no phase and no training loop.
"""

import collections

import keras
import numpy as np
from keras import ops

from keras_dsd import backend
from keras_dsd.layers import draws
from keras_dsd.optimizers import slots as optimizer_slots
from keras_dsd.regrowth import Connections, Counts, GraNet
from keras_dsd.sparsity import counts, topk
from keras_dsd.training.mask_updates import refuse


def for_phase(targets, weights, optimizer):
    """Returns the `Regrowing`s of a phase, one for all weights that move alike.

    Args:
        targets: the phase's `Targets`.
        weights: list of `PrunedWeight`, all.
        optimizer: as for `Regrowing`.
    """
    alike = collections.defaultdict(list)
    for number, method in enumerate(targets.methods):
        if method is not None:
            # What has a sparsity of its own does not get sparser with the phase.
            prunes = isinstance(method, GraNet) and targets.follows[number]
            alike[method, prunes].append(number)
    return [
        Regrowing(method, numbers, [weights[n] for n in numbers], prunes, optimizer)
        for (method, prunes), numbers in alike.items()
    ]


def check(targets, weights, optimizer):
    """Raises if a method lacks what it needs, before anything changes.

    Args:
        targets: the phase's `Targets`.
        weights: list of `PrunedWeight`, all.
        optimizer: the built optimizer.

    Raises:
        ValueError: gradients that are not tracked, that the optimizer does not know or
            gathers over batches, momentum that it does not keep, or averages that Keras
            can't make.
    """
    if any(weight.gradient is not None for weight in weights):
        _check_average(optimizer)
    moving = [
        (method, weight)
        for method, weight in zip(targets.methods, weights, strict=True)
        if method is not None
    ]
    for method, weight in moving:
        if "gradient" in method.needs:
            _check_gradient(type(method).__name__, weight, optimizer)
    # Asked at once, for each call builds a second optimizer.
    carried = [w.variable for method, w in moving if "momentum" in method.needs]
    if carried:
        optimizer_slots.momenta(optimizer, carried)


def _check_average(optimizer):
    # There Keras takes it that every trainable variable has an average.
    options = {"tensorflow": "use_ema", "jax": "ema_overwrite_frequency"}
    option = options.get(keras.backend.backend(), "")
    for leaf in optimizer_slots.leaves(optimizer):
        if leaf.use_ema and getattr(leaf, option, None):
            raise ValueError(
                "On this backend Keras can't average weights while it tracks "
                f"gradients. Leave `{option}` out, or use a method that grows at "
                "random, without `track_gradients`. Received: "
                f"{option}={getattr(leaf, option)!r} in {type(leaf).__name__}, "
                f"KERAS_BACKEND={keras.backend.backend()!r}"
            )


def _check_gradient(name, weight, optimizer):
    if weight.gradient is None:
        raise ValueError(
            f"{name} reads gradients of weights that are not active: pass "
            "`track_gradients=True` to `make_prunable` (or `Prunable`). Received: "
            f"track_gradients=False for {weight.path}"
        )
    steps = optimizer_slots.accumulation(optimizer)
    if steps > 1:
        raise ValueError(
            f"{name} reads gradients, and Keras does not keep the mean of gradients "
            "that it accumulates. Use larger batches, or a method that grows at "
            f"random. Received: gradient_accumulation_steps={steps}"
        )
    if not optimizer_slots.trains(optimizer, weight.gradient):
        raise ValueError(
            "The optimizer was built before gradients were tracked: compile after "
            f"`make_prunable`. Received: optimizer={type(optimizer).__name__}, which "
            f"does not know {weight.gradient.path}"
        )


class Regrowing:
    """Moves the connections of some weights by one method.

    Args:
        method: a `regrowth.Regrowth`.
        numbers: their places among all weights of the phase.
        weights: list of `PrunedWeight`.
        prunes: whether they are pruned together first, to the phase's sparsity.
        optimizer: the built optimizer.
    """

    def __init__(self, method, numbers, weights, prunes, optimizer):
        self.method = method
        self.weights = weights
        self._numbers = numbers
        self._prunes = prunes
        self._optimizer = optimizer
        self._momenta: list = [[] for _ in weights]
        if "momentum" in method.needs:
            variables = [weight.variable for weight in weights]
            self._momenta = optimizer_slots.momenta(optimizer, variables)
        rank, mean = backend.fused(topk.rank), backend.fused(_mean_momentum)
        drop, grow = backend.fused(self._drop_rank), backend.fused(self._grow_rank)

        # These read the variables; what is to be read instead of masks is given.

        def look(masks):
            masks = masks or self._masks()
            sizes = [backend.count(mask) for mask in masks]
            momenta = [[slot.value for slot in slots] for slots in self._momenta]
            pairs = [pair for pair in zip(masks, momenta, strict=True) if pair[1]]
            return ops.stack(sizes), [mean(*pair) for pair in pairs]

        def prune(number):
            values, masks = [w.variable.value for w in weights], self._masks()
            ranks = [rank(*pair) for pair in zip(values, masks, strict=True)]
            return topk.best(ranks, masks, number, together=True)

        def exchange(alive, numbers, scale, random):
            alive = alive or self._masks()
            looked_at = self._looked_at(scale, random)
            ranks = [drop(*pair) for pair in zip(looked_at, alive, strict=True)]
            stay, sound = topk.best(ranks, alive, numbers[0])
            ranks = [
                grow(*one, numbers[1][number])
                for number, one in enumerate(zip(looked_at, stay, strict=True))
            ]
            new, growing = topk.best(ranks, stay, numbers[1], added=True)
            return new, sound & growing

        self._look = backend.compiled(look)
        self._prune = backend.compiled(prune)
        self._exchange = backend.compiled(exchange)

    def _drop_rank(self, looked_at, mask):
        score = self.method.drop_score(self._connections(looked_at, mask))
        return topk.rank(score, mask)

    def _grow_rank(self, looked_at, mask, number):
        score = self.method.grow_score(self._connections(looked_at, mask))
        return topk.signed_rank(score, ops.logical_not(mask), number)

    def _connections(self, looked_at, mask):
        value, scale, gradient, random = looked_at
        needs = self.method.needs
        return Connections(
            value,
            mask,
            gradient / ops.cast(scale, gradient.dtype) if "gradient" in needs else None,
            random if "random" in needs else None,
        )

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
        active, momentum = self._look(alive)
        active = ops.convert_to_numpy(active).astype(int)
        size = np.array([weight.size for weight in self.weights])
        pruned = 0
        if self._prunes:
            left = int(size.sum()) - counts.zeros(int(size.sum()), sparsity)
            pruned = int(active.sum()) - left
            if pruned > 0:
                alive, finite = self._prune(_numbers([left]))
                self._check(finite)
                active, _ = self._look(alive)
                active = ops.convert_to_numpy(active).astype(int)
        wanted = targets.active(sparsity)
        wanted = [wanted[number] for number in self._numbers]
        wanted = [
            now if n is None else n for n, now in zip(wanted, active, strict=True)
        ]
        has_momentum = "momentum" in self.method.needs
        mean = ops.convert_to_numpy(ops.stack(momentum)) if has_momentum else None
        numbers = Counts(size, active, np.array(wanted), mean)
        stay, come = self.method.budget(numbers, decayed, is_last)
        if not (decayed or pruned > 0 or (stay != active).any()):
            return None
        scale, random = ops.convert_to_tensor(1.0), []
        if "gradient" in self.method.needs:
            # That of the last batch, unless it has just been changed: a factor for all.
            scale = self._optimizer.scale_loss(scale)
        if "random" in self.method.needs:
            random = [draws.uniform(weight, seed) for weight in self.weights]
        numbers = _numbers([stay, come])
        new, finite = self._exchange(alive, numbers, scale, random)
        self._check(finite)
        return new

    def _looked_at(self, scale, random):
        """Returns (value, loss scale, gradient, random numbers) of each weight."""
        values = [weight.variable.value for weight in self.weights]
        nothing = [ops.zeros(())] * len(values)
        gradients = nothing
        if "gradient" in self.method.needs:
            gradients = [weight.gradient.value for weight in self.weights]
        scales = [scale] * len(values)
        return list(zip(values, scales, gradients, random or nothing, strict=True))

    def _masks(self):
        return [weight.mask.value for weight in self.weights]

    def _check(self, finite):
        flags = ops.convert_to_numpy(finite)
        if not flags.all():
            weight = self.weights[int(flags.argmin())]
            refuse(weight)


def _numbers(values):
    return ops.convert_to_tensor(np.array(values, "int32"))


def _mean_momentum(mask, slots):
    """Mean size of the momentum over active weights; Adam's relative to its spread."""
    size, *spread = (ops.abs(ops.cast(slot, "float32")) for slot in slots)
    if spread:
        size = size / (ops.sqrt(spread[0]) + 1e-8)
    active = ops.cast(mask, "float32")
    return ops.sum(size * active) / ops.maximum(ops.sum(active), 1)
