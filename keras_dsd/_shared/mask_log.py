"""The log of mask updates as a format, which who writes it and who reads it share.

One line of JSON for each update. Knows files and plain values; knows no model.
"""

import hashlib
import json
import os
import pathlib

import numpy as np

from keras_dsd._shared import checks, files

# What stands in an update of one weight.
ENTRY = {
    "path": str,
    "size": int,
    "kept": int,
    "dropped": int,
    "grown": int,
    "sha256": str,
}
KEYS = {"step", "epoch", "phase", "drop_fraction", "explored", "weights"}
OPTIONAL = {"search"}


def read(path):
    """Returns the updates in a log.

    Args:
        path: the file's path, a str or an `os.PathLike`.

    Returns:
        List of dicts with the arguments of `AuditLog.write`, in the order in which
        they were written.

    Raises:
        TypeError: `path` is neither a str nor an `os.PathLike`.
        ValueError: a line is no update, or only a part of one; the message says which.
        OSError: the file can't be read, say `FileNotFoundError`.
    """
    records = []
    lines = pathlib.Path(files.name_of(path)).read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            records.append(parse(line))
        except ValueError as error:
            raise ValueError(
                f"Line {number} of {os.fspath(path)!r} is not one whole mask update "
                f"({_why(line)}). Received: {line[:60]!r}"
            ) from error
    return records


def _why(line):
    """Returns why a line is no update, in words."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return "cut off, or not JSON"
    if not isinstance(found, dict):
        return "not an object"
    missing, unknown = KEYS - found.keys(), found.keys() - KEYS - OPTIONAL
    if missing or unknown:
        return f"of another version, or another file: it has the keys {sorted(found)}"
    return "a value is not what it must be"


def parse(line):
    """Returns the record in a line of bytes; ValueError if there is none."""
    try:
        return checked(**json.loads(line))
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error


# The keys of a line, so that any other, and a missing one, is a TypeError of the call.
def checked(  # noqa: PLR0913
    step, epoch, phase, drop_fraction, explored, weights, search=None
):
    """Returns one update as a dict of plain numbers, strings and lists.

    Raises:
        TypeError, ValueError: a value is not what it must be.
    """
    if not isinstance(weights, list) or not all(map(_is_entry, weights)):
        raise TypeError(
            "`weights` must be a list of what `entry` returns. "
            f"Received: weights={weights!r}"
        )
    if search is not None and not isinstance(search, dict):
        raise TypeError(f"`search` must be a dict. Received: search={search!r}")
    return {
        "step": checks.integer(step, "step", at_least=0),
        "epoch": checks.integer(epoch, "epoch", at_least=0),
        "phase": checks.integer(phase, "phase", at_least=0),
        "drop_fraction": float(checks.fraction(drop_fraction, "drop_fraction")),
        "explored": float(checks.fraction(explored, "explored")),
        "weights": weights,
        **({} if search is None else {"search": search}),
    }


def _is_entry(value):
    return (
        isinstance(value, dict)
        and value.keys() == ENTRY.keys()
        and all(type(value[name]) is kind for name, kind in ENTRY.items())
        and min(value["kept"], value["dropped"], value["grown"]) >= 0
        and value["kept"] + value["dropped"] + value["grown"] <= value["size"]
    )


def digest(mask):
    """Returns the SHA-256 of a mask in row-major order, eight connections to a byte.

    >>> import numpy as np
    >>> from keras_dsd._shared import mask_log
    >>> mask_log.digest(np.array([True, False]))[:8]
    '76be8b52'
    """
    return hashlib.sha256(np.packbits(mask, axis=None).tobytes()).hexdigest()
