"""What happens to pictures as data: contrast, warps, large pixels, JPEG.

Knows filters and the strengths.
"""

import functools
import math

import cv2
import numpy as np
import PIL.Image
import scipy.fft
import scipy.sparse

from keras_dsd.robustness.corruptions import filters
from keras_dsd.robustness.corruptions.strengths import standard


def contrast(images, factor, rngs):
    """Brings every value nearer to the mean of its channel."""
    count, height, width, channels = images.shape
    # Image by image: NumPy's sums over a batch depend on how many images it has.
    means = np.array([cv2.mean(image)[:channels] for image in images])
    means = np.tile(means * (1 - factor), width)[:, None].astype(np.float32)
    results = images.reshape(count, height, width * channels) * np.float32(factor)
    results += means
    return results.reshape(images.shape)


def elastic_transform(images, strength, rngs):
    """Tilts the image a little and lets it ripple."""
    alpha, sigma, jitter = strength
    count, height, width, _ = images.shape
    maps, ripples = [], np.zeros((count, 2, height, width), np.float32)
    for ripple, rng in zip(ripples, rngs, strict=True):
        maps.append(_affine(height, width, rng.uniform(-jitter, jitter, (3, 2))))
        if alpha:
            rng.random(out=ripple, dtype=np.float32)
    if alpha:
        ripples = ripples * 2 - 1
        if sigma:
            damping = _damping(height, sigma)[:, None] * _damping(width, sigma)
            for ripple in ripples:
                waves = scipy.fft.dctn(ripple, axes=(1, 2), workers=1) * damping
                ripple[:] = scipy.fft.idctn(waves, axes=(1, 2), workers=1)
        ripples *= np.float32(alpha)
        ripples[:, 0] += np.arange(width, dtype=np.float32)
        ripples[:, 1] += np.arange(height, dtype=np.float32)[:, None]

    results = np.empty_like(images)
    for image, result, to, (x, y) in zip(images, results, maps, ripples, strict=True):
        image = cv2.warpAffine(
            image, to, (width, height), borderMode=cv2.BORDER_REFLECT_101
        )
        if alpha:
            image = cv2.remap(
                image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
        result[:] = image.reshape(result.shape)
    return results


def _affine(height, width, moves):
    """Returns the affine map that moves three points around the middle by `moves`.

    The order of the coordinates is that of the reference, which names the row first.
    """
    reach = max(min(height, width) // 3, 1)  # none in images of two pixels
    middle = np.array([height // 2, width // 2])
    points = middle + np.array([[reach, reach], [reach, -reach], [-reach, -reach]])
    points = points.astype(np.float32)
    return cv2.getAffineTransform(points, points + moves.astype(np.float32))


@functools.lru_cache(maxsize=64)
def _damping(length, sigma):
    """Returns by what a Gaussian damps each cosine of an axis reflected at its ends.

    A sigma may be as large as the image, where a filter takes thirty times as long.
    """
    reach = np.arange(int(3 * sigma + 0.5) + 1)
    weights = np.exp(-(reach**2) / (2 * sigma**2))
    weights[1:] *= 2  # on both sides
    waves = np.arange(length)[:, None] * reach
    damping = np.cos(np.pi / length * waves) @ weights / weights.sum()
    return damping.astype(np.float32)


def pixelate(images, share, rngs):
    """Makes the image smaller and, in large pixels, as large as it was."""
    count, height, width, _ = images.shape
    along_width, columns = _shrinking(width, share, count)
    along_height, rows = _shrinking(height, share, count)
    # As Pillow does: first the width, then the height, whole numbers after each.
    turned = _turned(images * np.float32(255))
    turned = _rounded(filters.each_along_height(along_width, turned))
    small = _rounded(filters.each_along_height(along_height, _turned(turned)))
    small *= np.float32(1 / 255)
    return small.take(columns, axis=2).take(rows, axis=1)


@functools.lru_cache(maxsize=64)
def _shrinking(length, share, count):
    """Returns what makes an axis smaller and larger again, as Pillow's box filter does.

    Returns:
        The sparse matrix that shrinks the axis of `count` images one below the other
        (the box counts whole pixels, not shares of them), and the index of the small
        pixel that each pixel then shows.
    """
    size = max(int(length * share), 1)
    scale = length / size
    centres = (np.arange(size) + 0.5)[:, None] * scale
    first = (centres - 0.5 * scale + 0.5).astype(int)
    pixels = first + np.arange(math.ceil(scale) + 2)
    # In Pillow's order of operations, for pixels whose middle lies on a box's edge.
    away = (pixels - centres + 0.5) * (1 / scale)
    small, at = np.nonzero((away > -0.5) & (away <= 0.5) & (pixels < length))
    counts = np.bincount(small, minlength=size)
    matrix = scipy.sparse.csr_array(
        (1 / counts[small], (small, pixels[small, at])), (size, length), np.float32
    )
    ones = np.ones((1, count), np.float32)
    once_each = scipy.sparse.dia_array((ones, [0]), (count, count))
    blocks = scipy.sparse.kron(once_each, matrix, format="csr")
    indices = PIL.Image.fromarray(np.arange(size, dtype=np.float32)[None])
    indices = indices.resize((length, 1), PIL.Image.Resampling.BOX)
    return blocks, np.asarray(indices)[0].astype(np.intp)


def _turned(images):
    """Returns images with rows for columns."""
    count, height, width, channels = images.shape
    results = np.empty((count, width, height, channels), np.float32)
    for image, result in zip(images, results, strict=True):
        result[:] = cv2.transpose(image).reshape(result.shape)
    return results


def _rounded(images):
    """Returns whole numbers, halves rounded up."""
    images += np.float32(0.5)
    return np.floor(images, out=images)


def jpeg_compression(images, quality, rngs):
    """Compresses to a JPEG file of a quality, with colours at half the resolution."""
    is_grey = images.shape[-1] == 1
    flag = cv2.IMREAD_GRAYSCALE if is_grey else cv2.IMREAD_COLOR
    results = np.empty(images.shape, np.uint8)
    for image, result in zip(_in_8_bits(images), results, strict=True):
        if not is_grey:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(file, flag))
        if not is_grey:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        result[:] = image.reshape(result.shape)
    return results * np.float32(1 / 255)


def _in_8_bits(images):
    """Returns images as files hold them: uint8, rounded."""
    return cv2.convertScaleAbs(images.reshape(-1), alpha=255).reshape(images.shape)


CORRUPTIONS = (
    standard(contrast, "digital"),
    # Something that bends the light, and stays where it is.
    standard(elastic_transform, "digital", "fixed"),
    standard(pixelate, "digital"),
    standard(jpeg_compression, "digital"),
)
