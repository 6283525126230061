"""Where arithmetic between training steps is done: by the backend, or by NumPy.

What is done to weights and masks once in a while must be traced and compiled. For a
small model that takes longer than all the arithmetic of its training, so there NumPy
does it, where the weights lie in the host's memory. Masks are the same to the bit.
Knows variables; knows no phase.
"""

import math
from typing import Any

import keras
import numpy as np

from keras_dsd import backend
from keras_dsd.sparsity import topk, topk_numpy

_SMALL = 1 << 19  # entries of all weights of a model whose arithmetic NumPy does ...
_FEW = 64  # ... and so many weights or fewer


class ByBackend:
    """Of tensors, in programs of the backend's."""

    ops: Any = keras.ops
    ranking: Any = topk
    cast = staticmethod(keras.ops.cast)
    compiled = staticmethod(backend.compiled)
    fused = staticmethod(backend.fused)
    masked = staticmethod(backend.masked)
    update_each = staticmethod(backend.compiled_update_each)

    @staticmethod
    def read(variable):
        """Returns the value of a variable."""
        return variable.value

    @staticmethod
    def taken(tensor):
        """Returns a tensor as it is reckoned with."""
        return tensor

    @staticmethod
    def integers(values):
        """Returns integers as they are reckoned with."""
        return keras.ops.convert_to_tensor(np.array(values, "int32"))

    @staticmethod
    def counts(masks):
        """Returns how many entries of each mask are True."""
        return keras.ops.stack([backend.count(mask) for mask in masks])


class ByNumPy:
    """Of arrays, in the host's memory; has what `ByBackend` has."""

    ops: Any = np
    ranking: Any = topk_numpy

    @staticmethod
    def cast(values, dtype):
        """Returns values as an array of a dtype."""
        return np.asarray(values, dtype)

    @staticmethod
    def compiled(function):
        """Returns the function."""
        return function

    fused = compiled

    @staticmethod
    def masked(value, mask):
        """Returns `value`, exactly 0 where `mask` is False."""
        return np.where(mask, value, value.dtype.type(0))

    @staticmethod
    def update_each(choose, apply, units):
        """See `backend.compiled_update_each`."""

        def run(*columns):
            for variables, *args in zip(units, *columns, strict=True):
                values = [ByNumPy.read(variable) for variable in variables]
                new = apply(values, choose(values, *args))
                for variable, value in zip(variables, new, strict=True):
                    variable.assign(value)

        return run

    @staticmethod
    def read(variable):
        """Returns the value of a variable; it may be a view of it."""
        return keras.ops.convert_to_numpy(variable.value)

    @staticmethod
    def taken(tensor):
        """Returns a tensor as an array."""
        return keras.ops.convert_to_numpy(tensor)

    @staticmethod
    def integers(values):
        """Returns integers as an array."""
        return np.array(values)

    @staticmethod
    def counts(masks):
        """Returns how many entries of each mask are True."""
        return np.array([np.count_nonzero(mask) for mask in masks])


def of(weights):
    """Returns `ByNumPy` or `ByBackend`, as fits a list of `PrunedWeight`."""
    variables = [weight.variable for weight in weights]
    is_small = sum(math.prod(one.shape) for one in variables) <= _SMALL
    is_alike = all(one.dtype == "float32" for one in variables)
    if is_small and is_alike and len(variables) <= _FEW:
        return ByNumPy if all(map(backend.is_near, variables)) else ByBackend
    return ByBackend
