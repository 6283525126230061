"""Whether weights are those of one model, whatever Keras has appended to their names.

Knows paths and shapes.
"""

import re


def paths(first, other, name):
    """Returns {path in `first`: path in `other`} of the same weights.

    Numbers that Keras appends to the names of layers may differ between them, as they
    do between models that were built one after the other.

    Args:
        first: {path: shape}.
        other: {path: shape}.
        name: of the other, for messages.

    Raises:
        ValueError: they are not of one model.

    >>> paths({"dense/kernel": (2, 3)}, {"dense_1/kernel": (2, 3)}, "models[1]")
    {'dense/kernel': 'dense_1/kernel'}
    """
    if first == other:
        return {path: path for path in first}
    wanted = [(_nameless(path), shape) for path, shape in first.items()]
    if wanted != [(_nameless(path), shape) for path, shape in other.items()]:
        raise ValueError(
            f"All must be of one model: `{name}` has other weights than the first. "
            f"Received: {_difference(first, other)}"
        )
    return dict(zip(first, other, strict=True))


def _nameless(path):
    """Returns a path without the numbers that Keras appends to names."""
    return re.sub(r"_\d+(?=/|$)", "", path)


def _difference(first, other):
    """Returns in words which weights there are in one only, or of another shape."""
    return "; ".join(
        f"{path} {other.get(path, 'not there')}, first {first.get(path, 'not there')}"
        for path in {**first, **other}
        if first.get(path) != other.get(path)
    )
