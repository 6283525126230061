"""One file with the masks and the weights of one moment of a run.

An HDF5 file, whole or not there: notes as JSON, masks packed 8 to a byte, weights in
one piece each, all with checksums. Written and read piece by piece. Knows files and
arrays; knows no model.
"""

import contextlib
import json
import math
import pathlib

import h5py
import numpy as np

from keras_dsd._shared import files
from keras_dsd.analysis._shared import pieces

FORMAT = "keras_dsd snapshot 1"
ENDING = ".snapshot.h5"
PRECISIONS = {"float32": 4, "float16": 2}  # bytes of a weight
CHUNK = 1 << 16  # entries with a checksum of their own


def write(path, notes, weights):
    """Writes a file as a whole.

    Args:
        path: `pathlib.Path`.
        notes: dict of plain values. `"weights"`, a dict with `path` and `shape` for
            each weight, gets `masked`; `"precision"`, of `PRECISIONS`, or `None` if
            weights are not kept.
        weights: list of (mask or `None`, values) of variables or arrays, in the same
            order.
    """
    listed = [
        {**one, "masked": mask is not None}
        for one, (mask, _) in zip(notes["weights"], weights, strict=True)
    ]
    notes = {"format": FORMAT, **notes, "weights": listed}
    with files.replacing(path) as new, h5py.File(new, "w") as file:
        for index, (mask, values) in enumerate(weights):
            size = math.prod(listed[index]["shape"])
            if mask is not None:
                bits = packed(pieces.of(mask))
                _fill(file, f"mask_{index}", "uint8", -(-size // 8), bits)
            if notes["precision"]:
                kept = (stored(one, notes["precision"]) for one in pieces.of(values))
                _fill(file, f"weight_{index}", notes["precision"], size, kept)
        _fill_notes(file, notes)


def rewrite_notes(path, notes):
    """Gives a file that nobody relies on yet other notes."""
    with h5py.File(path, "r+") as file:
        listed = json.loads(file["notes"][:].tobytes())["weights"]
        del file["notes"]
        _fill_notes(file, {"format": FORMAT, **notes, "weights": listed})


def _fill_notes(file, notes):
    text = np.frombuffer(json.dumps(notes).encode(), "uint8")
    _fill(file, "notes", "uint8", text.size, [text])


def _fill(file, name, dtype, size, parts):
    """Writes a dataset of rank 1 from its parts."""
    chunks = {"chunks": (min(size, CHUNK),), "fletcher32": True} if size else {}
    dataset = file.create_dataset(name, (size,), dtype, **chunks)
    start = 0
    for part in parts:
        dataset[start : start + part.size] = part
        start += part.size


def packed(parts):
    """Yields bools, 8 to a byte, the first in the highest bit.

    >>> [part.tolist() for part in packed([np.array([True]), np.array([True] * 8)])]
    [[], [255], [128]]
    """
    rest = np.empty(0, bool)
    for part in parts:
        bits = np.concatenate([rest, part.astype(bool)])
        whole = bits.size // 8 * 8
        yield np.packbits(bits[:whole])
        rest = bits[whole:]
    yield np.packbits(rest)


def stored(values, precision):
    """Returns values as a file holds them: what is not zero stays not zero.

    >>> stored(np.array([0.0, 1e-9, -1e9], "float32"), "float16").tolist()
    [0.0, 5.960464477539063e-08, -65504.0]
    """
    limits = np.finfo(precision)
    with np.errstate(over="ignore"):
        kept = values.astype(precision)
    large = np.isinf(kept) & np.isfinite(values)
    small = (kept == 0) & (values != 0)
    kept[large] = np.copysign(limits.max, values[large])
    kept[small] = np.copysign(limits.smallest_subnormal, values[small])
    return kept


def memory_of(shape):
    """Returns the bytes that writing a weight takes for a while, at most."""
    return 32 * min(math.prod(shape), pieces.PIECE)


def read_notes(path):
    """Returns the notes of a file.

    Raises:
        ValueError: it is damaged, or no snapshot.
        OSError: it can't be read, say `FileNotFoundError`.
    """
    with _opened(path) as file:
        notes = json.loads(file["notes"][:].tobytes())
        if notes["format"] != FORMAT:
            raise ValueError(f"it is of format {notes['format']!r}, not {FORMAT!r}")
    return notes


def read_mask(path, index, shape):
    """Returns the mask of a weight, a bool array."""
    size = math.prod(shape)
    with _opened(path) as file:
        bits = np.unpackbits(file[f"mask_{index}"][:], count=size)
    return bits.astype(bool).reshape(shape)


def read_pieces(path, index, at_most=pieces.PIECE):
    """Yields the values of a weight in row-major order, arrays of rank 1."""
    with _opened(path) as file:
        dataset = file[f"weight_{index}"]
        for start in range(0, dataset.size, at_most):
            yield dataset[start : start + at_most]


@contextlib.contextmanager
def _opened(path):
    """Opens a file; what is wrong with its content is a ValueError."""
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"There is no such file. Received: path={str(path)!r}")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(
            f"The file is damaged, or is no snapshot of a run ({error}). "
            f"Received: path={str(path)!r}"
        ) from error
