"""Blur of the optics and of motion: defocus, glass, motion and zoom.

Knows filters and the strengths.
"""

import functools

import cv2
import numpy as np

from keras_dsd.robustness.corruptions import filters
from keras_dsd.robustness.corruptions.strengths import standard


def defocus_blur(images, strength, rngs):
    """Spreads every pixel over a disk."""
    kernel = _disk(*strength)
    return filters.image_by_image(lambda image: cv2.filter2D(image, -1, kernel), images)


@functools.cache
def _disk(radius, sigma):
    """Returns a disk with a smoothed edge, without the zeros around it.

    Of the largest disks the reference smooths the edge by reflection, so that their
    weights sum to 1.01; so do these.
    """
    reach = np.arange(-max(8, radius), max(8, radius) + 1)
    disk = (reach**2 + reach[:, None] ** 2 <= radius**2).astype(np.float32)
    side = 3 if radius <= 8 else 5
    disk = cv2.GaussianBlur(disk / disk.sum(), (side, side), sigmaX=sigma)
    disk[disk < 1e-10] = 0  # denormal numbers are fifty times slower
    used = np.flatnonzero(disk.any(axis=0))
    return disk[used[0] : used[-1] + 1, used[0] : used[-1] + 1].copy()


def glass_blur(images, strength, rngs):
    """Blurs, lets pixels take the place of others near them, and blurs again."""
    sigma, reach, passes = strength
    images = filters.gaussian(images, sigma)
    # The reference keeps 8 bits in between, and truncates to them.
    images = np.floor(images * np.float32(255) + np.float32(1e-3)) / np.float32(255)
    pixels = images.reshape(-1, images.shape[-1])
    pixels = pixels[_sources(images.shape[:3], reach, passes, rngs)]
    return filters.gaussian(pixels.reshape(images.shape), sigma)


def _sources(shape, reach, passes, rngs):
    """Returns, for every pixel of a batch, the index of the one that it ends up with.

    A pass goes over the inner pixels from the last to the first, and each takes the
    value that a neighbour has by then.

    Args:
        shape: (N, H, W) of the batch.
        reach: a neighbour is that near, in pixels along each axis.
        passes: how often pixels move.
        rngs: N random generators.
    """
    count, height, width = shape
    size = height * width
    sources = np.arange(count * size, dtype=np.int32)
    pixels = np.arange(size, dtype=np.int32).reshape(height, width)
    inner = pixels[reach + 1 : height - reach + 1, reach + 1 : width - reach + 1]
    inner = inner.ravel()
    if not inner.size:
        return sources
    drawn = np.empty((count, passes, 2, inner.size), np.int32)
    for one, rng in zip(drawn, rngs, strict=True):
        one[:] = rng.integers(0, 2 * reach, one.shape, np.uint8)
    drawn -= reach
    for turn in range(passes):
        taken = np.arange(count * size, dtype=np.int32).reshape(count, size)
        taken[:, inner] += drawn[:, turn, 0] * width + drawn[:, turn, 1]
        sources = sources[_ends(taken.ravel())]
    return sources


def _ends(taken):
    """Returns where the pixels of one pass come from.

    If the one that is taken comes later in the image, it has been overwritten by then,
    and what it took is what counts. That chain is followed for all pixels at once;
    about half of them are at its end after each step.
    """
    later = taken > np.arange(taken.size, dtype=np.int32)
    ends = taken.copy()
    going = np.flatnonzero(later)
    while going.size:
        here = ends[going]
        ends[going] = taken[here]
        going = going[later[here]]
    return ends


def motion_blur(images, strength, rngs):
    """Moves the camera, within 45 degrees of the horizontal."""
    radius, sigma = strength
    results = np.empty_like(images)
    for image, result, rng in zip(images, results, rngs, strict=True):
        parts = filters.line_kernel(radius, sigma, rng.uniform(-45, 45))
        result[:] = filters.move(image, parts)
    return results


def zoom_blur(images, strength, rngs):
    """Zooms in while the picture is taken."""
    factors = np.arange(1, *strength).tolist()  # at some ends one more than it looks
    _, height, width, _ = images.shape
    by_row = np.ascontiguousarray(images.transpose(1, 0, 2, 3))  # (H, N, W, C)
    total = np.zeros((width, len(images), height, images.shape[-1]), np.float32)
    for factor in factors:
        zoomed = filters.along_height(filters.zoom_matrix(height, factor), by_row)
        by_column = np.ascontiguousarray(zoomed.transpose(2, 1, 0, 3))  # (W, N, H, C)
        total += filters.along_height(filters.zoom_matrix(width, factor), by_column)
    results = total.transpose(1, 2, 0, 3) + images
    results /= np.float32(len(factors) + 1)
    return results


CORRUPTIONS = (
    standard(defocus_blur, "blur"),
    # The glass stays where it is.
    standard(glass_blur, "blur", "fixed"),
    # The camera moves one way for a while.
    standard(motion_blur, "blur", "fixed"),
    standard(zoom_blur, "blur"),
)
