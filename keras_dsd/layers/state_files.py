"""What of a prunable layer's state goes into a file, and whether a file's fits it.

Knows named arrays; no layer.
"""

from keras_dsd.layers import digest

# Not every run keeps these, and one that does may go on from one that did not.
OPTIONAL = ("rewind_", "gradient_", "explored_", "found")


def write(store, arrays):
    """Writes named arrays, and a digest of them."""
    for name, array in arrays.items():
        store[name] = array
    store[digest.NAME] = digest.of(arrays)


def check(arrays, own, layer, file):
    """Takes the digest out of a file's arrays, and holds them against it.

    Args:
        arrays: {name: NumPy array}, all that the file has.
        own: {name: shape} of what the layer has.
        layer: path of the layer, for the error.
        file: name of the file, for the error, or `None` if it is not known.

    Raises:
        ValueError: they are those of other weights, or damaged.
    """
    written = arrays.pop(digest.NAME, None)
    held = {name: tuple(array.shape) for name, array in arrays.items()}
    needed, found = (
        {name for name in names if not name.startswith(OPTIONAL)}
        for names in (own, held)
    )
    if needed != found or any(own[name] != held[name] for name in own.keys() & held):
        raise ValueError(
            "The file's masks are those of another selection of weights. "
            f"Expected: {own}. Received: {held}"
        )
    if written is not None:  # files of before there were digests load as they are
        digest.check(arrays, written, layer, file)
