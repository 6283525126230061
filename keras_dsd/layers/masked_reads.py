"""How a pruned weight takes part in a training step without the step knowing.

Three small things, in force during sparse phases:

- `masked_read(weight, mask)`: an identity whose gradient is zero where the mask is;
  `tracked_read` hands the whole gradient to a variable beside the weight too.
- `MaskedReads`: a scope in which a layer reads its weights that way.
- `attach`, `of`, `detach`: how a weight is read is known from the weight, so that any
  layer that it is tied to finds it.

Knows variables and masks; knows no layer, model or phase.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_dsd import backend
from keras_dsd._shared import keras_private


@ops.custom_gradient
def masked_read(weight, mask):
    """Returns `weight` as it is; its gradient is zero where `mask` is False.

    The value needs no mask: a pruned weight is 0.0 in the variable itself, and reading
    it unchanged saves one multiplication of the whole weight in each step.
    """

    def grad(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        return backend.masked_gradient(upstream, mask, weight), None

    return weight, grad


def tracked_read(weight, mask, gradient, decay):
    """Returns `weight`, read masked, its whole gradient written beside it.

    Args:
        weight: tensor.
        mask: boolean tensor.
        gradient: tensor, the value of a variable that Keras overwrites with what it
            takes for its gradient (`overwrite_with_gradient`). So the gradient of the
            dense weight leaves an unmodified training step, on every backend.
        decay: how much of the old value is kept: 0 for the gradient of this batch
            alone, else a momentum.
    """

    @ops.custom_gradient
    def read(weight, mask, gradient):
        def grad(*args, upstream=None):
            upstream = ops.convert_to_tensor(args[0] if upstream is None else upstream)
            if decay:  # replicas' gradients are summed, so each brings its share
                tracked = upstream + gradient * (decay / backend.replicas())
            else:
                tracked = backend.in_place_of(gradient, upstream)
            masked = backend.masked_gradient(upstream, mask, weight)
            return masked, None, tracked

        return weight, grad

    return read(weight, mask, gradient)


@ops.custom_gradient
def untracked_read(weight, gradient):
    """Returns `weight` as it is; zero is written beside it.

    For dense phases, where nobody asks for the gradient: Keras warns of a trainable
    variable that gets none.
    """

    def grad(*args, upstream=None):
        upstream = ops.convert_to_tensor(args[0] if upstream is None else upstream)
        return upstream, backend.in_place_of(gradient, ops.zeros_like(upstream))

    return weight, grad


@dataclasses.dataclass(eq=False)
class Read:
    """How a weight is read while its layer is called.

    Args:
        weight: the weight's variable.
        mask: its mask's variable, or `None` where no mask is in force.
        gradient: the variable that keeps its gradient, or `None`.
        decay: see `tracked_read`.
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
