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
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


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
    return _tfds(name, batch_size)


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
            "train": read(path / "train", seed=seed, **options),
            "validation": held and read(path / held, shuffle=False, **options),
            "test": read(path / "test", shuffle=False, **options),
        }
    share = sum(SHARES.values())
    train, rest = read(
        path, validation_split=share, subset="both", seed=seed, **options
    )
    half = max(len(rest) // 2, 1)
    if len(rest) < 2:
        raise ValueError(
            "Too few pictures to split into training, validation and test: make "
            f"folders train and test, or lower --batch-size. Received: {path}"
        )
    return {"train": train, "validation": rest.take(half), "test": rest.skip(half)}


def _tfds(name, batch_size):
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
    return {
        part: builder.as_dataset(split=split, as_supervised=True).batch(batch_size)
        for part, split in zip(PARTS, (train, held, "test"), strict=True)
    }
