"""What comes of a part that moves past the camera, on a belt that runs left or right.

Both depend on the image alone. Lengths are shares of the image's width.
"""

import cv2
import numpy as np

from keras_dsd.robustness.corruptions.corruption import Corruption, each


def _conveyor_blur(images, share, rngs):
    length = share * images.shape[2]  # pixels that the part moves in an exposure
    reach = int(np.ceil(length / 2)) + 1
    # A pixel's weight: how long it is seen, with linear interpolation between pixels.
    # Exact for any length, so a blur of half a pixel is one.
    edges = np.arange(-reach, reach + 1)
    kernel = (_area(edges + length / 2) - _area(edges - length / 2)) / length
    # Rows are independent, so those of all images are blurred in one go.
    rows = images.reshape(-1, *images.shape[2:])
    blurred = cv2.sepFilter2D(
        rows, -1, kernel, np.ones(1), borderType=cv2.BORDER_REPLICATE
    )
    return blurred.reshape(images.shape)


def _area(x):
    """Returns the integral from minus infinity to `x` of the unit triangle."""
    x = np.clip(x, -1, 1)
    return 0.5 + x - np.sign(x) * x**2 / 2


def _rolling_shutter(image, share, rng):
    height, width = image.shape[:2]
    shift = share * width * (1 if rng.random() < 0.5 else -1)
    # The middle row stays where it is.
    slope = shift / max(height - 1, 1)
    matrix = np.array([[1, slope, -slope * (height - 1) / 2], [0, 1, 0]])
    skewed = cv2.warpAffine(
        image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
    )
    return skewed.reshape(image.shape)


CORRUPTIONS = (
    # Way of the part while the shutter is open.
    Corruption(
        "conveyor_blur",
        "motion",
        _conveyor_blur,
        (0.02, 0.04, 0.07, 0.11, 0.16),
        "fixed",
    ),
    # Way of the part from the first row's exposure to the last one's.
    Corruption(
        "rolling_shutter",
        "motion",
        each(_rolling_shutter),
        (0.06, 0.12, 0.2, 0.3, 0.42),
        "fixed",
    ),
)
