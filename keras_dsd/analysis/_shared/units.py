"""Which axes of a weight are its units, and how many connections each unit has.

Units are neurons of dense layers, filters and channels of convolutions, heads of
attention. Knows shapes, layer classes and packed bits.
"""

import math
import re
from typing import NamedTuple

import keras
import numpy as np

from keras_dsd.analysis._shared import pieces

_TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)


class Units(NamedTuple):
    """The axes of one weight.

    Args:
        outputs: tuple of the axes that together count its outputs.
        inputs: tuple of those of its inputs.
        heads: the axis of attention heads, or `None`.
    """

    outputs: tuple
    inputs: tuple
    heads: int | None = None


def of(path, shape, owner=None):
    """Returns the `Units` of a weight.

    Kernels are (..., inputs, outputs), transposed convolutions have the two the other
    way round, and a depthwise one has several outputs for each of its inputs. Those of
    Keras's attention layers are known by their names.

    Args:
        path: the weight's path.
        shape: its shape.
        owner: its layer, where that is known. Defaults to `None`: by path and shape.
    """
    last = len(shape) - 1
    if last < 1:
        return Units((0,), ())
    if last == 2 and re.search(r"(^|/)(query|key|value|gate)/kernel$", path):
        return Units((1, 2), (0,), heads=1)  # (features, heads, size of a head)
    if last == 2 and re.search(r"(^|/)attention_output/kernel$", path):
        return Units((2,), (0, 1), heads=0)
    if isinstance(owner, _TRANSPOSED):
        return Units((last - 1,), (last,))
    if isinstance(owner, _DEPTHWISE) or (
        isinstance(owner, _SEPARABLE) and path.endswith("/depthwise_kernel")
    ):
        return Units((last - 1, last), (last - 1,))
    return Units((last,), (last - 1,))


def counts(bits, shape, *kept):
    """Returns the active connections of each index along some axes.

    Looks at a piece of the weight at a time, once for all sets of axes.

    Args:
        bits: packed bits of the weight's connections.
        shape: its shape.
        *kept: tuples of axes, in rising order.

    Returns:
        List of int arrays, each of the shape of its axes.
    """
    shape = shape or (1,)
    axes = range(len(shape))
    found = [np.zeros([shape[axis] for axis in some], "int64") for some in kept]
    for rows, piece in _pieces(bits, shape):
        for some, total in zip(kept, found, strict=True):
            others = tuple(axis for axis in axes if axis not in some)
            part = np.count_nonzero(piece, axis=others) if others else piece
            total[rows if 0 in some else ...] += part
    return found


def _pieces(bits, shape):
    """Yields (slice of the first axis, bool array of these rows)."""
    row = math.prod(shape[1:])
    step = max(pieces.PIECE // max(row, 1), 1)
    for start in range(0, shape[0], step):
        end = min(start + step, shape[0])
        first, last = start * row, end * row
        values = np.unpackbits(bits[first // 8 : -(-last // 8)])
        values = values[first % 8 : first % 8 + last - first].astype(bool)
        yield slice(start, end), values.reshape(end - start, *shape[1:])
