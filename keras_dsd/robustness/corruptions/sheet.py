"""A contact sheet: a picture of what corruptions do, a row for each.

Knows `corrupt` and matplotlib.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from keras_dsd._shared import checks
from keras_dsd.robustness.corruptions import catalog
from keras_dsd.robustness.corruptions.corrupting import (
    check_images,
    check_severities,
    corrupt,
)
from keras_dsd.robustness.corruptions.corruption import SEVERITIES

FRAMES = 6  # of a clip that are shown, at even distances
INCHES = 1.25  # the side of a picture on the sheet


def contact_sheet(image, names=None, severities=None, *, path=None, seed=0):
    """Draws what corruptions make of an image or a clip: look before you measure.

    Of an image, a row shows one corruption: the image as it is, then the severities. Of
    a clip, a row shows frames of the clip at one severity.

    Args:
        image: array (H, W, C) of an image, or (T, H, W, C) of a clip; grey (C = 1) or
            RGB (C = 3), uint8, or floating with values in [0, 1].
        names: list of names of corruptions. Defaults to `None`: of an image, all that
            it can have; of a clip, those that are for clips only.
        severities: an integer from 1 to 5, or a list of them. Defaults to `None`: of an
            image all five, of a clip 3.
        path: file to write, say `"sheet.png"`. Defaults to `None`: none is written.
        seed: integer, 0 or more, of the corruptions' random draws. Defaults to 0.

    Returns:
        A `matplotlib.figure.Figure`, which a notebook shows after `%matplotlib inline`.

    Raises:
        ValueError, TypeError: if an argument is wrong; before any work.

    Example:

    >>> import numpy as np
    >>> from keras_dsd import robustness
    >>> image = np.full((32, 32, 3), 128, "uint8")
    >>> figure = robustness.contact_sheet(image, ["lens_dirt", "dead_lines"])
    >>> len(figure.axes)  # two rows: the image as it is, and five severities
    12
    """
    image = checks.array(image, "image")
    if image.ndim not in (3, 4):
        raise ValueError(
            "`image` must have shape (H, W, C), or (T, H, W, C) of a clip. "
            f"Received: an array of shape {image.shape}"
        )
    images = check_images(image[None])
    is_clip = image.ndim == 4
    corruptions = _corruptions(names, is_clip)
    for corruption in corruptions:
        check_images(images, corruption)
    if severities is None:
        severities = (3,) if is_clip else SEVERITIES
    severities = check_severities(severities)
    if not severities or not corruptions:
        raise ValueError(
            "There must be a name and a severity at least. "
            f"Received: names={names!r}, severities={severities!r}"
        )
    seed = checks.integer(seed, "seed", at_least=0)

    def corrupted(name, severity):
        return corrupt(images, name, severity, seed=seed)[0]

    all_names = [corruption.name for corruption in corruptions]
    if is_clip:
        shown = np.unique(np.linspace(0, len(image) - 1, FRAMES).round().astype(int))
        titles = [f"frame {frame + 1}" for frame in shown]
        rows = [("clean", image[shown])]
        rows += [
            (f"{name} {severity}", corrupted(name, severity)[shown])
            for name in all_names
            for severity in severities
        ]
    else:
        titles = ["clean", *(f"severity {severity}" for severity in severities)]
        rows = [
            (name, [image, *(corrupted(name, severity) for severity in severities)])
            for name in all_names
        ]
    figure = _figure(titles, rows)
    if path is not None:
        figure.savefig(path)
    return figure


def _corruptions(names, is_clip):
    if names is not None:
        return [catalog.get(name) for name in checks.listed(names, "names", "names")]
    found = [catalog.get(name) for name in catalog.names()]
    return [each for each in found if (each.time == "clip") == is_clip]


def _figure(titles, rows):
    """Returns a figure of rows of pictures, each with its name on the left."""
    height, width = rows[0][1][0].shape[:2]
    row = INCHES * np.clip(height / width, 0.25, 4)
    figure = Figure(
        figsize=(INCHES * len(titles) + 1.6, row * len(rows) + 0.4),
        dpi=100,
        layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0, hspace=0),
    )
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for own, (name, pictures) in zip(axes, rows, strict=True):
        for axis, picture in zip(own, pictures, strict=True):
            # `imshow` takes grey pictures without the axis of channels only.
            grey = picture.shape[-1] == 1
            top = 255 if picture.dtype == np.uint8 else 1
            axis.imshow(
                (picture[..., 0] if grey else picture).astype(np.float32) / top,
                cmap="gray",
                vmin=0,
                vmax=1,
            )
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        own[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize="medium")
    return figure
