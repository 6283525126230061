"""One mask update: masks, weights and optimizer slots of a model change together.

Chooses nothing by itself: how many zeros says `targets`, which weights says `masks`,
what a slot starts with says `optimizer_slots`. All weights are updated in one compiled
call. Knows pruned weights and an optimizer; knows no phase and no training loop.
"""

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

        Args:
            targets: the phase's `Targets`.
            sparsity: that of the phase now.

        Raises:
            ValueError: a weight is not finite; then nothing has changed.
        """
        kind = tuple(targets.patterns), tuple(final is None for final in targets.final)
        if kind not in self._compiled:
            self._compiled[kind] = self._compile(*kind)
        zeros = [number or 0 for number in targets.zeros(sparsity)]
        finite = self._compiled[kind](ops.convert_to_tensor(np.array(zeros, "int32")))
        finite = keras.ops.convert_to_numpy(finite)
        if not finite.all():
            weight = self._weights[int(np.argmin(finite))]
            values = keras.ops.convert_to_numpy(weight.variable).astype("float32")
            bad = values[~np.isfinite(values)]
            raise ValueError(
                "A weight is not finite at a mask update, so training has diverged "
                f"and no magnitude can be compared. Received: {weight.path} with "
                f"{bad.size} such values, the first {bad[0]}"
            )

    def _compile(self, weight_patterns, shared):
        slots = [
            (number, slot)
            for number, its_slots in enumerate(self._slots)
            for slot in its_slots
        ]
        rewinds = [n for n, weight in enumerate(self._weights) if weight.rewind is not None]
        variables = {
            "weights": [weight.variable for weight in self._weights],
            "masks": [weight.mask for weight in self._weights],
            "slots": [slot.variable for _, slot in slots],
            "rewinds": [self._weights[number].rewind for number in rewinds],
        }

        def update(values, zeros):
            weights, old = values["weights"], values["masks"]
            new, finite = masks.choose(weights, weight_patterns, zeros, shared)
            sound = ops.all(finite)  # or else nothing changes
            new = [ops.where(sound, a, b) for a, b in zip(new, old, strict=True)]
            result = {
                "weights": [
                    ops.where(mask | ~sound, weight, ops.zeros((), weight.dtype))
                    for mask, weight in zip(new, weights, strict=True)
                ],
                "masks": new,
                # A weight that lived before and lives now keeps its slots; one that
                # goes or comes back gets those of a new weight that is 0.
                "slots": [
                    ops.where(
                        (new[number] & old[number]) | ~sound,
                        value,
                        ops.cast(slot.fresh or 0.0, value.dtype),
                    )
                    for (number, slot), value in zip(slots, values["slots"], strict=True)
                ],
                "rewinds": [
                    ops.where(old[number] & ~new[number], weights[number], value)
                    for number, value in zip(rewinds, values["rewinds"], strict=True)
                ],
            }
            return result, finite

        return backend.compiled_update(update, variables)

    def take_off(self, restore, seed):
        """Takes all masks off; survivors keep values and slots.

        Args:
            restore: what the others come back with: "zero", "rewind" or "random".
            seed: tuple of what random draws depend on, besides the weight's path.
        """
        for weight, slots in zip(self._weights, self._slots, strict=True):
            mask = ops.copy(weight.mask.value)
            if restore != "zero":
                back = self._restored(weight, restore, seed)
                self._fill(weight.variable, mask, back)
                for slot in slots:
                    if slot.fresh is None or slot.is_average:
                        self._fill(slot.variable, mask, back)
            weight.mask.assign(ops.ones_like(mask))

    @staticmethod
    def _fill(variable, mask, values):
        values = ops.cast(values, variable.dtype)
        variable.assign(ops.where(mask, variable.value, values))

    @staticmethod
    def _restored(weight, restore, seed):
        if restore == "rewind":
            return weight.rewind.value
        # A stable hash: Python's own differs from process to process.
        name = "/".join(map(str, (*seed, weight.path)))
        initializer = keras.initializers.GlorotUniform(seed=zlib.crc32(name.encode()))
        return initializer(weight.shape, weight.variable.dtype)

    def sparsity(self):
        """Returns the fraction of the weights that the masks hold at zero."""
        size = sum(weight.size for weight in self._weights)
        alive = sum(
            int(ops.count_nonzero(weight.mask.value)) for weight in self._weights
        )
        return (size - alive) / size
