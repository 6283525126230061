"""Weather: snow, frost, fog and brightness.

Knows filters, the pictures of frost and the strengths.
"""

import math

import numpy as np

from keras_dsd.robustness.corruptions import filters, frost_pictures, noise
from keras_dsd.robustness.corruptions.strengths import standard


def snow(images, strength, rngs):
    """Whitens the picture and lets flakes fall through it."""
    mean, deviation, zoom, threshold, radius, sigma, weight = strength
    count, height, width, channels = images.shape
    # Only the middle of the reference's noise is seen, enlarged.
    kept = (math.ceil(height / zoom), math.ceil(width / zoom))
    flakes = noise.normal((count, *kept), rngs)
    flakes *= np.float32(deviation)
    flakes += np.float32(mean)
    flakes = filters.enlarged(flakes, (height, width), zoom)
    flakes[flakes < threshold] = 0
    np.clip(flakes, 0, 1, out=flakes)
    for layer, rng in zip(flakes, rngs, strict=True):
        parts = filters.line_kernel(radius, sigma, rng.uniform(-135, -45))
        layer[:] = filters.move(layer, parts)
    # The reference keeps 8 bits of the flakes.
    flakes = np.rint(flakes * np.float32(255)) * np.float32(1 / 255)
    flakes += flakes[:, ::-1, ::-1].copy()

    white = filters.grey(images) * np.float32(1.5) + np.float32(0.5)
    white = np.maximum(images, filters.spread(white, channels))
    white *= np.float32(1 - weight)
    white += images * np.float32(weight)
    white += filters.spread(flakes, channels)
    return white


def frost(images, strength, rngs):
    """Looks through a frozen window: a part of a picture of frost lies over the image.

    The pictures are `frost_pictures`' own unless one has given photos.
    """
    weight, weight_of_frost, scale = strength
    _, height, width, channels = images.shape
    pictures = frost_pictures.at_least(height, width, scale, channels)
    results = images * np.float32(weight)
    for result, rng in zip(results, rngs, strict=True):
        picture = pictures[rng.integers(len(pictures))]
        top = rng.integers(picture.shape[0] - height + 1)
        left = rng.integers(picture.shape[1] - width + 1)
        part = picture[top : top + height, left : left + width]
        result += part * np.float32(weight_of_frost / 255)
    return results


def fog(images, strength, rngs):
    """Lays clouds over the image, a fractal of midpoint displacement."""
    amount, decay = strength
    _, height, width, channels = images.shape
    clouds = _clouds(max(height, width), decay, rngs)[:, :height, :width]
    results = filters.spread(clouds * np.float32(amount), channels)
    results += images
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    results *= brightest / (brightest + np.float32(amount))
    return results


def _clouds(side, decay, rngs):
    """Returns maps (N, size, size) in [0, 1], `size` being the next power of two.

    The diamond-square algorithm on a torus: from the corners of squares to their
    middles, from those to the middles of their edges, with noise that decays.
    """
    size = max(2 ** (side - 1).bit_length(), 2)
    draws = np.empty((len(rngs), size * size), np.float32)
    for one, rng in zip(draws, rngs, strict=True):
        rng.random(out=one, dtype=np.float32)
    draws *= 2
    draws -= 1

    maps = np.zeros((len(rngs), size, size), np.float32)
    step, amplitude, used = size, 100.0, 0
    while step >= 2:
        half, count = step // 2, size // step
        corners = maps[:, ::step, ::step]

        def displaced(sums, count=count, amplitude=amplitude):
            nonlocal used
            own = draws[:, used : used + count**2].reshape(-1, count, count)
            used += count**2
            return sums / 4 + np.float32(amplitude**2) * own

        across = corners + np.roll(corners, -1, axis=1)
        middles = displaced(across + np.roll(across, -1, axis=2))
        maps[:, half::step, half::step] = middles
        beside = corners + np.roll(corners, -1, axis=2)
        upright = middles + np.roll(middles, 1, axis=1)
        maps[:, ::step, half::step] = displaced(upright + beside)
        above = corners + np.roll(corners, -1, axis=1)
        level = middles + np.roll(middles, 1, axis=2)
        maps[:, half::step, ::step] = displaced(level + above)
        step //= 2
        amplitude /= decay
    maps -= maps.min(axis=(1, 2), keepdims=True)
    maps /= maps.max(axis=(1, 2), keepdims=True)
    return maps


def brightness(images, added, rngs):
    """Adds to the value of hue, saturation and value."""
    value = filters.brightest(images)
    lighter = np.minimum(value + np.float32(added), 1)
    # The same hue and saturation: all channels by the same factor; black turns grey.
    black = value == 0
    factor = lighter / np.where(black, np.float32(1), value)
    results = images * filters.spread(factor, images.shape[-1])
    results[black] = lighter[black][:, None]
    return results


CORRUPTIONS = (
    # Flakes fall on, and are elsewhere in the next frame.
    standard(snow, "weather", "frames"),
    standard(frost, "weather", "fixed"),
    standard(fog, "weather", "fixed"),
    standard(brightness, "weather"),
)
