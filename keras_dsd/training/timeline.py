"""The timeline: which phase an epoch belongs to, given where the run stood.

Knows phases and epoch numbers; knows no model.
"""

import math

from keras_dsd.training.phases import Phase, Redense


class Timeline:
    """A checked list of phases, and which of them an epoch belongs to.

    Args:
        phases: list of phases, in order.

    Raises:
        TypeError: `phases` is not a list of phases.
        ValueError: it is empty, or a `Redense` comes before any `Sparse`.
    """

    def __init__(self, phases):
        if not isinstance(phases, (list, tuple)) or not all(
            isinstance(phase, Phase) for phase in phases
        ):
            raise TypeError(
                "`phases` must be a list of `phases.Dense`, `phases.Sparse` and "
                f"`phases.Redense`. Received: phases={phases!r}"
            )
        if not phases:
            raise ValueError(f"`phases` must not be empty. Received: phases={phases!r}")
        seen_sparse = seen_auto = False
        for phase in phases:
            seen_sparse = seen_sparse or phase.is_sparse
            if isinstance(phase, Redense) and not seen_sparse:
                raise ValueError(
                    "`Redense` takes off the masks of a `Sparse` phase: it must come "
                    f"after one. Received: phases={phases!r}"
                )
            if phase.is_auto:
                seen_auto = True
            elif seen_auto and phase.is_ramp:
                raise ValueError(
                    "A named schedule begins with the sparsity of the phase before, "
                    "which will only be found: give a schedule with its `initial`. "
                    f"Received: schedule={phase.schedule!r} after sparsity='auto'"
                )
            else:
                seen_auto = False
        self.phases = list(phases)
        self.epochs = sum(phase.epochs for phase in phases)

    @property
    def can_end_early(self):
        """Whether a plateau may make the run shorter than its epochs."""
        return any(phase.until for phase in self.phases)

    @property
    def moves(self):
        """Whether any phase has a method that may move connections."""
        return any(phase.regrowth is not None for phase in self.phases)

    @property
    def searches(self):
        """List of the phases whose sparsity is found in training."""
        return [phase for phase in self.phases if phase.is_auto]

    @property
    def rewinds(self):
        """Whether any phase goes back to the values with which weights were pruned."""
        return any(phase.restore == "rewind" for phase in self.phases)

    def locate(self, epoch, position):
        """Returns (index of the phase, epoch it began with) for `epoch`.

        Follows the stored `position` where `epoch` goes on from it in the same phase,
        so that phases that ended early stay ended; otherwise counts `epochs` from 0.
        After the last phase its state goes on.
        """
        last = len(self.phases) - 1
        if goes_on(position, epoch) and self._holds_phase_of(position):
            index, start = position.phase, position.start
            if position.over and epoch > position.epoch and index < last:
                index, start = index + 1, epoch
        else:
            index, start = 0, 0
        while index < last and epoch >= start + self.phases[index].epochs:
            start += self.phases[index].epochs
            index += 1
        return index, start

    def move(self, position, epoch):
        """Moves a position to an epoch; returns whether a phase is entered."""
        index, start = self.locate(epoch, position)
        # A run that was stopped may go on with other phases than it had.
        here = index, start, self.phases[index].fingerprint
        is_entered = here != (position.phase, position.start, position.fingerprint)
        if is_entered:
            position.phase, position.start, position.fingerprint = here
            position.time = -1
            position.wait, position.over, position.best = 0, 0, math.nan
        position.epoch = epoch
        return is_entered

    def _holds_phase_of(self, position):
        known = position.phase < len(self.phases)
        return known and (
            self.phases[position.phase].fingerprint == position.fingerprint
        )

    def sparsity_before(self, index):
        """Returns the sparsity that the phase before the one at `index` ended with."""
        return self.phases[index - 1].sparsity if index else 0.0

    def last_factor(self, index):
        """Returns the `lr_factor` in force in the phase at `index`, 1.0 if none is."""
        factors = [phase.lr_factor for phase in self.phases[: index + 1]]
        return next((factor for factor in reversed(factors) if factor), 1.0)

    def describe(self, index):
        """Returns a line of text about the phase at `index`."""
        phase = self.phases[index]
        line = f"DSD phase {index + 1}/{len(self.phases)}: {type(phase).__name__}, "
        line += f"{'up to ' if phase.until else ''}{phase.epochs} epoch"
        line += "s" if phase.epochs > 1 else ""
        line += phase.details
        if phase.lr_factor is not None:
            line += f", learning rate x {float(phase.lr_factor):g}"
        return line


def goes_on(position, epoch):
    """Returns whether a run at `epoch` goes on from the stored `position`.

    It does if the epoch follows the stored one, or repeats it because the run was
    killed within it. A new `fit` from an earlier epoch is a new run.
    """
    if position.phase < 0 or epoch < position.epoch:
        return False
    return epoch > position.epoch or not position.finished
