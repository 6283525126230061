"""The sparse phase in play: its first masks, and every later update of them.

Knows one phase, its schedule, its targets and the updates of masks; knows no list of
phases and no training loop.
"""

import dataclasses
from typing import Any

from keras_dsd.optimizers import slots as optimizer_slots


@dataclasses.dataclass
class SparsePhase:
    """Plays one `phases.Sparse` on the weights of one model.

    Args:
        phase: the phase.
        schedule: its sparsity over time, a callable of the time since it began.
        targets: its `Targets`.
        updates: the `MaskUpdates` of the weights.
        moving: list of `DropAndGrow`, empty in a phase without `regrowth`.
        clock: the run's `Clock`.
        seed: tuple of what the phase's random draws depend on.
        is_first: whether no phase comes before it.
    """

    phase: Any
    schedule: Any
    targets: Any
    updates: Any
    moving: list
    clock: Any
    seed: tuple
    is_first: bool

    def apply_first_masks(self, time):
        """Chooses and applies the masks with which the phase begins.

        Args:
            time: the time of the first update due, 0 unless the phase was entered late.

        Returns:
            The fraction of connections that were dropped to regrow, which is 0.
        """
        # Nothing has been learned that could choose, and masks that move will.
        by_chance = self.is_first and self.phase.regrowth is not None
        seed = (*self.seed, "masks") if by_chance else None
        sparsity = self.schedule(time)
        initial = self.phase.initial_sparsity if self.moving else sparsity
        self.updates.prune(self.targets, initial, seed)
        if sparsity != initial:  # a phase too short for any other update
            self._move(self.clock.length(self.phase), sparsity)
        return 0.0

    def update(self, time, before):
        """Updates the masks.

        Args:
            time: the time of the update.
            before: that of the update before it.

        Returns:
            The fraction of connections that were dropped to regrow; `None` if it turned
            out that nothing was due.
        """
        sparsity = self.schedule(time)
        if self.moving:
            return self._move(time, sparsity)
        if sparsity == self.schedule(before):
            return None
        self.updates.prune(self.targets, sparsity)
        return 0.0

    def choose_again(self, time):
        """Chooses the masks of a time anew, for weights that came without them.

        By magnitude, of which zeros have the least: so zeros stay where they are.

        Args:
            time: that of the last update.
        """
        self.updates.prune(self.targets, self.schedule(max(time, 0)))

    def _move(self, time, sparsity):
        every = self.phase.update_every or 1
        length = self.clock.length(self.phase)
        weights: list = []
        masks: list = []
        fractions = []
        for some in self.moving:
            decayed = some.method.decayed(time, length) if time < length else 0.0
            is_last = time + every >= length
            seed = (*self.seed, time)
            new = some.choose(decayed, is_last, sparsity, self.targets, seed)
            if new is not None:
                weights += some.weights
                masks += new
                fractions.append(some.method.drop_fraction * decayed)
        if not fractions:
            return None
        self.updates.apply(weights, masks)
        return max(fractions)

    def is_at_its_sparsity(self, time):
        """Returns whether the schedule has reached the phase's sparsity by `time`."""
        return self.schedule(time) == self.phase.sparsity

    def gradient_decay(self, optimizers):
        """Returns how much of a tracked gradient is kept from step to step.

        More than nothing only where a method compares momenta of gradients.
        """
        if any("momentum" in some.method.needs for some in self.moving):
            return optimizer_slots.momentum_coefficient(optimizers)
        return 0.0
