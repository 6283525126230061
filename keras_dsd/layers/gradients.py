"""The gradients of a pruned weight: masked for the optimizer, whole for RigL.

A weight that is read through one of these leaves an unmodified training step with the
gradient of the sparse model, and with that of the dense one beside it where a method
asks for it. Knows tensors only.
"""

from keras import ops

from keras_dsd import backend


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
