"""One mask update: masks, weights and optimizer slots of a model change together.

Chooses nothing by itself: how many zeros says `targets`, which weights says `masks`,
what a slot starts with says `optimizer_slots`. All weights are updated in one compiled
call. Knows pruned weights and an optimizer; knows no phase and no training loop.
"""

import collections

import numpy as np
from keras import ops

from keras_dsd import backend
from keras_dsd.layers import draws
from keras_dsd.optimizers import slots as optimizer_slots
from keras_dsd.sparsity import topk


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
        self._compiled: dict = {}

    @property
    def paths(self):
        """The paths that the weights had when they were first wrapped.

        Those are the same in every part of a run that was stopped and goes on, for
        `load_model` gives the weights of some models other paths.
        """
        return [weight.origin for weight in self._weights]

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
        """Chooses new masks by magnitude and lays them over weights and slots.

        In two steps: nothing is written before all weights have been looked at.

        Args:
            targets: the phase's `Targets`.
            sparsity: that of the phase now.
            seed: tuple of what random draws depend on, besides the weight's origin;
                then chance chooses instead. Defaults to `None`.

        Raises:
            ValueError: a weight is not finite; then nothing has changed.
        """
        kind = tuple(targets.patterns), tuple(final is None for final in targets.final)
        if kind not in self._compiled:
            self._compiled[kind] = self._compile(*kind)
        decide, apply = self._compiled[kind]
        zeros = np.array([number or 0 for number in targets.zeros(sparsity)], "int32")
        scores = [] if seed is None else self._draw_all(seed)
        finite, decided = decide(scores, ops.convert_to_tensor(zeros))
        finite = ops.convert_to_numpy(finite)
        if not finite.all():
            refuse(self._weights[int(finite.argmin())])
        for (numbers, run), columns in zip(apply, decided, strict=True):
            if seed is None:
                run(*columns)
                continue
            new = [
                topk.mask(scores[number], targets.patterns[number], *one)
                for number, *one in zip(numbers, *columns, strict=True)
            ]
            self.lay([self._weights[number] for number in numbers], new)

    def _draw_all(self, seed):
        """Returns random scores, in place of weights that are known to be finite."""
        for weight in self._weights:
            if not bool(ops.all(ops.isfinite(weight.variable.value))):
                refuse(weight)
        return [draws.uniform(weight, seed) for weight in self._weights]

    def lay(self, weights, new):
        """Lays given masks over some of the weights and their slots.

        Args:
            weights: list of `PrunedWeight`.
            new: list of boolean tensors, their masks.
        """
        place = {id(weight): number for number, weight in enumerate(self._weights)}
        numbers = tuple(place[id(weight)] for weight in weights)
        if numbers not in self._compiled:
            given = [None] * len(self._weights)
            self._compiled[numbers] = self._compile_all(given, numbers)
        masks = dict(zip(numbers, new, strict=True))
        for alike, run in self._compiled[numbers]:
            run([masks[number] for number in alike])

    def _compile(self, weight_patterns, shared):
        apply = self._compile_all(weight_patterns, range(len(self._weights)))

        def decide(scores, zeros):
            if not scores:
                scores = [weight.variable.value for weight in self._weights]
            decisions = topk.decide(scores, weight_patterns, zeros, shared)
            decided = [decisions.columns(numbers) for numbers, _ in apply]
            return decisions.finite, decided

        return backend.compiled(decide), apply

    def _compile_all(self, weight_patterns, numbers):
        # Weights that are updated alike share one compiled function.
        alike = collections.defaultdict(list)
        for number in numbers:
            weight, slots = self._weights[number], self._slots[number]
            fresh = tuple(slot.fresh or 0.0 for slot in slots)
            extras = tuple(
                name
                for name in ("rewind", "explored")
                if getattr(weight, name) is not None
            )
            alike[weight_patterns[number], fresh, extras].append(number)
        return [
            (numbers, self._compile_apply(numbers, *kind))
            for kind, numbers in alike.items()
        ]

    def _compile_apply(self, numbers, pattern, fresh, extras):
        def choose(values, *decided):
            if pattern is None:  # a mask
                return decided[0]
            return topk.mask(values[0], pattern, *decided)

        def lay(values, new):
            weight, old, *slots = values
            # A weight that lived before and lives now keeps its slots; one that goes
            # or comes back gets those of a new weight that is 0.
            stayed = new & old
            results = [backend.masked(weight, new), new]
            for slot, value in zip(slots, fresh, strict=False):
                if value:
                    kept = ops.where(stayed, slot, ops.cast(value, slot.dtype))
                else:
                    kept = backend.masked(slot, stayed)
                results.append(kept)
            extra = dict(zip(extras, slots[len(fresh) :], strict=True))
            if "rewind" in extra:
                results.append(ops.where(old & ~new, weight, extra["rewind"]))
            if "explored" in extra:
                results.append(extra["explored"] | new)
            return results

        units = []
        for number in numbers:
            weight = self._weights[number]
            slots = [slot.variable for slot in self._slots[number]]
            kept = [getattr(weight, name) for name in extras]
            units.append([weight.variable, weight.mask, *slots, *kept])
        return backend.compiled_update_each(choose, lay, units)

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
            if weight.explored is not None:
                weight.explored.assign(ops.ones_like(mask))

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

    def sparsity(self):
        """Returns the fraction of the weights that the masks hold at zero."""
        size = sum(weight.size for weight in self._weights)
        return (size - self._count([w.mask.value for w in self._weights])) / size

    def explored(self):
        """Returns the fraction of the weights that have lived in the phase."""
        size = sum(weight.size for weight in self._weights)
        return self._count([w.explored.value for w in self._weights]) / size

    def forget_explored(self):
        """Only what lives now has lived: a phase begins."""
        for weight in self._weights:
            weight.explored.assign(ops.copy(weight.mask.value))

    def masks(self):
        """Returns copies of all masks, for `churn`."""
        return [ops.copy(weight.mask.value) for weight in self._weights]

    def churn(self, before):
        """Returns the fraction of the living weights that were not alive `before`."""
        now = [weight.mask.value for weight in self._weights]
        come = [new & ~old for new, old in zip(now, before, strict=True)]
        return self._count(come) / max(self._count(now), 1)

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

    def lay_again(self):
        """Lays the masks that there are once more over weights and slots."""
        self.lay(self._weights, self.masks())

    def _count(self, masks):
        if "count" not in self._compiled:
            self._compiled["count"] = backend.compiled(
                lambda masks: ops.stack([backend.count(mask) for mask in masks])
            )
        found = ops.convert_to_numpy(self._compiled["count"](masks))
        return int(found.astype("int64").sum())


def refuse(weight):
    """Raises the error for a weight at which an update can't be made."""
    values = ops.convert_to_numpy(weight.variable).astype("float32")
    bad = values[~np.isfinite(values)]
    if not bad.size:
        raise ValueError(
            "A score by which connections are dropped or grown is not finite. "
            f"Received: scores of {weight.path}"
        )
    raise ValueError(
        "A weight is not finite at a mask update: training has diverged, and there "
        f"are no magnitudes to compare. Received: {weight.path} with {bad.size} "
        f"such values, the first {bad[0]}"
    )
