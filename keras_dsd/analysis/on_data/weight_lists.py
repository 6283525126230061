"""All weights of a model as a list of arrays: from a model, a file, or a list.

Of sets of weights of one architecture, which is checked. Knows models and files; knows
no data.
"""

import os
import pathlib

import keras
import numpy as np
from keras import ops


def variables(model):
    """Returns a model's weights but the gradients that are tracked beside them."""
    return [weight for weight in model.weights if not weight.overwrite_with_gradient]


def read(given, model, name):
    """Returns one NumPy array for each of `variables(model)`.

    Args:
        given: a built `keras.Model`, the path of a `.keras` file, or a list of arrays
            as `model.get_weights()` returns it.
        model: the model that they are weights of.
        name: the argument's name, for errors.

    Raises:
        TypeError, ValueError: it is nothing of these; its weights are not as many, not
            of the same names and shapes, or not finite.
        OSError: the file can't be read.
    """
    if isinstance(given, (str, os.PathLike)):
        given = _load(given, name)
    if isinstance(given, keras.Model):
        found, what = _of_model(given, model, name), given.name
    elif isinstance(given, (list, tuple)):
        found, what = _of_list(given, model), f"a list of {len(given)}"
    else:
        raise TypeError(
            f"`{name}` must be a model, the path of a .keras file, or a list of arrays "
            f"as `get_weights` returns it. Received: {name} of type "
            f"{type(given).__name__}"
        )
    wanted = [tuple(weight.shape) for weight in variables(model)]
    shapes = [one.shape for one in found]
    if shapes != wanted:
        raise ValueError(
            f"`{name}` must have the weights of the model, of shapes {wanted}. "
            f"Received: {name}={what}, of shapes {shapes}"
        )
    for weight, values in zip(variables(model), found, strict=True):
        if _is_float(values) and not np.isfinite(values.astype("float32")).all():
            raise ValueError(
                f"`{name}` must be finite. Received: {weight.path} with NaN or infinity"
            )
    return found


def _load(path, name):
    path = pathlib.Path(path)
    if path.suffix != ".keras" or not path.is_file():
        raise ValueError(
            f"`{name}` must be a .keras file that exists. Received: {name}="
            f"{str(path)!r}"
        )
    return keras.saving.load_model(path, compile=False)


def _of_model(given, model, name):
    if not given.built:
        raise ValueError(f"Build `{name}` first. Received: {name}={given!r}")
    names, wanted = [
        [weight.name for weight in variables(one)] for one in (given, model)
    ]
    if names != wanted:
        raise ValueError(
            f"`{name}` must be of the model's architecture, with weights named "
            f"{wanted}. Received: {name}={given.name}, with {names}"
        )
    return [np.array(ops.convert_to_numpy(weight)) for weight in variables(given)]


def _of_list(given, model):
    arrays = list(map(np.asarray, given))
    if len(arrays) != len(model.weights):
        return arrays
    pairs = zip(model.weights, arrays, strict=True)
    return [values for weight, values in pairs if not weight.overwrite_with_gradient]


def check_between(weights, start, end):
    """Checks that there is something between two lists of values of `weights`.

    Raises:
        ValueError: they differ in what is no floating-point number, say a counter.
    """
    for weight, old, new in zip(weights, start, end, strict=True):
        if not _is_float(old) and not np.array_equal(old, new):
            raise ValueError(
                "Between integers there is nothing. Received: `start` and `end` that "
                f"differ in {weight.path}, of dtype {old.dtype}"
            )


def between(start, end, fraction):
    """Returns the arrays at a fraction of the straight line, its ends as they are."""
    if fraction in (0.0, 1.0):
        return end if fraction else start
    return [
        (1 - fraction) * old + fraction * new if _is_float(old) else old
        for old, new in zip(start, end, strict=True)
    ]


def _is_float(values):
    # NumPy knows no bfloat16.
    return "float" in values.dtype.name
