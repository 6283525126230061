"""Where the k-th smallest entry of each group in a table lies, digit by digit.

For small tables, as `sample_select` is for large ones. It reads all entries several
times more, but is made of a few plain operations, which hardly need to be compiled.
Knows `keras.ops` only.
"""

import keras
import numpy as np
from keras import ops

from keras_dsd.backend.tables import KEYS, ROW, Cuts

_BITS = 11  # of a digit
_BASE = 1 << _BITS


def cut(entries, layout, zeros, bits):
    """Returns where to cut each tensor so that each group loses its smallest entries.

    Finds the key at the cut from its first digit to its last: of the keys that begin
    as it does, so many go on with each digit.

    Arguments and result are as of `sample_select.Search`, with integers of the dtype
    of keys.
    """
    keys = bits(ops.reshape(entries, (-1, ROW)))
    groups = len(layout.totals)
    group_of_row = layout.group_of_row
    infinity, largest = KEYS[keras.backend.standardize_dtype(entries.dtype)]
    zeros = ops.cast(zeros, keys.dtype)
    wanted = ops.maximum(zeros, 1)  # a group that loses none is put right at the end
    group = _constant(group_of_row[:, None], keys)

    key = below = ops.zeros_like(wanted)  # its digits so far; how many keys are below
    for shift in reversed(range(0, largest.bit_length(), _BITS)):
        digits = ops.right_shift(keys, _constant(shift, keys))
        digits -= ops.take(key * _BASE, group_of_row)[:, None]
        is_among = (digits >= 0) & (digits < _BASE)
        place = ops.where(is_among, group * _BASE + digits, groups * _BASE)
        counts = _sum_by(ops.ones_like(place), place, groups * _BASE + 1)
        counts = ops.reshape(counts[:-1], (groups, _BASE))
        is_smaller = ops.cumsum(counts, axis=1) < (wanted - below)[:, None]
        key = key * _BASE + ops.sum(ops.cast(is_smaller, key.dtype), axis=1)
        below += ops.sum(ops.where(is_smaller, counts, 0), axis=1)

    # Of the keys equal to it, those that stay come first.
    ties = ops.cast(keys == ops.take(key, group_of_row)[:, None], keys.dtype)
    in_row = ops.sum(ties, axis=1)
    in_group = _sum_by(in_row, group[:, 0], groups)
    staying = below + in_group - wanted + ops.cumsum(in_group) - in_group
    ties = ops.cumsum(ties, axis=1) + (ops.cumsum(in_row) - in_row)[:, None]
    stay = ties <= ops.take(staying, group_of_row)[:, None]
    position = _sum_by(ops.sum(ops.cast(stay, keys.dtype), axis=1), group[:, 0], groups)
    position += _constant(np.searchsorted(group_of_row, np.arange(groups)) * ROW, keys)

    key = ops.where(zeros > 0, key, -1)
    nonfinite = ops.sum(ops.cast(keys >= infinity, keys.dtype), axis=1)
    tensor = _constant(layout.tensor_of_row, keys)
    nonfinite = _sum_by(nonfinite, tensor, len(layout.sizes))
    return Cuts(
        ops.take(key, np.array(layout.groups)),
        ops.take(position, np.array(layout.groups)) - _constant(layout.starts, keys),
        nonfinite <= _constant(layout.filling, keys),
    )


def _constant(values, keys):
    return ops.convert_to_tensor(np.asarray(values), keys.dtype)


def _sum_by(values, place, places):
    # TensorFlow's `bincount` is faster, but an error on a GPU where operations have to
    # be deterministic; of int64 its GPUs have no sums by segment.
    sums = ops.segment_sum(
        ops.cast(ops.reshape(values, (-1,)), "int32"),
        ops.reshape(place, (-1,)),
        places,
    )
    return ops.cast(sums, values.dtype)
