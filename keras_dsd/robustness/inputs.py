"""What `--data` names: arrays, a folder of pictures, or a set corrupted already.

Refuses what does not fit the model before the model has seen an image. Knows files and
the shapes of a model; measures nothing.
"""

import dataclasses
import pathlib

import numpy as np

from keras_dsd.robustness import data, image_folder, published
from keras_dsd.robustness.corruptions.corrupting import CHANNELS
from keras_dsd.robustness.progress import bar

ARRAYS = (("x", "y"), ("x_test", "y_test"))  # names of images and labels in an .npz


@dataclasses.dataclass(frozen=True)
class Pictures:
    """How a folder of pictures is read.

    Args:
        classes: names of the classes in the order of the model's outputs, or a path of
            a file with one in each line; or `None`: the names of the folders, sorted.
        image_size: list of height and width, or `None`: those of the model's input.
        crop_to_aspect_ratio, pad_to_aspect_ratio: as in
            `keras.utils.image_dataset_from_directory`.
        skip_unreadable: whether damaged files are left out, not refused.

    Raises:
        ValueError: an argument is wrong.
    """

    classes: list | None = None
    image_size: list | None = None
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    skip_unreadable: bool = False

    def __post_init__(self):
        if self.image_size and min(self.image_size) < 1:
            raise ValueError(
                "Height and width must be 1 or more. "
                f"Received: image_size={self.image_size}"
            )
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise ValueError(
                "Pictures are cropped or padded, not both. Received: "
                "crop_to_aspect_ratio=True, pad_to_aspect_ratio=True"
            )

    @property
    def how(self):
        """How pictures of another ratio are brought into the size."""
        if self.crop_to_aspect_ratio:
            return "crop"
        return "pad" if self.pad_to_aspect_ratio else "stretch"

    def names(self):
        """Returns the names of the classes as a list, or `None`."""
        names = self.classes
        if names is None:
            return None
        if len(names) == 1 and pathlib.Path(names[0]).is_file():
            lines = pathlib.Path(names[0]).read_text(encoding="utf-8").splitlines()
            names = [line.strip() for line in lines if line.strip()]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"Classes must have different names. Received: classes={names}"
            )
        return list(names)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Images and labels as `evaluate` takes them, and what is to be told of them.

    Args:
        x, y, batch_size: as in `evaluate`.
        classes: tuple of names of the classes, or `None`: nobody has named them.
        notes: lines to print.
    """

    x: object
    y: object = None
    batch_size: int | None = None
    classes: tuple | None = None
    notes: tuple = ()


def load(name, model, *, clean=None, batch_size=None, pictures=None):
    """Returns the `Inputs` that a path or a name stands for.

    Args:
        name: path of an .npz, of a folder of pictures or of .npy files, or the name of
            a data set of TFDS.
        model: the `keras.Model` that will see them.
        clean: path of an .npz with the clean images of a corrupted data set, or `None`.
        batch_size: integer, or `None`.
        pictures: `Pictures`. Defaults to `None`: as if nothing were asked for.

    Raises:
        ValueError: it is none of these, or does not fit the model.
    """
    path = pathlib.Path(name)
    pictures = pictures or Pictures()
    if path.is_dir() and not (path / "labels.npy").exists():
        return _folder(path, model, pictures, data.check_batch_size(batch_size))
    if pictures != Pictures():
        raise ValueError(
            "Classes, the size of images and unreadable files are matters of folders "
            f"of pictures. Received: {name!r} with {pictures}"
        )
    if path.suffix == ".npz":
        x, y = _npz(path)
        return Inputs(x, y, batch_size)
    arrays = clean and _npz(clean)
    if path.is_dir():
        return Inputs(published.npy_set(path, arrays), batch_size=batch_size)
    if name in published.NAMES:
        return Inputs(
            published.published_set(name, clean=arrays), batch_size=batch_size
        )
    raise ValueError(
        "Data is an .npz with x and y, a folder with a folder of pictures for each "
        "class, a folder with .npy files as CIFAR-10-C has them, or one of "
        f"{published.NAMES}. Received: {name!r}"
    )


def _npz(path):
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for names in ARRAYS:
                if set(names) <= set(arrays.files):
                    return tuple(arrays[name] for name in names)
            found = arrays.files
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"Not a file of NumPy arrays. Received: {str(path)!r} ({error})"
        ) from error
    raise ValueError(
        "The file must hold x and y, or x_test and y_test. "
        f"Received: {str(path)!r} with {found}"
    )


def _folder(path, model, pictures, batch_size):
    *size, channels = _input_shape(model)
    folder = image_folder.find(path, pictures.names())
    _check_classes(folder.classes, model)
    with bar(len(folder.files), True) as advance:
        sizes, errors = image_folder.check(
            folder.files, channels, lambda: advance("checking pictures")
        )
    if errors and not pictures.skip_unreadable:
        file, reason = next(iter(errors.items()))
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise ValueError(
            "All pictures must be readable; --skip-unreadable leaves the others out. "
            f"Received: {str(file)!r} ({reason}){more}"
        )
    folder = folder.without(errors)
    size = _size(size, pictures.image_size, sizes)
    return Inputs(
        image_folder.Batches(folder, (*size, channels), pictures.how, batch_size),
        classes=folder.classes,
        notes=tuple(_notes(folder, errors)),
    )


def _notes(folder, errors):
    counts = (
        f"{label} {name} ({count})"
        for label, (name, count) in enumerate(folder.counts.items())
    )
    yield f"Classes, and how many pictures they have: {', '.join(counts)}"
    for what, files in (
        ("no picture of a class", folder.ignored),
        ("can't be read", errors),
    ):
        if files:
            names = ", ".join(str(file) for file in list(files)[:3])
            yield (
                f"Left out, {what}: {len(files)} "
                f"({names}{', ...' if len(files) > 3 else ''})"
            )


def _input_shape(model):
    """Returns (H, W, C) of a model's input; H and W are `None` where any will do."""
    shape = getattr(model, "input_shape", None) or (None,) * 4
    if isinstance(shape, tuple) and len(shape) == 4:
        _, height, width, channels = shape
        channels = 3 if channels is None else channels
        if channels in CHANNELS:
            return height, width, channels
    raise ValueError(
        "Pictures need a model whose input is (H, W, C), C being 1 or 3. "
        f"Received: input_shape={shape}"
    )


def _check_classes(classes, model):
    """Checks that a model tells as many classes apart, where its output says so."""
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        return
    # One output of a binary model stands for two classes.
    count = 2 if shape[1] == 1 else shape[1]
    if len(classes) != count:
        raise ValueError(
            f"The model tells {count} classes apart; name them in the order of its "
            "outputs with --classes, those too that have no pictures here. "
            f"Received: {len(classes)} classes, {list(classes)}"
        )


def _size(of_model, asked, sizes):
    """Returns the height and width that all pictures get."""
    found = set(sizes.values())
    size = of_model
    if asked is not None:
        size = asked
    elif None in of_model and len(found) == 1:
        (size,) = found
    if None in size:
        examples = {size: str(file) for file, size in sizes.items()}
        shown = ", ".join(f"{file!r} of {size}" for size, file in examples.items())
        raise ValueError(
            "Of pictures in several sizes, --image-size says which one a model gets "
            f"that takes any. Received: {len(found)} sizes, {shown[:200]}"
        )
    if any(a not in (None, b) for a, b in zip(of_model, size, strict=True)):
        raise ValueError(
            f"The model takes images of {tuple(of_model)}. "
            f"Received: image_size={tuple(size)}"
        )
    return tuple(size)
