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

from keras_dsd.layers import draws
from keras_dsd.optimizers import slots as optimizer_slots
from keras_dsd.sparsity import patterns
from keras_dsd.training import arithmetic
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
        self._by = arithmetic.of(weights)
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
        by, decide, updates = self._compiled[key]
        zeros = [count or 0 for count in targets.zeros(sparsity)]
        scores = [] if seed is None else self._draw_all(seed, by)
        finite, decided = decide(scores, by.integers(zeros))
        finite = ops.convert_to_numpy(finite)
        if not finite.all():
            refuse(self._weights[int(finite.argmin())])
        for alike, columns in zip(updates, decided, strict=True):
            if seed is None:
                alike.run(*columns)
                continue
            new = [
                by.ranking.mask(scores[index], weight_patterns[index], *one)
                for index, *one in zip(alike.indices, *columns, strict=True)
            ]
            self.apply([self._weights[index] for index in alike.indices], new)

    def _draw_all(self, seed, by):
        """Returns random scores, in place of weights that are known to be finite."""
        for weight in self._weights:
            if not bool(by.ops.all(by.ops.isfinite(by.read(weight.variable)))):
                refuse(weight)
        return [by.taken(draws.uniform(weight, seed)) for weight in self._weights]

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
            self._compiled[indices] = self._compile_all(given, indices, self._by)
        mask_of = dict(zip(indices, masks, strict=True))
        for alike in self._compiled[indices]:
            alike.run([self._by.taken(mask_of[index]) for index in alike.indices])

    def apply_again(self):
        """Applies the masks that there are once more to weights and slots."""
        masks = [self._copy(weight.mask) for weight in self._weights]
        self.apply(self._weights, masks)

    def _compile(self, weight_patterns, shared):
        """Returns by what it is reckoned, what decides, the `Alike`s that apply it."""
        is_free = all(one == patterns.Unstructured() for one in weight_patterns)
        by = self._by if is_free else arithmetic.ByBackend
        updates = self._compile_all(weight_patterns, range(len(self._weights)), by)

        def decide(scores, zeros):
            if not scores:
                scores = [by.read(weight.variable) for weight in self._weights]
            decisions = by.ranking.decide(scores, weight_patterns, zeros, shared)
            decided = [decisions.columns(alike.indices) for alike in updates]
            return decisions.finite, decided

        return by, by.compiled(decide), updates

    def _compile_all(self, weight_patterns, indices, by):
        """Returns a list of `Alike`: weights that are updated alike share a function.

        Args:
            weight_patterns: the pattern of each of all weights, or `None`.
            indices: of the weights that are to be updated.
            by: by what it is reckoned, see `arithmetic`.
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
            Alike(indices, self._compile_one(kind, indices, by))
            for kind, indices in grouped.items()
        ]

    def _compile_one(self, kind, indices, by):
        """Returns the compiled function of a `Kind`, for the weights at `indices`."""
        units = [self._unit(index) for index in indices]
        any_unit = units[0]  # all have the same parts

        def choose(values, *decided):
            if kind.pattern is None:  # a mask
                return decided[0]
            weight = any_unit.filled(values).weight
            return by.ranking.mask(weight, kind.pattern, *decided)

        def apply(values, mask):
            return updated(any_unit.filled(values), mask, kind.fresh, by).flat()

        return by.update_each(choose, apply, [unit.flat() for unit in units])

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
            mask = self._copy(weight.mask)
            if weight.variable.trainable:
                self._restore(weight, slots, mask, restore, seed)
            weight.mask.assign(self._by.ops.ones_like(mask))
            if weight.explored is not None:
                weight.explored.assign(self._by.ops.ones_like(mask))

    def _restore(self, weight, slots, mask, restore, seed):
        back = self._restored(weight, restore, seed)
        self._fill(weight.variable, mask, back)
        for slot in slots:
            starts_as_weight = slot.fresh is None or slot.is_average
            self._fill(slot.variable, mask, back if starts_as_weight else slot.fresh)

    def _copy(self, variable):
        return self._by.ops.copy(self._by.read(variable))

    def _fill(self, variable, mask, values):
        values = self._by.cast(values, variable.dtype)
        variable.assign(self._by.ops.where(mask, self._by.read(variable), values))

    def _restored(self, weight, restore, seed):
        if restore == "zero":
            return 0.0
        if restore == "rewind":
            return self._by.read(weight.rewind)
        return self._by.taken(draws.glorot_uniform(weight, seed))

    def zeros_are_kept(self, with_slots=False):
        """Returns whether all weights are exactly 0 where their masks say so.

        Op by op: it is asked once an epoch, and a trace would take longer.

        Args:
            with_slots: whether the slots must be fresh there too.
        """
        strays, some = [], self._by.ops
        for weight, slots in zip(self._weights, self._slots, strict=True):
            pruned = some.logical_not(self._by.read(weight.mask))
            wanted = [(weight.variable, 0.0)]
            if with_slots:
                wanted += [(slot.variable, slot.fresh or 0.0) for slot in slots]
            for variable, value in wanted:
                kept = self._by.cast(value, variable.dtype)
                differs = some.not_equal(self._by.read(variable), kept)
                strays.append(some.any(some.logical_and(differs, pruned)))
        return not ops.convert_to_numpy(some.stack(strays)).any()


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
