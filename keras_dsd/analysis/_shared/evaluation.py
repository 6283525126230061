"""What all analyses on data share: a model that is checked and left whole, its data.

Knows models and data; knows no result.
"""

import contextlib
import itertools

import keras
import numpy as np
from keras import ops

from keras_dsd._shared import checks, keras_private
from keras_dsd.layers import conversion, model_choice
from keras_dsd.sparsity import trials

BATCH_SIZE = 32  # as Keras's own


def check_model(model, *, compiled=True):
    """Returns a model that is built and, unless `compiled` is False, compiled."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a `keras.Model`. Received: model of type "
            f"{type(model).__name__}"
        )
    if not model.built or (compiled and not model.compiled):
        what = "Build and compile" if compiled else "Build"
        raise ValueError(
            f"{what} the model first: it is to be evaluated. Received: model={model!r}"
        )
    return model


def prunable_variables(model):
    """Returns the weights with masks, else those that `make_prunable` would choose.

    Raises:
        ValueError: there is none.
    """
    found = [weight.variable for weight in conversion.pruned_weights(model)]
    found = found or model_choice.weights_by_default(model)
    if not found:
        raise ValueError(
            f"{model_choice.why_nothing(model)}. Received: model={model!r}"
        )
    return found


def trained(model):
    """Returns the trainable weights, but gradients that are tracked beside them.

    Raises:
        ValueError: there is none.
    """
    found = [one for one in model.trainable_weights if not one.overwrite_with_gradient]
    if not found:
        raise ValueError(
            f"The model has no weight that is trained. Received: model={model!r}"
        )
    return found


@contextlib.contextmanager
def unchanged(model):
    """Within it a model's variables may change; after it they are as they were.

    To the bit; also after an error or Ctrl-C. Yields the `trials.Held` that has what
    they were.
    """
    with trials.Held(model.variables + model.metrics_variables) as held:
        before = {id(variable) for variable in model.metrics_variables}
        try:
            yield held
        finally:
            keras_private.forget_state(model)
            if {id(variable) for variable in model.metrics_variables} - before:
                model.reset_metrics()  # those that were made within


def arguments(data, batch_size):
    """Returns the arguments of `model.evaluate`, for data that are read many times."""
    if isinstance(data, (tuple, list)):
        if not 2 <= len(data) <= 3:
            raise ValueError(
                "`data` must be (x, y), (x, y, sample weights) or a data set. "
                f"Received: {type(data).__name__} of {len(data)}"
            )
        if any(len(one) == 0 for one in keras.tree.flatten(list(data)) if _sized(one)):
            raise ValueError("`data` must not be empty. Received: data without items")
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(data))
    elif data is None or hasattr(data, "__next__"):
        raise TypeError(
            "`data` are evaluated many times: give arrays or a data set. "
            f"Received: data of type {type(data).__name__}"
        )
    else:
        x, y, sample_weight = data, None, None
    return {
        "x": x,
        "y": y,
        "sample_weight": sample_weight,
        "batch_size": batch_size,
    }


def _sized(value):
    return bool(getattr(value, "shape", ()))


def batches(data, batch_size=None, steps=None):
    """Yields (x, y, sample weights) of tensors, batch by batch, in the data's order.

    Args:
        data: as of `arguments`.
        batch_size: items in a batch of arrays. Defaults to `None`: 32.
        steps: how many batches, at most. Defaults to `None`: all.
    """
    given = arguments(data, batch_size)
    if isinstance(data, (tuple, list)):
        arrays = given["x"], given["y"], given["sample_weight"]
        found = _cut(arrays, batch_size or BATCH_SIZE)
    else:
        if steps is None and hasattr(data, "cardinality") and data.cardinality() == -1:
            raise ValueError(
                "The data set never ends; limit it with `take`. "
                f"Received: an infinite {type(data).__name__}"
            )
        # A `PyDataset` has no `__iter__`.
        each = data if hasattr(data, "__iter__") else map(data.__getitem__, _all(data))
        found = map(keras.utils.unpack_x_y_sample_weight, each)
    for batch in itertools.islice(found, steps):
        yield keras.tree.map_structure(_tensor, tuple(batch))


def _all(data):
    return range(len(data))


def _cut(arrays, size):
    """Yields batches of structures of arrays that have as many items each."""
    lengths = {len(one) for one in keras.tree.flatten(arrays) if one is not None}
    if len(lengths) != 1:
        raise ValueError(
            "`data` must have as many items in each array. "
            f"Received: {sorted(lengths)} items"
        )
    for start in range(0, lengths.pop(), size):
        yield keras.tree.map_structure(
            lambda one, start=start: None if one is None else one[start : start + size],
            arrays,
        )


def _tensor(value):
    """Returns a tensor; floats in Keras's default dtype, as `model.evaluate` does."""
    if value is None:
        return None
    if not ops.is_tensor(value):
        value = np.asarray(value)
        if value.dtype.kind == "f":
            value = value.astype(keras.config.floatx())
    return ops.convert_to_tensor(value)


def items(batch):
    """Returns how many items a batch has."""
    return int(keras.tree.flatten(batch[0])[0].shape[0])


def check_data(model, data, batch_size):
    """Evaluates a compiled model on one batch, which says whether the data fit.

    Within `unchanged`. What only a first batch makes, say a metric's variables, is
    there afterwards.

    Raises:
        TypeError, ValueError: they do not, or there are none.
    """
    first = next(batches(data, batch_size, 1), None)
    if first is None:
        raise ValueError("`data` must not be empty. Received: data without items")
    try:
        model.test_on_batch(*first)
    except Exception as error:  # each backend has its own
        conversion.forget_traces(model)  # TensorFlow's could not be called again
        shapes = keras.tree.map_structure(
            lambda one: None if one is None else tuple(one.shape), first
        )
        raise ValueError(
            f"The data do not fit the model ({error}). Received: a batch of (x, y, "
            f"sample weights) of shapes {shapes}"
        ) from error


def check_reading(batch_size, steps, verbose):
    """Checks what functions that read data have in common."""
    for name, value in (("batch_size", batch_size), ("steps", steps)):
        if value is not None:
            checks.integer(value, name, at_least=1)
    checks.integer(verbose, "verbose", at_least=0)
