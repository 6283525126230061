"""What is checked and made before training begins, so that nothing fails halfway.

Knows a model, its optimizers and a timeline; knows no training loop.
"""

import dataclasses
import weakref
from typing import Any

from keras_dsd.layers import conversion
from keras_dsd.optimizers import model_optimizers
from keras_dsd.optimizers.learning_rates import Rates
from keras_dsd.training import method_needs
from keras_dsd.training.zero_counts import Targets


@dataclasses.dataclass
class Prepared:
    """A model as a run needs it.

    Args:
        states: list of its layers' `PruningState`s, built.
        optimizers: {name: optimizer} of those that train it. An only one is built.
        rates: their `Rates`.
        targets: {index of a sparse phase: its `Targets`}; of one whose sparsity is
            "auto", those of another sparsity until it is found.
        is_same: function of whether the model is still compiled with its optimizer.
        validation: the `Validation` on which that is found, or `None`.
    """

    states: list
    optimizers: dict
    rates: Any
    targets: dict
    is_same: Any
    validation: Any = None

    @property
    def weights(self):
        """List of the `PrunedWeight`s of all layers."""
        return [weight for state in self.states for weight in state.pruned]

    def check_needs(self):
        """Raises a ValueError if a phase's method lacks what it needs."""
        optimizers = list(self.optimizers.values())
        for one in self.targets.values():
            method_needs.check(one, self.weights, optimizers)


def prepare(model, timeline, optimizers=None):
    """Checks what a run will need; the last thing done is to make what it keeps.

    Args:
        model: the compiled model.
        timeline: the `Timeline`.
        optimizers: list of those that train it, if a user named them.

    Returns:
        A `Prepared`.

    Raises:
        TypeError, ValueError: the model is not prunable, built and compiled, or the
            phases do not fit it; then nothing has changed.
    """
    states = conversion.built_states(model)
    found = model_optimizers.chosen(model, optimizers)
    if not found:
        raise ValueError(
            "The model needs an optimizer: compile it, make optimizers its attributes, "
            "or pass `DSDCallback(..., optimizers=[...])`. Received: optimizer=None"
        )
    weights = [weight for state in states for weight in state.pruned]
    targets = {
        index: _targets(phase, weights)
        for index, phase in enumerate(timeline.phases)
        if phase.is_sparse
    }
    # Of several, what each trains is for the model to say, and it may use but some.
    if list(found) == ["optimizer"] and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    rates = Rates(list(found.values()))
    if any(phase.lr_factor is not None for phase in timeline.phases):
        rates.check()
    prepared = Prepared(states, found, rates, targets, _is_same(model))
    prepared.check_needs()
    for state in states:
        if timeline.rewinds:
            state.keep_pruned_values()
        if timeline.moves:
            state.keep_explored()
        if timeline.searches:
            state.keep_found()
    return prepared


def _is_same(model):
    """Returns a function of whether a model has the optimizer that it has now.

    Layers keep it: of a `fit` that was interrupted nothing else is left to know it.
    """
    model = weakref.ref(model)
    optimizer = getattr(model(), "optimizer", None)
    then = (lambda: None) if optimizer is None else weakref.ref(optimizer)
    return lambda: model() is None or getattr(model(), "optimizer", None) is then()


def _targets(phase, weights):
    if not phase.is_auto:
        return Targets(phase, weights)
    targets = Targets(phase.provisional, weights)
    if not any(target.follows for target in targets.each):
        raise ValueError(
            "All layers have a sparsity of their own, so there is none to be found. "
            f"Received: sparsity={phase.sparsity!r}"
        )
    return targets
