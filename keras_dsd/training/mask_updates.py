"""One mask update: masks, weights and optimizer slots of a model change together.

Chooses nothing by itself: how many zeros says `zero_counts`, which weights says
`sparsity.topk`, what a slot starts with says `optimizers.slots`. All weights are
updated in one compiled call. Knows pruned weights and optimizers; knows no phase and
no training loop.
"""

import collections
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_dsd import backend
from keras_dsd.layers import draws
from keras_dsd.optimizers import slots as optimizer_slots
from keras_dsd.sparsity import topk
from keras_dsd.training.weight_update import Unit, updated


class Kind(NamedTuple):
    """What weights that share one compiled function have in common.

    Attributes:
        pattern: their pattern, or `None` if their masks are given.
        fresh: tuple of what each slot starts with.
        has_rewind: whether values to go back to are kept.
        has_explored: whether it is kept which entries have lived.
    """

    pattern: Any
    fresh: tuple
    has_rewind: bool
    has_explored: bool


class Alike(NamedTuple):
    """Some weights of one `Kind`, and the compiled function that updates them.

    Attributes:
        indices: theirs among all weights.
        run: function of columns with an entry for each of them.
    """

    indices: list
    run: Any


class MaskUpdates:
    """Updates the masks of some weights of one model.

    Args:
        weights: list of `PrunedWeight`.
        optimizers: list of the optimizers that train them.
    """

    def __init__(self, weights, optimizers):
        self._weights = weights
        self.optimizers = optimizers
        self.find_slots()

    def find_slots(self):
        """Finds the weights' slots, in the optimizers that are built by now."""
        variables = [weight.variable for weight in self._weights]
        self._slots = optimizer_slots.find(self.optimizers, variables)
        self._compiled: dict = {}

    @property
    def averages(self):
        """{id(weight): the optimizer's moving average of it}."""
        return {
            id(weight.variable): slot.variable
            for weight, slots in zip(self._weights, self._slots, strict=True)
            for slot in slots
            if slot.is_average
        }

    def prune(self, targets, sparsity, seed=None):
        """Chooses new masks by magnitude and applies them to weights and slots.

        In two steps: nothing is written before all weights have been looked at.

        Args:
            targets: the phase's `Targets`.
            sparsity: that of the phase now.
            seed: tuple of what random draws depend on, besides the weight's origin;
                then chance chooses instead. Defaults to `None`.

        Raises:
            ValueError: a weight is not finite; then nothing has changed.
        """
        weight_patterns = tuple(target.pattern for target in targets.each)
        shared = tuple(target.final is None for target in targets.each)
        key = weight_patterns, shared
        if key not in self._compiled:
            self._compiled[key] = self._compile(*key)
        decide, updates = self._compiled[key]
        zeros = np.array([count or 0 for count in targets.zeros(sparsity)], "int32")
        scores = [] if seed is None else self._draw_all(seed)
        finite, decided = decide(scores, ops.convert_to_tensor(zeros))
        finite = ops.convert_to_numpy(finite)
        if not finite.all():
            refuse(self._weights[int(finite.argmin())])
        for alike, columns in zip(updates, decided, strict=True):
            if seed is None:
                alike.run(*columns)
                continue
            new = [
                topk.mask(scores[index], weight_patterns[index], *one)
                for index, *one in zip(alike.indices, *columns, strict=True)
            ]
            self.apply([self._weights[index] for index in alike.indices], new)

    def _draw_all(self, seed):
        """Returns random scores, in place of weights that are known to be finite."""
        for weight in self._weights:
            if not bool(ops.all(ops.isfinite(weight.variable.value))):
                refuse(weight)
        return [draws.uniform(weight, seed) for weight in self._weights]

    def apply(self, weights, masks):
        """Applies given masks to some of the weights and to their slots.

        Args:
            weights: list of `PrunedWeight`.
            masks: list of boolean tensors, one for each.
        """
        index_of = {id(weight): index for index, weight in enumerate(self._weights)}
        indices = tuple(index_of[id(weight)] for weight in weights)
        if indices not in self._compiled:
            given = [None] * len(self._weights)
            self._compiled[indices] = self._compile_all(given, indices)
        mask_of = dict(zip(indices, masks, strict=True))
        for alike in self._compiled[indices]:
            alike.run([mask_of[index] for index in alike.indices])

    def apply_again(self):
        """Applies the masks that there are once more to weights and slots."""
        masks = [ops.copy(weight.mask.value) for weight in self._weights]
        self.apply(self._weights, masks)

    def _compile(self, weight_patterns, shared):
        """Returns what decides on all masks, and the list of `Alike` that apply it."""
        updates = self._compile_all(weight_patterns, range(len(self._weights)))

        def decide(scores, zeros):
            if not scores:
                scores = [weight.variable.value for weight in self._weights]
            decisions = topk.decide(scores, weight_patterns, zeros, shared)
            decided = [decisions.columns(alike.indices) for alike in updates]
            return decisions.finite, decided

        return backend.compiled(decide), updates

    def _compile_all(self, weight_patterns, indices):
        """Returns a list of `Alike`: weights that are updated alike share a function.

        Args:
            weight_patterns: the pattern of each of all weights, or `None`.
            indices: of the weights that are to be updated.
        """
        grouped = collections.defaultdict(list)
        for index in indices:
            weight = self._weights[index]
            kind = Kind(
                weight_patterns[index],
                tuple(slot.fresh or 0.0 for slot in self._slots[index]),
                weight.rewind is not None,
                weight.explored is not None,
            )
            grouped[kind].append(index)
        return [
            Alike(indices, self._compile_one(kind, indices))
            for kind, indices in grouped.items()
        ]

    def _compile_one(self, kind, indices):
        """Returns the compiled function of a `Kind`, for the weights at `indices`."""
        units = [self._unit(index) for index in indices]
        any_unit = units[0]  # all have the same parts

        def choose(values, *decided):
            if kind.pattern is None:  # a mask
                return decided[0]
            return topk.mask(any_unit.filled(values).weight, kind.pattern, *decided)

        def apply(values, mask):
            return updated(any_unit.filled(values), mask, kind.fresh).flat()

        return backend.compiled_update_each(
            choose, apply, [unit.flat() for unit in units]
        )

    def _unit(self, index):
        weight = self._weights[index]
        slots = tuple(slot.variable for slot in self._slots[index])
        return Unit(weight.variable, weight.mask, slots, weight.rewind, weight.explored)

    def take_off(self, restore, seed):
        """Takes all masks off; survivors keep values and slots.

        So does a weight that has been frozen since: nothing in training changes it.

        Args:
            restore: what the others come back with: "zero", "rewind" or "random".
            seed: tuple of what random draws depend on, besides the weight's origin.
        """
        for weight, slots in zip(self._weights, self._slots, strict=True):
            mask = ops.copy(weight.mask.value)
            if weight.variable.trainable:
                self._restore(weight, slots, mask, restore, seed)
            weight.mask.assign(ops.ones_like(mask))
            if weight.explored is not None:
                weight.explored.assign(ops.ones_like(mask))

    def _restore(self, weight, slots, mask, restore, seed):
        back = self._restored(weight, restore, seed)
        self._fill(weight.variable, mask, back)
        for slot in slots:
            starts_as_weight = slot.fresh is None or slot.is_average
            self._fill(slot.variable, mask, back if starts_as_weight else slot.fresh)

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
        return draws.glorot_uniform(weight, seed)

    def zeros_are_kept(self, with_slots=False):
        """Returns whether all weights are exactly 0 where their masks say so.

        Op by op: it is asked once an epoch, and a trace would take longer.

        Args:
            with_slots: whether the slots must be fresh there too.
        """
        strays = []
        for weight, slots in zip(self._weights, self._slots, strict=True):
            pruned = ops.logical_not(weight.mask.value)
            wanted = [(weight.variable, 0.0)]
            if with_slots:
                wanted += [(slot.variable, slot.fresh or 0.0) for slot in slots]
            for variable, value in wanted:
                differs = ops.not_equal(variable.value, ops.cast(value, variable.dtype))
                strays.append(ops.any(ops.logical_and(differs, pruned)))
        return not ops.convert_to_numpy(ops.stack(strays)).any()


def refuse(weight):
    """Raises the error for a weight at which an update can't be made."""
    values = ops.convert_to_numpy(weight.variable).astype("float32")
    nonfinite = values[~np.isfinite(values)]
    if not nonfinite.size:
        raise ValueError(
            "A score by which connections are dropped or grown is not finite. "
            f"Received: scores of {weight.path}"
        )
    raise ValueError(
        "A weight is not finite at a mask update: training has diverged, and there "
        f"are no magnitudes to compare. Received: {weight.path} with {nonfinite.size} "
        f"such values, the first {nonfinite[0]}"
    )
