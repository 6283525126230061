"""What keeps a pruned weight at zero where its layer's call has no say.

`KeepZeros` and `MaskedRegularizer` stand in for a weight's constraint and regularizer,
so that nothing outside of the layer's call moves a pruned weight. Knows variables and
masks; knows no layer, model or phase.
"""

import weakref

import keras
from keras import ops

from keras_dsd import backend
from keras_dsd.layers.gradients import masked_read


class KeepZeros(keras.constraints.Constraint):
    """A constraint: the weight's own, then zero where the mask is.

    Keras calls a variable's constraint after the optimizer's update and after the
    moving average has overwritten the weight, so this is the last word on the weight in
    each step. Gradients being masked, most optimizers keep zeros by themselves, and
    then it is left out, for it costs a pass over the weight in each step. It is needed
    under optimizers that mix entries (Muon), under constraints that move zeros, and
    where gradients reach a weight outside of its layer's call.

    Args:
        constraint: the weight's own constraint, or `None`.
        mask: the mask's variable.
        average: the optimizer's moving average of the weight, or `None`. It is masked
            too, since Keras copies it to the weight at the end of `fit`.
    """

    def __init__(self, constraint, mask, average=None):
        self.constraint = constraint
        self.mask = mask
        self.average = average
        self._seen = None

    def saw(self, mask):
        """Remembers the mask as the step that is being traced sees it.

        On JAX an optimizer runs in a scope that holds the trainable and the optimizer's
        variables only. The mask that the layer's call has read belongs to the same
        trace, so it is kept from the call to the update, weakly: it ends with its
        trace.
        """
        if keras.backend.backend() == "jax":
            self._seen = weakref.ref(mask)

    def _mask_now(self):
        if self._seen is None:
            return ops.convert_to_tensor(self.mask)
        mask = self._seen()
        if mask is None:
            raise RuntimeError(
                "On JAX the gradients of a pruned model and the optimizer's update "
                "must be computed in one compiled function, as `fit` does. Received: "
                f"an update of {self.mask.path} outside of the function in which its "
                "layer was called."
            )
        return mask

    def __call__(self, weight):
        """Returns the value that the variable `weight` is to have."""
        value = weight if self.constraint is None else self.constraint(weight)
        mask = self._mask_now()
        if self.average is not None:
            self.average.assign(
                backend.masked(ops.convert_to_tensor(self.average), mask)
            )
        return backend.masked(ops.convert_to_tensor(value), mask)


class MaskedRegularizer(keras.regularizers.Regularizer):
    """A regularizer that reads its weight masked, so that its gradient is masked too.

    Keras calls regularizers outside of the layer's call, on the variable itself.
    """

    def __init__(self, regularizer, mask):
        self.regularizer = regularizer
        self.mask = mask

    def __call__(self, weight):
        """Returns the penalty."""
        mask = ops.convert_to_tensor(self.mask)
        return self.regularizer(masked_read(ops.convert_to_tensor(weight), mask))
