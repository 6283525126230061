"""How many weights have which magnitude, by eighths of octaves: exact, in one pass.

The upper 12 bits of a float32 are its sign, its exponent and an eighth of an octave: so
counting them is a histogram on a log scale for weights of any size, whose range need
not be known beforehand. Knows arrays.
"""

import numpy as np

from keras_dsd.analysis.recording import snapshot_files

SHIFT = 20  # of 32 bits
FINITE = 0x7F8  # the first code that is of no finite number
NEGATIVE = 1 << 11


def count(values):
    """Counts an array.

    Returns:
        (counts, zeros, not finite): int arrays of shape (2, FINITE), of those below and
        above zero by their magnitude's code; two integers.

    >>> counts, zeros, not_finite = count(np.array([0.0, -1.0, 1.1, np.nan], "float32"))
    >>> counts.sum(axis=1).tolist(), zeros, not_finite
    ([1, 1], 1, 1)
    """
    if values.dtype != np.float32:
        values = snapshot_files.stored(values, "float32")
    codes = np.ascontiguousarray(values).view("uint32") >> SHIFT
    found = np.bincount(codes, minlength=2 * NEGATIVE).reshape(2, NEGATIVE)[::-1]
    not_finite = int(found[:, FINITE:].sum())
    found = found[:, :FINITE].copy()
    zeros = values[(codes == 0) | (codes == NEGATIVE)]  # and what is almost zero
    is_zero, is_negative = zeros == 0, np.signbit(zeros)
    found[0, 0] -= np.count_nonzero(is_zero & is_negative)
    found[1, 0] -= np.count_nonzero(is_zero & ~is_negative)
    return found, int(np.count_nonzero(is_zero)), not_finite


def bounds(counts):
    """Returns (first code, last + 1) of all arrays of counts; (0, 0): there is none."""
    used = np.flatnonzero(sum(one.reshape(-1, FINITE).sum(axis=0) for one in counts))
    return (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)


def edges(first, end):
    """Returns the magnitudes between which the codes are, float64 of end - first + 1.

    >>> edges(0x7F * 8, 0x7F * 8 + 2).tolist()
    [1.0, 1.125, 1.25]
    """
    found = (np.arange(first, end + 1, dtype="uint32") << SHIFT).view("float32")
    smallest = np.finfo("float32").smallest_subnormal
    return np.clip(found.astype("float64"), smallest, 2.0**128)


def widths(edges):
    """Returns how many octaves each bin is wide."""
    return np.diff(np.log2(edges))
