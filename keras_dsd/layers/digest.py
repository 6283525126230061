"""A digest of what a prunable layer writes into a file, so that damage is noticed.

A flipped bit in a mask would load in silence: HDF5 keeps no checksum of these arrays,
and whether a zip archive's is looked at depends on how Python reads it. Knows arrays
and their names only.
"""

import hashlib

import numpy as np

NAME = "digest"  # in the file, beside the arrays


def of(arrays):
    """Returns the digest of named arrays, a uint8 array of shape (32,).

    Args:
        arrays: {name: NumPy array}, in any order.

    >>> import numpy as np
    >>> of({"mask_0": np.ones((2, 2), bool)}).shape
    (32,)
    """
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype} {array.shape} ".encode())
        found.update(array.tobytes())
    return np.frombuffer(found.digest(), np.uint8)


def check(arrays, written, layer, file=None):
    """Holds the arrays of a file against the digest that was written with them.

    Args:
        arrays: {name: NumPy array}.
        written: the digest in the file.
        layer: path of the layer, for the error.
        file: name of the file, for the error, or `None` if it is not known.

    Raises:
        ValueError: the arrays are not those that were written.
    """
    if not np.array_equal(written, of(arrays)):
        where = f" of {file}" if file else ""
        raise ValueError(
            f"The file is damaged: what it holds of the masks of layer {layer!r} is "
            f"not what was written. Received: {sorted(arrays)}{where}"
        )
