"""Masks in force: the layers' states follow a phase, and their zeros are checked.

Knows states, their updates and what an optimizer does with zeros; knows no phase and no
training loop.
"""

import warnings

from keras_dsd.optimizers import slots as optimizer_slots


class Enforcement:
    """Puts the masks of one run in force.

    Args:
        prepared: the model, a `Prepared`.
        updates: the `MaskUpdates` of their weights.

    Attributes:
        check_is_due: whether masks came in force since zeros were last checked.
    """

    def __init__(self, prepared, updates):
        self._states = prepared.states
        self._is_same = prepared.is_same
        self._updates = updates
        self._targets = None
        self._decay = 0.0
        self._guards_all = False  # something has moved zeros that the optimizer keeps
        self._is_told = False  # that something moves zeros which are guarded
        self.check_is_due = False

    @property
    def is_on(self):
        """Whether any layer's masks are in force."""
        return any(state.in_force for state in self._states)

    @property
    def trace_key(self):
        """What of a compiled step depends on the masks in force."""
        return tuple(
            (state.in_force, state.decay, state.in_force * state.guarded)
            for state in self._states
        )

    def begin(self, targets, decay):
        """Puts the masks in force, but not on layers that are kept dense.

        Args:
            targets: the phase's `Targets`.
            decay: how much of a tracked gradient is kept from step to step.
        """
        self._targets, self._decay = targets, decay
        averages = self._updates.averages
        unguarded = set()
        if not self._guards_all:
            unguarded = optimizer_slots.keeps_zeros(self._updates.optimizers)
        for state in self._states:
            if any(targets.prunes(weight) for weight in state.pruned):
                state.enforce(averages, decay, unguarded, self._is_same)
            else:
                state.release()
        self.check_is_due = not self._all_are_guarded()

    def end(self):
        """Puts the masks out of force."""
        for state in self._states:
            state.release()
        self.check_is_due = False

    def guard_all(self):
        """Guards all zeros, for steps of an optimizer that is not known yet.

        After training the model may be compiled with another, and trained without the
        callback.
        """
        if not self._all_are_guarded():
            for state in self._states:
                if state.in_force:
                    state.enforce(self._updates.averages, state.decay)

    def check_zeros(self):
        """Sets zeros back that were moved, and guards all from now on.

        An optimizer that keeps zeros does so unless the gradient of a pruned weight
        reaches it, past the layer's call. Nothing tells that beforehand; afterwards,
        the weights do.
        """
        self.check_is_due = False
        if self._updates.zeros_are_kept():
            return
        self._updates.apply_again()
        if not self._all_are_guarded():
            warnings.warn(
                "Something has moved pruned weights: a loss that reads weights outside "
                "of their layer's call, so that its gradient is not masked, a callback "
                "that writes them, another model with the same layer, or an optimizer "
                "that is not among `DSDCallback`'s `optimizers`. They are set back to "
                "zero; from now on this model does so in every step.",
                stacklevel=2,
            )
            self._guards_all = True
            self.begin(self._targets, self._decay)
        elif not self._is_told:
            self._is_told = True
            warnings.warn(
                "Something other than this model's own steps has moved pruned weights: "
                "a callback that writes them, or another model with the same layer, "
                "whose step was traced before the masks came. They are set back to "
                "zero as each epoch ends, not before.",
                stacklevel=2,
            )

    def _all_are_guarded(self):
        return all(
            state.guarded == len(state.pruned)
            for state in self._states
            if state.in_force
        )
