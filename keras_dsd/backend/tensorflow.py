"""What TensorFlow does in its own way."""

import tensorflow as tf


def gradients_wanted():
    """Returns whether the call may be differentiated; TensorFlow can't tell."""
    return True


def new_train_function(model):
    """Returns a training step of `model` that will be traced anew."""
    model.make_train_function(force=True)
    return model.train_function


def compiled_update(function, variables):
    """Returns `run(*args)`, which computes new values of `variables` and assigns them.

    Args:
        function: `function(values, *args) -> (new values, aux)`, pure.
        variables: dict {name: list of Keras variables}; `values` has the same form.

    Returns:
        A callable that takes tensors, is traced once, and returns `aux`.
    """

    @tf.function
    def run(*args):
        values = tf.nest.map_structure(lambda v: tf.convert_to_tensor(v.value), variables)
        values, aux = function(values, *args)
        tf.nest.map_structure(lambda v, value: v.assign(value), variables, values)
        return aux

    return run
