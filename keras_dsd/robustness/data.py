"""Images with their labels, from arrays or whatever gives batches. Knows no model."""

import math

import numpy as np

from keras_dsd._shared import checks
from keras_dsd.robustness.corruptions import corrupting

BATCH_SIZE = 128


class Data:
    """Images with labels: arrays, or an iterable of batches, checked as they come.

    Args:
        x: array of images or videos; or an iterable of `(x, y)` batches, with sample
            weights as a third part if there are any.
        y: array of labels as long as `x`; `None` if `x` is an iterable.
    """

    def __init__(self, x, y):
        self._source, self._arrays = x, None
        if y is not None or not _is_iterable_of_batches(x):
            self._arrays = check_arrays(x, y)
        else:
            self._length = _length(x)

    @property
    def shape(self):
        """The shape of the images, `None` where they come in batches."""
        return None if self._arrays is None else self._arrays[0].shape

    def length(self, batch_size):
        """Returns the number of batches, `None` if nobody can tell."""
        if self._arrays is None:
            if batch_size is not None:
                raise ValueError(
                    "`batch_size` is for arrays; a data set has its own. "
                    f"Received: batch_size={batch_size!r}"
                )
            return self._length
        return math.ceil(len(self._arrays[0]) / check_batch_size(batch_size))

    def batches(self, batch_size):
        """Yields (images, labels, weights or `None`)."""
        if self._arrays is None:
            yield from _checked_batches(self._source)
            return
        images, labels = self._arrays
        size = check_batch_size(batch_size)
        for start in range(0, len(images), size):
            stop = start + size
            yield images[start:stop], labels[start:stop], None


def white(images):
    """Returns what white is in images: 255 in uint8, else 1."""
    return 255.0 if images.dtype == np.uint8 else 1.0


def check_batch_size(batch_size):
    """Returns the number of images in a batch; `None` means 128."""
    size = BATCH_SIZE if batch_size is None else batch_size
    return checks.integer(size, "batch_size", at_least=1)


def check_arrays(x, y):
    """Returns images and labels as arrays, or says what is wrong with them."""
    images, labels = corrupting.check_images(x), check_labels(y)
    if len(labels) != len(images):
        raise ValueError(
            "There must be as many labels as images. Received: "
            f"{len(images)} images, {len(labels)} labels"
        )
    return images, labels


def check_labels(y):
    """Returns labels as an array, or says what is wrong with them."""
    labels = checks.array(y, "y")
    if labels.ndim == 0 or labels.dtype.kind not in "biuf":
        raise ValueError(
            "Labels must be an array of numbers, one for each image. Received: "
            f"y of type {type(y).__name__}, shape {labels.shape}, dtype {labels.dtype}"
        )
    return labels


def _is_iterable_of_batches(x):
    if isinstance(x, (np.ndarray, list, tuple, str)) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or _is_sequence(x)


def _is_sequence(x):
    # A `PyDataset` has these two, and no `__iter__`.
    return hasattr(x, "__getitem__") and hasattr(x, "__len__")


def _length(x):
    if hasattr(x, "cardinality"):  # a `tf.data.Dataset`: -1 infinite, -2 unknown
        count = int(x.cardinality())
        if count == -1:
            raise ValueError(
                "The data set never ends; limit it with `take`. "
                f"Received: an infinite {type(x).__name__}"
            )
        return count if count >= 0 else None
    try:
        return len(x)
    except TypeError:  # a generator has none
        return None


def _checked_batches(x):
    empty = True
    batches = x if hasattr(x, "__iter__") else (x[i] for i in range(len(x)))
    for batch in batches:
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise ValueError(
                "Batches must be (images, labels) or (images, labels, weights). "
                f"Received: {type(batch).__name__}"
                + (f" of {len(batch)}" if isinstance(batch, (tuple, list)) else "")
            )
        images, labels = check_arrays(*batch[:2])
        empty = False
        yield images, labels, np.asarray(batch[2]) if len(batch) == 3 else None
    if empty:
        raise ValueError("The data must not be empty. Received: no batch")
