"""Data sets that others have corrupted: CIFAR-10-C's files, and TFDS by name.

Gives the same stream of batches as `streams.Corrupting`; knows no model.
"""

import functools
import pathlib

import numpy as np

from keras_dsd._shared import checks, extras
from keras_dsd.robustness import data, streams
from keras_dsd.robustness.corruptions import catalog
from keras_dsd.robustness.corruptions.corrupting import CHANNELS
from keras_dsd.robustness.corruptions.corruption import SEVERITIES

# What TFDS calls differently.
_TFDS_NAMES = {"frosted_glass_blur": "glass_blur", "elastic": "elastic_transform"}
# Data set: (split, the clean one of the same images, as far as it has their size).
_TFDS = {
    "cifar10_corrupted": ("test", "cifar10"),
    "imagenet2012_corrupted": ("validation", None),
    "mnist_corrupted": ("test", "mnist_corrupted/identity"),
}
NAMES = tuple(_TFDS)


class CorruptedSet:
    """Images that are corrupted already; made by `npy_set` and `published_set`.

    Args:
        cells: {(name, severity): function that loads it}. What is loaded is an array
            of images and one of labels, or a `tf.data.Dataset` of single examples.
        clean: function that loads the clean images, or `None`.
    """

    seed = 0
    constants = "published"

    def __init__(self, cells, clean):
        self._cells = cells if clean is None else {streams.CLEAN: clean, **cells}

    @property
    def names(self):
        """Names of all corruptions that there are, a tuple."""
        cells = dict.fromkeys(
            name for name, _ in self._cells if name != streams.CLEAN[0]
        )
        return tuple(cells)

    def conditions(self, names, severities):
        """Returns the list of (name, severity) to measure, `CLEAN` first if there is.

        Args:
            names: tuple of corruptions, or `None`: the 15 of the benchmark if it has
                them all, else all that there are.
            severities: tuple of integers, or `None`: all that there are.
        """
        held = [cell for cell in self._cells if cell != streams.CLEAN]
        if names is None and set(catalog.STANDARD) <= set(self.names):
            names = catalog.STANDARD
        for value, what, known in (
            (names, "corruptions", set(self.names)),
            (severities, "severities", {severity for _, severity in held}),
        ):
            missing = [one for one in value or () if one not in known]
            if missing:
                raise ValueError(
                    f"The data set has the {what} {sorted(known)}. "
                    f"Received: {what}={missing}"
                )
        chosen = [
            (name, severity)
            for name, severity in held
            if (names is None or name in names)
            and (severities is None or severity in severities)
        ]
        return [cell for cell in self._cells if cell == streams.CLEAN] + chosen

    def steps(self, conditions, batch_size):
        """Returns the number of batches, `None`: not known before they are loaded."""
        return None

    def stream(self, conditions, batch_size):
        """Yields (condition, images, labels, `None`)."""
        size = data.check_batch_size(batch_size)
        for condition in conditions:
            for images, labels in _batches(self._cells[condition](), size):
                yield condition, np.asarray(images), np.asarray(labels), None


def _batches(loaded, size):
    if not isinstance(loaded, tuple):
        yield from loaded.batch(size).as_numpy_iterator()
        return
    images, labels = loaded
    for start in range(0, len(images), size):
        yield images[start : start + size], labels[start : start + size]


def npy_set(folder, clean=None):
    """Returns a data set in the format of CIFAR-10-C and CIFAR-100-C.

    Of a folder that holds the 15 corruptions of the benchmark, `evaluate` measures
    those: the published means leave out the four others that CIFAR-10-C has. Ask for
    them by `corruptions=`. Of any other folder it measures all.

    Args:
        folder: path of a folder with a file `NAME.npy` for each corruption, uint8
            images (5 * N, H, W, C) with severity 1 in the first N, and so on, grey
            (C = 1) or RGB (C = 3), and `labels.npy` with 5 * N labels, or N.
        clean: tuple `(x, y)` of the N clean images, uint8 (N, H, W, C), and their
            labels, for the clean accuracy. Defaults to `None`: there is none.

    Returns:
        A data set for `evaluate`, which reads the files as it goes.

    Raises:
        ValueError, TypeError: the folder holds something else, or `clean` is not of the
            same images.
        OSError: a file can't be read.

    Example:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from keras_dsd import robustness
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> np.save(folder / "fog.npy", np.zeros((50, 32, 32, 3), "uint8"))
    >>> np.save(folder / "labels.npy", np.zeros(50, "uint8"))
    >>> data = robustness.npy_set(folder)
    >>> data.conditions(None, (1, 2))
    [('fog', 1), ('fog', 2)]
    """
    folder = pathlib.Path(folder)
    files = sorted(folder.glob("*.npy"))
    names = [file.stem for file in files if file.stem != "labels"]
    if not names or len(names) == len(files):
        raise ValueError(
            "A folder with a NAME.npy for each corruption and a labels.npy is needed. "
            f"Received: folder={str(folder)!r} with {[file.name for file in files]}"
        )
    labels = data.check_labels(_load(folder / "labels.npy"))
    loaded = {name: _images(folder, name) for name in names}
    shapes = {name: images.shape for name, images in loaded.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"All files must hold images of one shape. Received: {shapes}")
    total, *shape = shapes[names[0]]
    count = total // len(SEVERITIES)
    if labels.shape not in ((count,), (total,)):
        raise ValueError(
            f"labels.npy must hold {total} labels, or {count}, for the images of "
            f"{names[0]}.npy. Received: shape {labels.shape}"
        )
    cells = {}
    for name, images in loaded.items():
        for severity in SEVERITIES:
            rows = slice((severity - 1) * count, severity * count)
            of_rows = rows if len(labels) == total else slice(None)
            cells[name, severity] = functools.partial(
                _rows, images, labels, rows, of_rows
            )
    if clean is None:
        return CorruptedSet(cells, None)
    arrays = _clean_arrays(clean)
    if arrays[0].shape != (count, *shape):
        raise ValueError(
            f"`clean` must be the same {count} images, clean, of shape "
            f"{(count, *shape)}. Received: images of shape {arrays[0].shape}"
        )
    return CorruptedSet(cells, lambda: arrays)


def _images(folder, name):
    """Returns the images of a file, which are read when they are looked at."""
    images = _load(folder / f"{name}.npy")
    if (
        images.ndim != 4
        or images.dtype != np.uint8
        or images.shape[-1] not in CHANNELS
        or len(images) % len(SEVERITIES)
        or not images.size
    ):
        raise ValueError(
            f"{name}.npy must hold uint8 images (5 * N, H, W, C), C being 1 or 3. "
            f"Received: shape {images.shape}, dtype {images.dtype}"
        )
    return images


def _clean_arrays(clean):
    """Returns clean images and labels, checked, as corrupted sets have them."""
    parts = checks.listed(clean, "clean", "images and labels")
    if len(parts) != 2:
        raise ValueError(
            f"`clean` must be (x, y). Received: clean of {len(parts)} parts"
        )
    images, labels = data.check_arrays(*parts)
    if images.dtype != np.uint8:
        raise ValueError(
            "`clean` must be uint8, as the corrupted images are. "
            f"Received: images of dtype {images.dtype}"
        )
    return images, labels


def _rows(images, labels, rows, of_labels):
    """Returns the images and labels of one severity, read when they are looked at."""
    return images[rows], labels[of_labels]


def _load(path):
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"Not a whole file of NumPy. Received: path={str(path)!r} ({error})"
        ) from error


def published_set(name, *, clean=None, data_dir=None):
    """Returns a corrupted data set of TensorFlow Datasets.

    Needs the extra `datasets`. TFDS downloads it when it is first read
    (`cifar10_corrupted`: 2.9 GB); `imagenet2012_corrupted` has to be prepared by hand,
    see its page there. `mnist_corrupted` has one strength, which counts as severity 1.

    Args:
        name: `"cifar10_corrupted"`, `"imagenet2012_corrupted"` or `"mnist_corrupted"`.
        clean: `tf.data.Dataset` of single clean examples `(image, label)`, or arrays
            `(x, y)`, uint8. Defaults to `None`: the clean images that TFDS has; for
            ImageNet none, for they come in all sizes.
        data_dir: folder of TFDS. Defaults to `None`: its own default.

    Returns:
        A data set for `evaluate`. Corruptions have the names of `names()`, where TFDS
        has others: `glass_blur`, `elastic_transform`. Where there are the 15 of the
        benchmark, they are what `evaluate` measures unless it is asked for others.

    Raises:
        ValueError, TypeError: there is no such data set.
        ImportError: tensorflow-datasets is not installed.

    Example:

    >>> from keras_dsd import robustness
    >>> data = robustness.published_set("cifar10_corrupted")
    >>> len(data.conditions(None, None))  # clean, and 15 corruptions of 5 severities
    76
    >>> len(data.names)
    19
    """
    split, of_clean = checks.known(name, "name", _TFDS)
    extras.require("datasets", needed_by=f"published_set({name!r})")
    import tensorflow_datasets as tfds

    def loader(builder):
        return lambda: tfds.load(
            builder, split=split, as_supervised=True, data_dir=data_dir
        )

    cells = {}
    for config in tfds.builder_cls(name).builder_configs:
        if config == "identity":
            continue
        corruption, _, severity = config.rpartition("_")
        if not severity.isdigit():
            corruption, severity = config, "1"
        key = _TFDS_NAMES.get(corruption, corruption), int(severity)
        cells[key] = loader(f"{name}/{config}")
    if clean is not None:
        # A `tf.data.Dataset` is left as it is, for it may be large.
        is_dataset = hasattr(clean, "as_numpy_iterator")
        loaded = clean if is_dataset else _clean_arrays(clean)
        return CorruptedSet(cells, lambda: loaded)
    return CorruptedSet(cells, of_clean and loader(of_clean))
