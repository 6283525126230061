"""Train, validation and test data by the name that a user gave on the command line.

Knows files, arrays and TFDS; no model but the shape of its input.
"""

import csv
import pathlib

import keras
import numpy as np

from keras_dsd._shared import extras
from keras_dsd.studies import single_run

PARTS = ("train", "validation", "test")
SHARES = {"validation": 0.15, "test": 0.15}  # of data that come in one piece
SHUFFLED = 1024  # items that are held in memory to draw from, as Keras has it


class Redrawn(keras.utils.PyDataset):
    """A data set that is made anew for each epoch, in an order that the seeds draw.

    A data set that shuffles goes by how often it was read, which a run that goes on in
    another process does not know; `batches.Draws` seeds all by the epoch, then starts
    this. Batches are read one after the other.

    Args:
        make: function that returns the data set, in batches.
    """

    def __init__(self, make):
        super().__init__()
        self.make = make
        self.start(0)

    def start(self, epoch):
        """Begins an epoch."""
        self._made = self.make()
        self._count = len(self._made)
        self._batches, self._next = iter(self._made.as_numpy_iterator()), 0

    def __len__(self):
        """Returns how many batches an epoch has."""
        return self._count

    def __getitem__(self, index):
        """Returns one batch, a tuple."""
        if index < self._next:  # Keras looks at some before it begins
            self._batches, self._next = iter(self._made.as_numpy_iterator()), 0
        while self._next <= index:
            batch = next(self._batches)
            self._next += 1
        return batch


def load(name, *, target, shape, batch_size, seed):
    """Returns {part: (x, y) or a data set}; validation may be None.

    Args:
        name: of a file, a folder, a function or a data set.
        target: column of a table, or `None`.
        shape: of the model's input, without the batch; `None` if it has several.
        batch_size: of data sets that come in batches.
        seed: of the split of data that come in one piece.

    Raises:
        OSError, TypeError, ValueError: it is none of these, or does not hold what it
            should.
    """
    path = pathlib.Path(name)
    if path.suffix == ".npz":
        return _arrays(path, seed)
    if path.suffix == ".csv":
        return _table(path, target, seed)
    if path.is_dir():
        return _pictures(path, shape, batch_size, seed)
    if ":" in name:
        return single_run.load_data(name)
    if path.suffix or "/" in name:
        raise ValueError(
            "DATA must be an .npz or .csv file, a folder of pictures, module:function "
            f"or a name of TFDS. Received: {name}"
        )
    return _tfds(name, batch_size, seed)


def _arrays(path, seed):
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"No arrays can be read. Received: {path} ({error})"
        ) from error
    if {"x", "y"} <= arrays.keys():
        return _split(arrays["x"], arrays["y"], seed)
    lost = {"x_train", "y_train", "x_test", "y_test"} - arrays.keys()
    if lost:
        raise ValueError(
            "The file must hold x and y, or x_train, y_train, x_test and y_test (and "
            f"may hold x_val and y_val). Received: {path} with {sorted(arrays)}"
        )
    parts = {
        part: (arrays[f"x_{short}"], arrays[f"y_{short}"])
        if f"x_{short}" in arrays
        else None
        for part, short in zip(PARTS, ("train", "val", "test"), strict=True)
    }
    for part, pair in parts.items():
        _check(part, pair, path)
    return parts


def _check(part, pair, path):
    if pair is not None and (len(pair[0]) != len(pair[1]) or not len(pair[0])):
        raise ValueError(
            f"The {part} data must have as many labels as items, one or more. "
            f"Received: {len(pair[0])} and {len(pair[1])} in {path}"
        )


def _split(x, y, seed):
    _check("", (x, y), "the data")
    order = np.random.default_rng(seed).permutation(len(x))
    if len(x) < 10:
        raise ValueError(f"Too few items to split. Received: {len(x)}")
    found, start = {}, 0
    for part, share in SHARES.items():
        chosen = order[start : start + int(share * len(x))]
        found[part] = (x[chosen], y[chosen])
        start += len(chosen)
    return {"train": (x[order[start:]], y[order[start:]]), **found}


def _table(path, target, seed):
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if len(rows) < 2 or target not in rows[0]:
        known = rows[0] if rows else []
        raise ValueError(
            f"`--target` must be a column of the table. Known: {known}. "
            f"Received: --target {target}"
        )
    column = rows[0].index(target)
    labels = [row[column] for row in rows[1:]]
    try:
        x = np.array([row[:column] + row[column + 1 :] for row in rows[1:]], "float32")
    except ValueError as error:
        raise ValueError(
            "All columns but the target must be numbers, in every row: encode the "
            f"others before. Received: {path} ({error})"
        ) from error
    return _split(x, _labels(labels), seed)


def _labels(values):
    """Returns numbers as they are, and names as indices of the sorted names."""
    try:
        return np.array(values, "int64")
    except ValueError:
        pass
    try:
        return np.array(values, "float32")
    except ValueError:
        return np.unique(values, return_inverse=True)[1]


def _pictures(path, shape, batch_size, seed):
    if shape is None or len(shape) != 3 or None in shape:
        raise ValueError(
            "A folder of pictures needs a model with one input of a fixed height, "
            f"width and number of channels. Received: input shape {shape}"
        )
    options = {
        "image_size": tuple(shape[:2]),
        "color_mode": {1: "grayscale", 3: "rgb", 4: "rgba"}[shape[2]],
        "batch_size": batch_size,
        "verbose": False,
    }
    read = keras.utils.image_dataset_from_directory
    folders = {child.name for child in path.iterdir() if child.is_dir()}
    if {"train", "test"} <= folders:
        held = next((n for n in ("validation", "val") if n in folders), None)
        return {
            "train": Redrawn(lambda: read(path / "train", seed=seed, **options)),
            "validation": held and read(path / held, shuffle=False, **options),
            "test": read(path / "test", shuffle=False, **options),
        }
    share = sum(SHARES.values())
    options |= {"validation_split": share, "seed": seed}
    _, rest = read(path, subset="both", **options)
    half = max(len(rest) // 2, 1)
    if len(rest) < 2:
        raise ValueError(
            "Too few pictures to split into training, validation and test: make "
            f"folders train and test, or lower --batch-size. Received: {path}"
        )
    return {
        "train": Redrawn(lambda: read(path, subset="training", **options)),
        "validation": rest.take(half),
        "test": rest.skip(half),
    }


def _tfds(name, batch_size, seed):
    extras.require("datasets", needed_by=f"the data set {name!r}")
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name)
    except tfds.core.DatasetNotFoundError as error:
        raise ValueError(
            f"There is no such file, and no data set of TFDS. Received: {name}"
        ) from error
    splits = builder.info.splits
    if "test" not in splits:
        raise ValueError(
            f"The data set has no test split. Received: {name} with {sorted(splits)}"
        )
    builder.download_and_prepare()
    held = "validation" if "validation" in splits else "train[90%:]"
    train = "train" if "validation" in splits else "train[:90%]"

    def read(split):
        return builder.as_dataset(split=split, as_supervised=True)

    return {
        "train": Redrawn(
            lambda: read(train).shuffle(SHUFFLED, seed=seed).batch(batch_size)
        ),
        "validation": read(held).batch(batch_size),
        "test": read("test").batch(batch_size),
    }
