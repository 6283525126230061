"""Pictures of frost: made here of crystals, or photos that the user gives.

The photos of the reference state neither origin nor licence, so they are not part of
this library. Its own pictures resemble them in colours, contrast and spectrum.
"""

import functools
import math
import threading

import cv2
import numpy as np
import PIL.Image

from keras_dsd.robustness.corruptions import filters

_HEIGHT, _WIDTH = 480, 640
# Mean and standard deviation of red, green and blue of each picture, in [0, 1]: those
# of the reference's photos. Then the length of its crystals in pixels.
_LOOKS = (
    ((0.31, 0.58, 0.65), (0.11, 0.07, 0.06), 26),
    ((0.79, 0.81, 0.84), (0.08, 0.09, 0.09), 40),
    ((0.54, 0.60, 0.65), (0.11, 0.11, 0.12), 22),
    ((0.44, 0.48, 0.53), (0.17, 0.17, 0.16), 28),
    ((0.28, 0.37, 0.41), (0.14, 0.17, 0.19), 70),
)

_ONE_THREAD = threading.Lock()
_photos: tuple = ()


def use_frost_photos(paths):
    """Makes the corruption `"frost"` use photos of frost, for as long as Python runs.

    Args:
        paths: list of paths of image files, such as the six of the
            [reference](https://github.com/hendrycks/robustness/tree/master/ImageNet-C/create_c)
            (it uses the first five). `None` goes back to the library's own pictures.

    Raises:
        ValueError, TypeError: if it is not a list of image files; nothing is changed.

    Example:

    >>> from keras_dsd import robustness
    >>> robustness.use_frost_photos(None)
    """
    global _photos
    if paths is None:
        paths = []
    elif not isinstance(paths, (list, tuple)) or not paths:
        raise TypeError(
            "`paths` must be a list of paths of images, or None. "
            f"Received: paths={paths!r}"
        )
    photos = []
    for path in paths:
        try:
            with PIL.Image.open(path) as photo:
                photos.append(np.asarray(photo.convert("RGB")))
        except (OSError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"`paths` must be paths of images ({error}). Received: path={path!r}"
            ) from error
    _photos = tuple(photos)
    _scaled.cache_clear()


def at_least(height, width, scale, channels):
    """Returns the pictures, uint8 (H, W, C), scaled, and further if need be.

    Args:
        height, width: that they must have at least.
        scale: of their sides, unless that would make them too small.
        channels: 3, or 1 for grey.
    """
    with _ONE_THREAD:  # the others find them in the cache
        return [
            _scaled(index, _enough(index, height, width, scale), channels)
            for index in range(len(_photos or _LOOKS))
        ]


def _enough(index, height, width, scale):
    """Returns the scale, or a larger one at which the picture is large enough."""
    has = _photos[index].shape if _photos else (_HEIGHT, _WIDTH)
    if has[0] * scale < height or has[1] * scale < width:
        # A little more than needed, or every crop would be the same.
        scale = 1.1 * max(height / has[0], width / has[1])
    return scale


@functools.lru_cache(maxsize=64)
def _scaled(index, scale, channels):
    picture = _photos[index] if _photos else _made(index)
    has = picture.shape
    if scale != 1:
        size = (math.ceil(has[1] * scale), math.ceil(has[0] * scale))
        # The reference does not smooth before it makes pictures smaller.
        how = cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=how)
    return picture if channels == 3 else filters.grey(picture)[..., None]


@functools.cache
def _made(index):
    """Returns a picture of feathery crystals, uint8 (H, W, 3), always the same."""
    means, deviations, length = _LOOKS[index]
    rng = np.random.default_rng(index)
    canvas = np.zeros((_HEIGHT, _WIDTH), np.float32)
    for _ in range(5 * _HEIGHT * _WIDTH // length**2):
        _draw_crystal(canvas, length * rng.uniform(0.4, 1.6), rng)
    canvas = _with_spectrum(canvas)
    canvas = np.tanh(canvas / 2.5)  # few values are far from the mean
    canvas = (canvas - canvas.mean()) / canvas.std()
    picture = np.array(means) + np.array(deviations) * canvas[..., None]
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def _draw_crystal(canvas, length, rng):
    """Draws a stem with branches at 60 degrees that get shorter towards its tip."""
    foot = rng.uniform(0, (_WIDTH, _HEIGHT))
    angle = rng.uniform(0, 2 * np.pi)
    light = float(rng.uniform(-0.6, 1))
    along = np.arange(0.0, 1.0, 3 / length)[:, None]
    stem = np.array([np.cos(angle), np.sin(angle)]) * length
    starts = foot + along * stem
    lines = [[foot, foot + stem]]
    for side in (-1, 1):
        turn = angle + side * np.pi / 3
        branch = np.array([np.cos(turn), np.sin(turn)]) * length * 0.4
        ends = starts + (1 - along) * branch
        lines += [[start, end] for start, end in zip(starts, ends, strict=True)]
    points = np.rint(np.array(lines) * 8).astype(np.int32)  # eighths of a pixel
    cv2.polylines(canvas, list(points), False, light, 1, cv2.LINE_8, 3)


def _with_spectrum(canvas):
    """Returns a canvas with the power spectrum of the photos: about 1 / f ** 1.7."""
    waves = np.fft.rfft2(canvas - canvas.mean())
    frequency = np.hypot(
        np.fft.fftfreq(_HEIGHT)[:, None], np.fft.rfftfreq(_WIDTH)[None]
    )
    ring = (4 * np.log2(np.maximum(frequency, 1e-3) * 1024)).astype(int)
    sums = np.bincount(ring.ravel(), (np.abs(waves) ** 2).ravel())
    power = sums / np.maximum(np.bincount(ring.ravel()), 1)
    frequency[0, 0] = 1
    waves = waves * np.sqrt(frequency**-1.7 / np.maximum(power[ring], 1e-12))
    canvas = np.fft.irfft2(waves, canvas.shape)
    return canvas / canvas.std()
