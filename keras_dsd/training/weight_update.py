"""One weight's part in a mask update: what changes with its mask, and how.

Elementwise on the values of variables. Knows no optimizer and no phase.
"""

from typing import Any, NamedTuple


class Unit(NamedTuple):
    """What an update changes for one weight: variables of one shape, or their values.

    Attributes:
        weight: the weight itself.
        mask: which of its entries live.
        slots: tuple of the optimizer's slots.
        rewind: the values with which entries were pruned, or `None`.
        explored: which entries have lived in the phase, or `None`.
    """

    weight: Any
    mask: Any
    slots: tuple
    rewind: Any
    explored: Any

    def flat(self):
        """Returns a list of what there is."""
        parts = [self.weight, self.mask, *self.slots, self.rewind, self.explored]
        return [part for part in parts if part is not None]

    def filled(self, values):
        """Returns the same unit with the `values` that belong to `flat`."""
        left = iter(values)
        return Unit(
            next(left),
            next(left),
            tuple(next(left) for _ in self.slots),
            None if self.rewind is None else next(left),
            None if self.explored is None else next(left),
        )


def updated(old, mask, fresh, arithmetic):
    """Returns the values of a `Unit` under a new mask.

    A weight that lived before and lives now keeps its slots; one that goes or comes
    back gets those of a new weight that is 0.

    Args:
        old: the `Unit` of values before.
        mask: the new mask.
        fresh: tuple of what each slot starts with.
        arithmetic: by what it is reckoned, see `arithmetic`.
    """
    ops, masked = arithmetic.ops, arithmetic.masked
    stayed = mask & old.mask
    weight = masked(old.weight, mask)
    slots = tuple(
        ops.where(stayed, slot, arithmetic.cast(value, slot.dtype))
        if value
        else masked(slot, stayed)
        for slot, value in zip(old.slots, fresh, strict=True)
    )
    rewind = explored = None
    if old.rewind is not None:
        rewind = ops.where(old.mask & ~mask, old.weight, old.rewind)
    if old.explored is not None:
        explored = old.explored | mask
    return Unit(weight, mask, slots, rewind, explored)
