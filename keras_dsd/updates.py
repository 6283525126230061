"""One mask update: masks, weights and optimizer slots of a model change together.

Chooses nothing by itself: how many zeros says `targets`, which weights says `masks`,
what a slot starts with says `optimizer_slots`. All weights are updated in one compiled
call. Knows pruned weights and an optimizer; knows no phase and no training loop.
"""

import collections
import zlib

import keras
import numpy as np
from keras import ops

from keras_dsd import backend, masks, optimizer_slots


class Updates:
    """Updates the masks of some weights of one model.

    Args:
        weights: list of `PrunedWeight`.
        optimizer: the built optimizer that trains them.
    """

    def __init__(self, weights, optimizer):
        self._weights = weights
        self._slots = optimizer_slots.find(
            optimizer, [weight.variable for weight in weights]
        )
        self._compiled = {}

    @property
    def averages(self):
        """{id(weight): the optimizer's moving average of it}."""
        return {
            id(weight.variable): slot.variable
            for weight, slots in zip(self._weights, self._slots, strict=True)
            for slot in slots
            if slot.is_average
        }

    def prune(self, targets, sparsity):
        """Chooses new masks by magnitude and lays them over weights and slots.

        In two steps: nothing is written before all weights have been looked at.

        Args:
            targets: the phase's `Targets`.
            sparsity: that of the phase now.

        Raises:
            ValueError: a weight is not finite; then nothing has changed.
        """
        kind = tuple(targets.patterns), tuple(final is None for final in targets.final)
        if kind not in self._compiled:
            self._compiled[kind] = self._compile(*kind)
        decide, apply = self._compiled[kind]
        zeros = np.array([number or 0 for number in targets.zeros(sparsity)], "int32")
        decisions = decide(
            [weight.variable.value for weight in self._weights],
            ops.convert_to_tensor(zeros),
        )
        for weight, decision in zip(self._weights, decisions, strict=True):
            if not bool(decision.finite):
                self._refuse(weight)
        for numbers, run in apply:
            run([(decisions[number],) for number in numbers])

    @staticmethod
    def _refuse(weight):
        values = ops.convert_to_numpy(weight.variable).astype("float32")
        bad = values[~np.isfinite(values)]
        raise ValueError(
            "A weight is not finite at a mask update: training has diverged, and there "
            f"are no magnitudes to compare. Received: {weight.path} with {bad.size} "
            f"such values, the first {bad[0]}"
        )

    def _compile(self, weight_patterns, shared):
        def decide(weights, zeros):
            return masks.decide(weights, weight_patterns, zeros, shared)

        # Weights that are updated alike share one compiled function.
        alike = collections.defaultdict(list)
        for number, (weight, slots) in enumerate(
            zip(self._weights, self._slots, strict=True)
        ):
            fresh = tuple(slot.fresh or 0.0 for slot in slots)
            rewinds = weight.rewind is not None
            alike[weight_patterns[number], fresh, rewinds].append(number)
        return backend.compiled(decide), [
            (numbers, self._compile_apply(numbers, *kind))
            for kind, numbers in alike.items()
        ]

    def _compile_apply(self, numbers, pattern, fresh, rewinds):
        def apply(values, decision):
            weight, old, *slots = values
            new = masks.mask(weight, pattern, decision)
            # A weight that lived before and lives now keeps its slots; one that goes
            # or comes back gets those of a new weight that is 0.
            results = [
                ops.where(new, weight, ops.zeros((), weight.dtype)),
                new,
                *(
                    ops.where(new & old, slot, ops.cast(value, slot.dtype))
                    for slot, value in zip(slots, fresh, strict=False)
                ),
            ]
            if rewinds:
                results.append(ops.where(old & ~new, weight, slots[-1]))
            return results, ()

        units = []
        for number in numbers:
            weight = self._weights[number]
            slots = [slot.variable for slot in self._slots[number]]
            rewind = [weight.rewind] if rewinds else []
            units.append([weight.variable, weight.mask, *slots, *rewind])
        return backend.compiled_update_each(apply, units)

    def take_off(self, restore, seed):
        """Takes all masks off; survivors keep values and slots.

        Args:
            restore: what the others come back with: "zero", "rewind" or "random".
            seed: tuple of what random draws depend on, besides the weight's origin.
        """
        for weight, slots in zip(self._weights, self._slots, strict=True):
            mask = ops.copy(weight.mask.value)
            back = self._restored(weight, restore, seed)
            self._fill(weight.variable, mask, back)
            for slot in slots:
                starts_as_weight = slot.fresh is None or slot.is_average
                self._fill(
                    slot.variable, mask, back if starts_as_weight else slot.fresh
                )
            weight.mask.assign(ops.ones_like(mask))

    @staticmethod
    def _fill(variable, mask, values):
        values = ops.cast(values, variable.dtype)
        variable.assign(ops.where(mask, variable.value, values))

    @staticmethod
    def _restored(weight, restore, seed):
        if restore == "zero":
            return 0.0
        if restore == "rewind":
            return weight.rewind.value
        # A stable hash: Python's own differs from process to process.
        name = "/".join(map(str, (*seed, weight.origin)))
        initializer = keras.initializers.GlorotUniform(seed=zlib.crc32(name.encode()))
        return initializer(weight.shape, weight.variable.dtype)

    def sparsity(self):
        """Returns the fraction of the weights that the masks hold at zero."""
        size = sum(weight.size for weight in self._weights)
        alive = sum(
            int(ops.sum(ops.cast(weight.mask.value, "int32")))
            for weight in self._weights
        )
        return (size - alive) / size
