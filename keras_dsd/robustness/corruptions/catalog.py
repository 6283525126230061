"""All corruptions by name, and `register` for a user's own.

Gathers what the rooms of corruptions define; does nothing to images.
"""

import numpy as np

from keras_dsd._shared import checks
from keras_dsd.robustness.corruptions import (
    blur,
    digital,
    extra,
    lens,
    light,
    motion,
    noise,
    sensor,
    transmission,
    video,
    weather,
)
from keras_dsd.robustness.corruptions.corruption import Corruption, each

# In the order in which reports list them.
_FAMILIES = (
    noise,
    blur,
    weather,
    digital,
    extra,
    lens,
    sensor,
    light,
    motion,
    transmission,
    video,
)
# Those that published means are taken over.
STANDARD = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
_BUILT_IN: dict[str, Corruption] = {
    corruption.name: corruption
    for family in _FAMILIES
    for corruption in family.CORRUPTIONS
}
_OWN: dict[str, Corruption] = {}


def _all():
    return _BUILT_IN | _OWN


def get(name):
    """Returns the `Corruption` of a name.

    Raises:
        ValueError, TypeError: if there is none; the message lists those that there are.
    """
    return checks.known(name, "corruption", _all())


def names(family=None):
    """Returns the names of corruptions, in the order in which reports list them.

    Args:
        family: only those of this family. Defaults to `None`: all.

    Returns:
        A tuple of strings.

    Raises:
        ValueError, TypeError: if there is no such family.
    """
    if family is not None:
        checks.one_of(family, "family", {c.family for c in _all().values()})
    return tuple(
        name
        for name, corruption in _all().items()
        if family in (None, corruption.family)
    )


def register(name, function, *, family="custom"):
    """Adds a corruption of one's own, to be used by its name as the others are.

    Args:
        name: string that none of the library's corruptions has. One of one's own is
            replaced, as when a notebook's cell runs again.
        function: function of `(image, severity, rng)` that returns the corrupted
            image. `image` is a float32 array (H, W, C) with values in [0, 1];
            `severity` an integer from 1 to 5; `rng` a `numpy.random.Generator` that
            depends on the seed and on the image's place in the data, so that results
            are repeatable. What it returns must have the same shape and dtype; values
            beyond [0, 1] are clipped. In a video it is called frame by frame.
        family: name of the group that reports average it in. Defaults to `"custom"`.

    Raises:
        ValueError, TypeError: if the name is taken or an argument is of the wrong kind.

    Example:

    >>> from keras_dsd import robustness
    >>> def darker(image, severity, rng):
    ...     return image / (1 + severity)
    >>> robustness.register("darker", darker)
    """
    for value, of in ((name, "name"), (family, "family")):
        if not isinstance(value, str) or not value:
            raise TypeError(f"`{of}` must be a string. Received: {of}={value!r}")
    if name in _BUILT_IN:
        raise ValueError(
            f"The library has a corruption of that name. Received: name={name!r}"
        )
    if not callable(function):
        raise TypeError(
            "`function` must be a function of (image, severity, rng). "
            f"Received: function={function!r}"
        )

    def checked(image, severity, rng):
        result = function(image.copy(), severity, rng)
        dtype = getattr(result, "dtype", type(result).__name__)
        if np.shape(result) != image.shape or dtype != image.dtype:
            raise ValueError(
                f"The corruption {name!r} must return an image of the shape and dtype "
                f"that it is given, {image.shape} and {image.dtype}. Received: an "
                f"image of shape {np.shape(result)} and dtype {dtype}"
            )
        if not np.isfinite(result).all():
            raise ValueError(
                f"The corruption {name!r} must return finite values. Received: "
                f"{np.count_nonzero(~np.isfinite(result))} values that are not"
            )
        return result

    # A user's function may not bear to run in several threads at once.
    _OWN[name] = Corruption(name, family, each(checked), threads=False)
