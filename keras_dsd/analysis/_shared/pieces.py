"""Weights read piece by piece, so that of a large one no copy is ever made.

Knows shapes, variables and arrays.
"""

import math

import keras
import numpy as np
from keras import ops

PIECE = 1 << 20  # weights


def boxes(shape, at_most=PIECE):
    """Yields (starts, sizes) of boxes that cover an array in row-major order.

    Args:
        shape: of the array.
        at_most: how many entries a box may have.

    >>> list(boxes((2, 3), at_most=2))[:2]
    [((0, 0), (1, 2)), ((0, 2), (1, 1))]
    """
    shape = tuple(shape)
    axis, rest = len(shape), 1
    while axis and rest * shape[axis - 1] <= at_most:
        axis -= 1
        rest *= shape[axis]
    if not axis:
        yield (0,) * len(shape), shape
        return
    rows, after = max(1, at_most // rest), (0,) * (len(shape) - axis)
    for outer in np.ndindex(*shape[: axis - 1]):
        for start in range(0, shape[axis - 1], rows):
            size = min(rows, shape[axis - 1] - start)
            yield (
                (*outer, start, *after),
                (*(1,) * (axis - 1), size, *shape[axis:]),
            )


def of(values, at_most=PIECE):
    """Yields the entries of a variable or an array, in row-major order.

    Args:
        values: a Keras variable, or an array.
        at_most: how many entries a piece may have.

    Yields:
        NumPy arrays of rank 1; only to be read, for they may be the values themselves.

    >>> [piece.tolist() for piece in of(np.arange(3), at_most=2)]
    [[0, 1], [2]]
    """
    if isinstance(values, keras.Variable):
        values = values.value
    for starts, sizes in boxes(values.shape, at_most):
        if isinstance(values, np.ndarray):
            ends = zip(starts, sizes, strict=True)
            piece = values[tuple(slice(start, start + size) for start, size in ends)]
        elif math.prod(sizes) == math.prod(values.shape):
            piece = values
        else:
            piece = ops.slice(values, starts, sizes)
        yield np.asarray(ops.convert_to_numpy(piece)).reshape(-1)
