"""How a pruned weight takes part in a training step without the step knowing.

Small things, in force during sparse phases:

- `MaskedReads`: a scope in which a layer reads its weights as `gradients` says.
- `PlainReads`: a scope in which a model's variables read as given, masks unseen.
- `attach`, `of`, `detach`: how a weight is read is known from the weight, so that any
  layer that it is tied to finds it.

Knows variables and masks; knows no layer, model or phase.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_dsd._shared import keras_private
from keras_dsd.layers.gradients import masked_read, tracked_read, untracked_read


@dataclasses.dataclass(eq=False)
class Read:
    """How a weight is read while its layer is called.

    Args:
        weight: the weight's variable.
        mask: its mask's variable, or `None` where no mask is in force.
        gradient: the variable that keeps its gradient, or `None`.
        decay: see `gradients.tracked_read`.
        saw: function that is told the mask's value as it is read, or `None`.
    """

    weight: keras.Variable
    mask: Any
    gradient: Any = None
    decay: float = 0.0
    saw: Callable | None = None

    def view(self):
        """Returns the tensor that the layer gets."""
        if self.saw is not None:
            self.saw(self.mask.value)
        weight = ops.convert_to_tensor(self.weight)
        if self.mask is None:
            return untracked_read(weight, ops.convert_to_tensor(self.gradient))
        mask = ops.convert_to_tensor(self.mask)
        if self.gradient is None:
            return masked_read(weight, mask)
        gradient = ops.convert_to_tensor(self.gradient)
        return tracked_read(weight, mask, gradient, self.decay)


_ATTRIBUTE = "_keras_dsd_read"


def attach(read):
    """Lets all layers that have the weight of a `Read` find it."""
    setattr(read.weight, _ATTRIBUTE, read)


def of(weight):
    """Returns the `Read` attached to a weight, or `None`."""
    return getattr(weight, _ATTRIBUTE, None)


def detach(weight):
    """Takes back what `attach` did, if it did."""
    if of(weight) is not None:
        delattr(weight, _ATTRIBUTE)


class MaskedReads(keras.StatelessScope):
    """A scope in which some variables read as views; all else is untouched.

    `keras.StatelessScope` is Keras's public way to say what a variable reads as. Here
    it changes nothing but that: writes and losses go where they would have gone
    without it, and the scope around it (JAX always has one) answers for all other
    variables.

    Args:
        reads: list of `Read`.
    """

    def __init__(self, reads):
        super().__init__(initialize_variables=False)
        self._reads = {id(read.weight): read for read in reads}
        self._views: dict = {}
        self._is_viewed = False

    def _view_all(self):
        # In the enclosing graph, once: a view made at the first read could belong to
        # the body of a loop and be read outside of it. A weight that a layer around
        # has a view of keeps that one, or its gradient would be written twice.
        scope = self.original_scope
        while scope is not None:
            for key in getattr(scope, "_reads", ()):
                self._reads.pop(key, None)
            scope = scope.original_scope
        with keras_private.no_autocast():
            self._views = {key: read.view() for key, read in self._reads.items()}

    def __enter__(self):
        super().__enter__()
        if not self._is_viewed:
            self._is_viewed = True
            self._view_all()
        outer = self.original_scope
        if outer is None:
            self.collect_losses = True  # `Prunable.call` hands them on
        else:
            self.collect_losses = outer.collect_losses
            self.losses = outer.losses
        return self

    def get_current_value(self, variable):
        """Returns the view of a masked weight, else what the scope around says."""
        view = self._views.get(id(variable))
        if view is None and self.original_scope is not None:
            return self.original_scope.get_current_value(variable)
        return view

    def add_update(self, update):
        """Writes to the variable, or to the scope around."""
        variable, value = update
        self.__exit__()
        try:
            variable.assign(value)
            if id(variable) in self._reads:  # a layer that writes its own weight
                with keras_private.no_autocast():
                    self._views[id(variable)] = self._reads[id(variable)].view()
        finally:
            self.__enter__()


class PlainReads(keras.StatelessScope):
    """A scope in which variables read as tensors that are given, as they are.

    Masks that are in force are not seen within it, so a gradient by these tensors is
    that of the dense weights. What is written goes nowhere; losses that layers add
    are collected, as `model.losses` reads them.

    Args:
        state_mapping: list of (variable, tensor).
    """

    def __init__(self, state_mapping):
        super().__init__(state_mapping, collect_losses=True, initialize_variables=False)
        # `MaskedReads` leaves what a scope around it reads in its own way.
        self._reads = {id(variable) for variable, _ in state_mapping}
