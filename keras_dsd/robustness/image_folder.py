"""Pictures in a folder that has a folder for each class: finds, checks and reads them.

Sizes are changed as `keras.utils.image_dataset_from_directory` changes them, so a model
that was trained on its batches sees what it knows. Knows files and Pillow; no model.
"""

import concurrent.futures
import dataclasses
import math
import os
import pathlib

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_MOST_THREADS = 8


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """What a folder holds; made by `find`.

    Args:
        classes: names of the classes, that of label 0 first.
        files: paths of the pictures, class by class.
        labels: class indices of the pictures, integers.
        ignored: paths of files that are no pictures by the endings of their names, or
            that lie in no folder of a class.
    """

    classes: tuple
    files: tuple
    labels: tuple
    ignored: tuple

    @property
    def counts(self):
        """How many pictures each class has: {name: integer}."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def without(self, files):
        """Returns the same folder without some files."""
        kept = [
            (file, label)
            for file, label in zip(self.files, self.labels, strict=True)
            if file not in files
        ]
        if not kept:
            raise ValueError(
                f"No picture can be read. Received: {len(self.files)} files, of which "
                f"the first is {str(self.files[0])!r}"
            )
        files, labels = zip(*kept, strict=True)
        return dataclasses.replace(self, files=files, labels=labels)


def find(folder, classes=None):
    """Returns the `ImageFolder` of a folder.

    Args:
        folder: path of a folder that has a folder of pictures for each class.
        classes: names of the classes in the order of the model's outputs; a class need
            not have a folder. Defaults to `None`: the names of all folders, sorted as
            Keras sorts them.

    Raises:
        ValueError: there is no picture in a class's folder, or a folder of pictures
            that is none of `classes`.
    """
    folder = pathlib.Path(folder)
    children = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    folders = {path.name: path for path in children if path.is_dir()}
    others = [path for path in children if path.is_file()]
    loose = sum(map(_is_picture, others))
    files: dict = {name: [] for name in (folders if classes is None else classes)}
    unknown = []
    for name, path in folders.items():
        found = _files_in(path)
        others += [file for file in found if not _is_picture(file)]
        of_class = [file for file in found if _is_picture(file)]
        if name in files:
            files[name] = of_class
        elif of_class:
            unknown.append(name)
    if unknown:
        raise ValueError(
            "There are folders of pictures that are none of the classes. "
            f"Received: folders {unknown}, classes {list(files)}"
        )
    if not any(files.values()):
        raise ValueError(
            "Pictures must lie in a folder for each class, as in "
            f"{folder.name}/CLASS/picture.png, and end in {', '.join(ENDINGS)}. "
            f"Received: {str(folder)!r} with {loose} pictures outside of folders, and "
            f"no picture in the folders {list(folders)}"
        )
    return ImageFolder(
        classes=tuple(files),
        files=tuple(file for of_class in files.values() for file in of_class),
        labels=tuple(
            label for label, of in enumerate(files.values()) for _ in range(len(of))
        ),
        ignored=tuple(others),
    )


def _files_in(folder):
    """Returns all files in a folder and the folders in it, in Keras's order."""
    return [
        pathlib.Path(path, name)
        for path, _, names in sorted(os.walk(folder))
        for name in sorted(names)
        if name[0] != "."
    ]


def _is_picture(path):
    return path.suffix.lower() in ENDINGS


def read(file, channels):
    """Returns a picture as uint8 (H, W, C), turned as its EXIF data says.

    Of 16 bits the upper 8 are taken, of several pages the first, of transparent
    pixels the colour.

    Args:
        file: path.
        channels: 1 for grey, or 3 for RGB.

    Raises:
        ValueError: the file is damaged, or no picture of 8 or 16 bits.
    """
    try:
        return _pixels(file, channels)
    except Exception as error:  # of a damaged file Pillow raises anything
        raise ValueError(
            f"This picture can't be read. Received: {str(file)!r} ({_reason(error)})"
        ) from error


def _pixels(file, channels):
    with PIL.Image.open(file) as picture:
        picture = PIL.ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I;16"):
            upper = np.asarray(picture) >> 8
            picture = PIL.Image.fromarray(upper.astype(np.uint8))
        if picture.mode in ("I", "F"):
            raise ValueError(f"pixels of more than 16 bits, mode {picture.mode!r}")
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def _reason(error):
    """Returns what an error says, in a line."""
    return " ".join(str(error).split()) or type(error).__name__


def check(files, channels, advance):
    """Reads all pictures once, for a damaged one is only seen when it is read.

    Args:
        files: paths.
        channels: 1 or 3.
        advance: function that is called after each.

    Returns:
        {path: (H, W)} of those that can be read, {path: what is wrong} of the others.
    """

    def size(file):
        try:
            return _pixels(file, channels).shape[:2]
        except Exception as error:
            return _reason(error)

    sizes: dict = {}
    errors: dict = {}
    with _threads() as threads:
        for file, found in zip(files, threads.map(size, files), strict=True):
            (errors if isinstance(found, str) else sizes)[file] = found
            advance()
    return sizes, errors


def resize(picture, size, how="stretch"):
    """Returns a picture in another size, uint8.

    Args:
        picture: uint8 (H, W, C).
        size: (H, W) to have.
        how: where the sides have another ratio: `"stretch"`, `"crop"` for the middle of
            the picture, or `"pad"` for all of it between black bars. Defaults to
            `"stretch"`.
    """
    height, width, channels = picture.shape
    if how == "crop":
        # The largest part of that ratio.
        tall = max(min(height, int(width * size[0] / size[1])), 1)
        wide = max(min(width, int(height * size[1] / size[0])), 1)
        top, left = (height - tall) // 2, (width - wide) // 2
        picture = picture[top : top + tall, left : left + wide]
    inner, corner = tuple(size), (0, 0)
    if how == "pad":
        ratio = max(height / size[0], width / size[1])
        exact = height / ratio, width / ratio
        inner = max(int(exact[0]), 1), max(int(exact[1]), 1)
        corner = int((size[0] - exact[0]) / 2), int((size[1] - exact[1]) / 2)
    if picture.shape[:2] != inner:
        # As Keras, without smoothing what becomes smaller.
        picture = cv2.resize(
            picture.astype(np.float32), inner[::-1], interpolation=cv2.INTER_LINEAR
        )
        picture = np.rint(picture).astype(np.uint8).reshape(*inner, channels)
    top, left = corner
    framed = np.zeros((*size, channels), np.uint8)
    framed[top : top + inner[0], left : left + inner[1]] = picture
    return framed


class Batches:
    """Batches of (images, labels) of a folder's pictures, all in one size.

    Args:
        folder: `ImageFolder`.
        shape: (H, W, C) of an image.
        how: as in `resize`.
        batch_size: integer.
    """

    def __init__(self, folder, shape, how, batch_size):
        self._folder, self._shape = folder, tuple(shape)
        self._how, self._size = how, batch_size

    def __len__(self):
        return math.ceil(len(self._folder.files) / self._size)

    def __iter__(self):
        labels = np.array(self._folder.labels)
        with _threads() as threads:
            for start in range(0, len(labels), self._size):
                rows = slice(start, start + self._size)
                images = threads.map(self._read, self._folder.files[rows])
                yield np.stack(list(images)), labels[rows]

    def _read(self, file):
        *size, channels = self._shape
        return resize(read(file, channels), size, self._how)


def _threads():
    cores = os.cpu_count() or 1
    return concurrent.futures.ThreadPoolExecutor(min(cores, _MOST_THREADS))
