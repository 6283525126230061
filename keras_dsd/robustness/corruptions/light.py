"""What is wrong with the light, or with how long the shutter is open.

A picture's values are the light's to the power of 1 / GAMMA.
"""

import numpy as np

from keras_dsd.robustness.corruptions.corruption import Corruption, each

GAMMA = 2.2


def expose(images, stops):
    """Returns images with 2 to the power of `stops` times the light, cut off at 1."""
    return np.minimum(images * np.float32(2 ** (stops / GAMMA)), 1)


def _exposed(images, stops, rngs):
    return expose(images, stops)


def _color_cast(image, loss, rng):
    # One third of the spectrum is let through, one is not, one lies between.
    filtered = rng.permutation(np.array([0, rng.random(), 1]))
    if image.shape[-1] == 1:
        filtered = filtered.mean(keepdims=True)
    return image * (1 - loss * filtered).astype(np.float32)


CORRUPTIONS = (
    # Stops: each doubles the light.
    Corruption("overexposure", "light", _exposed, (0.6, 1.2, 1.8, 2.4, 3), "fixed"),
    # Stops: each halves it.
    Corruption(
        "underexposure", "light", _exposed, (-0.7, -1.5, -2.4, -3.4, -4.5), "fixed"
    ),
    # Share that the value of the weakest channel loses.
    Corruption(
        "color_cast", "light", each(_color_cast), (0.15, 0.25, 0.37, 0.5, 0.65), "fixed"
    ),
)
