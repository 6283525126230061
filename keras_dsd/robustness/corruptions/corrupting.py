"""`corrupt(images, name, severity)`: checks what it is given and chooses the strength.

What is done to the pixels is in the rooms of corruptions, which see float32 in [0, 1].
"""

import numbers

import numpy as np

from keras_dsd._shared import checks
from keras_dsd.robustness.corruptions import catalog, drawing
from keras_dsd.robustness.corruptions.corruption import SEVERITIES

SMALL = 64  # pixels of the longer side, up to which the constants of CIFAR-10-C hold
CONSTANTS = ("auto", "cifar", "imagenet")
CHANNELS = (1, 3)  # grey, or RGB


def corrupt(images, name, severity, *, seed=0, constants="auto", first_index=0):
    """Returns corrupted copies of images or videos.

    The random draws of an image depend on `(seed, name, severity)` and on its index in
    the data set, not on the batch that it comes in.

    Args:
        images: array (N, H, W, C) of images or (N, T, H, W, C) of videos; grey (C = 1)
            or RGB (C = 3), of any size; uint8, or floating with values in [0, 1].
        name: of the corruption; `robustness.names()` lists them.
        severity: integer from 1 to 5, worse and worse. How bad 1 is differs: small
            images come out of `elastic_transform` 1 warped for all to see.
        seed: integer, 0 or more. Defaults to 0.
        constants: `"cifar"` (strengths of CIFAR-10-C), `"imagenet"` (of
            ImageNet-C), or `"auto"`: the first up to 64 pixels, the second above. Only
            the 19 standard corruptions have both. Defaults to `"auto"`.
        first_index: index of the first of `images` in the data set, for data that comes
            in batches. Defaults to 0.

    Returns:
        A NumPy array of the shape and dtype of `images`. As in the reference scripts,
        uint8 values are truncated, not rounded.

    Raises:
        ValueError, TypeError: if the name, the severity or the images are wrong; before
            any work.

    Reference: [Hendrycks and Dietterich, ICLR 2019](https://arxiv.org/abs/1903.12261).

    Example:

    >>> import numpy as np
    >>> from keras_dsd import robustness
    >>> images = np.full((8, 32, 32, 3), 128, "uint8")
    >>> robustness.corrupt(images, "gaussian_noise", 3, seed=1).shape
    (8, 32, 32, 3)
    """
    corruption = catalog.get(name)
    severity = check_severity(severity)
    seed = checks.integer(seed, "seed", at_least=0)
    first_index = checks.integer(first_index, "first_index", at_least=0)
    images = check_images(images, corruption)
    constants = constants_for(images, check_constants(constants))
    strength = corruption.strength(severity, constants)
    draws = drawing.Draws(seed, name, severity)
    return drawing.apply(corruption, images, strength, draws, first_index)


def check_severity(severity, name="severity"):
    """Returns a severity that is an integer from 1 to 5."""
    if checks.integer(severity, name, at_least=1) > SEVERITIES[-1]:
        raise ValueError(
            f"`{name}` must be an integer from 1 to 5. Received: {name}={severity!r}"
        )
    return int(severity)


def check_severities(severities):
    """Returns severities, or a single one, as a list of integers from 1 to 5."""
    if isinstance(severities, numbers.Integral):
        severities = (severities,)
    return [
        check_severity(severity, "severities")
        for severity in checks.listed(severities, "severities", "integers")
    ]


def check_constants(constants):
    """Returns the name of a set of constants, or `"auto"`."""
    checks.one_of(constants, "constants", CONSTANTS)
    return constants


def constants_for(images, constants):
    """Returns the name of the set of constants that `"auto"` means for images."""
    if constants != "auto":
        return constants
    return "cifar" if max(images.shape[-3:-1]) <= SMALL else "imagenet"


def check_shape(shape, corruption=None):
    """Checks the shape of images, or of videos where the corruption is for those.

    Args:
        shape: tuple of integers.
        corruption: the `Corruption` that they are for. Defaults to `None`: any.
    """
    ranks = (5,) if corruption is not None and corruption.time == "clip" else (4, 5)
    if len(shape) not in ranks or shape[-1] not in CHANNELS or 0 in shape:
        shapes = " or ".join(
            {4: "(N, H, W, C)", 5: "(N, T, H, W, C)"}[rank] for rank in ranks
        )
        what = f"{corruption.name!r} is for videos: " if ranks == (5,) else ""
        raise ValueError(
            f"{what}`images` must have shape {shapes} with 1 or 3 channels and not be "
            f"empty. Received: an array of shape {shape}"
        )


def check_images(images, corruption=None):
    """Returns images as an array that `corrupt` can take, or says what is wrong.

    Args:
        images: anything that NumPy can make an array of.
        corruption: the `Corruption` that they are for. Defaults to `None`: any.
    """
    images = checks.array(images, "images")
    check_shape(images.shape, corruption)
    if images.dtype == np.uint8:
        return images
    # `bfloat16` is no subtype of NumPy's own floating dtypes.
    if not (
        np.issubdtype(images.dtype, np.floating) or images.dtype.name == "bfloat16"
    ):
        raise TypeError(
            "`images` must be uint8, or floating with values in [0, 1]. "
            f"Received: an array of dtype {images.dtype}"
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):  # True for NaN too
        # Attacks, say, make floating images of 8-bit ones, not rounded.
        hint = " Divide them by 255." if low >= 0 and 1 < high <= 255 else ""
        raise ValueError(
            f"`images` of a floating dtype must have values in [0, 1].{hint} "
            f"Received: values from {low} to {high}"
        )
    return images
