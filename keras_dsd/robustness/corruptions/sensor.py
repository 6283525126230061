"""What is wrong with a sensor: pixels and lines that don't see, noise when it is dark.

Defects stay where they are while a video runs; noise does not.
"""

import numpy as np

from keras_dsd.robustness.corruptions.corruption import Corruption, at_least_one, each
from keras_dsd.robustness.corruptions.light import GAMMA

FULL_WELL = 1000  # electrons that a white pixel holds in good light
READ_NOISE = 2  # electrons, standard deviation


def _defective_pixels(image, share, rng):
    height, width, channels = image.shape
    result = image.copy()
    count = at_least_one(share * height * width, rng)
    # With replacement, for speed: now and then one pixel is drawn twice.
    places = rng.integers(height * width, size=count)
    result.reshape(-1, channels)[places] = _defects(count, channels, rng)
    return result


def _dead_lines(image, share, rng):
    height, width, channels = image.shape
    result = image.copy()
    count = 1 + int(share * (height + width) + rng.random())
    places = rng.permutation(height + width)[:count]
    for place, value in zip(places, _defects(count, channels, rng), strict=False):
        if place < height:
            result[place] = value
        else:
            result[:, place - height] = value
    return result


def _defects(count, channels, rng):
    """Returns (count, channels) values: black, white and any other, a third each."""
    kinds = rng.integers(3, size=(count, 1))
    stuck = rng.random((count, channels), dtype=np.float32)
    return np.where(kinds == 0, np.float32(0), np.where(kinds == 1, 1, stuck))


def _low_light(image, exposure, rng):
    electrons = image**GAMMA * np.float32(exposure * FULL_WELL)
    # The normal distribution is near enough to that of photons, and much faster.
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    electrons += np.sqrt(electrons + np.float32(READ_NOISE**2)) * noise
    # The camera's gain makes up for half of what is missing, counted in stops.
    white = np.float32(np.sqrt(exposure) * FULL_WELL)
    return (np.maximum(electrons, 0) / white) ** (1 / GAMMA)


CORRUPTIONS = (
    # Share of the pixels.
    Corruption(
        "defective_pixels",
        "sensor",
        each(_defective_pixels),
        (0.002, 0.005, 0.012, 0.03, 0.07),
        "fixed",
    ),
    # Share of the rows and columns, besides one that is always dead.
    Corruption(
        "dead_lines",
        "sensor",
        each(_dead_lines),
        (0.004, 0.01, 0.02, 0.04, 0.07),
        "fixed",
    ),
    # Share of good light that there is.
    Corruption("low_light", "sensor", each(_low_light), (0.3, 0.12, 0.05, 0.02, 0.008)),
)
