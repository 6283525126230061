"""Linear filters for batches of images: Gaussians, lines of motion, zooms.

What SciPy, scikit-image and Pillow compute for the reference scripts, in faster ways.
Knows arrays only.
"""

import functools
import math

import cv2
import numpy as np
import scipy.sparse

# OpenCV turns to Fourier transforms for kernels of more entries than this, which costs
# more where most of them are zero.
_DENSE = 121


def image_by_image(function, images):
    """Returns `function` of each image, for OpenCV, which drops a single channel."""
    results = np.empty_like(images)
    for image, result in zip(images, results, strict=True):
        result[:] = function(image).reshape(result.shape)
    return results


# NumPy is slow where it broadcasts along three channels, so layers are spread first.


def grey(images):
    """Returns the luma of images (..., H, W, 3) or (..., H, W, 1), as (..., H, W)."""
    if images.shape[-1] == 1:
        return images[..., 0]
    flat = cv2.cvtColor(images.reshape(-1, images.shape[-2], 3), cv2.COLOR_RGB2GRAY)
    return flat.reshape(images.shape[:-1])


def spread(layers, channels):
    """Returns float32 layers (N, H, W) that are the same in all channels."""
    if channels == 1:
        return layers[..., None]
    flat = np.ascontiguousarray(layers).reshape(-1, layers.shape[-1])
    return cv2.cvtColor(flat, cv2.COLOR_GRAY2RGB).reshape(*layers.shape, channels)


def brightest(images):
    """Returns the largest value of each pixel, (N, H, W)."""
    result = images[..., 0]
    for channel in range(1, images.shape[-1]):
        result = np.maximum(result, images[..., channel])
    return result


def gaussian(images, sigma):
    """Returns blurred images; the edge goes on beyond the edge, 4 sigma count."""
    if not sigma:
        return images.copy()
    side = 2 * int(4 * sigma + 0.5) + 1
    return image_by_image(
        lambda image: cv2.GaussianBlur(
            image, (side, side), sigma, borderType=cv2.BORDER_REPLICATE
        ),
        images,
    )


def line_kernel(radius, sigma, angle):
    """Returns the weights of a motion and where they are: half a Gaussian on a line.

    Args:
        radius: the line has `2 * radius + 1` points, as in ImageMagick.
        sigma: of the Gaussian that begins at the pixel itself.
        angle: in degrees.

    Returns:
        List of (dy, dx, kernel): `kernel` is a small part of the line, its first entry
        lies at (dy, dx) from the pixel.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    radians = math.radians(angle)
    down = np.ceil(steps * math.sin(radians) - 0.5).astype(int)
    right = np.ceil(steps * math.cos(radians) - 0.5).astype(int)

    longest = math.isqrt(_DENSE)  # of a part, in both directions
    parts = []
    for start in range(0, len(steps), longest):
        part = slice(start, start + longest)
        dy, dx = down[part].min(), right[part].min()
        kernel = np.zeros((down[part].max() - dy + 1, right[part].max() - dx + 1))
        np.add.at(kernel, (down[part] - dy, right[part] - dx), weights[part])
        parts.append((int(dy), int(dx), kernel.astype(np.float32)))
    return parts


def move(image, parts):
    """Returns an image that moved along a line while it was taken.

    Args:
        image: float32 (H, W) or (H, W, C).
        parts: what `line_kernel` returns.
    """
    height, width = image.shape[:2]
    top = -min(dy for dy, _, _ in parts)
    left = -min(dx for _, dx, _ in parts)
    bottom = max(dy + kernel.shape[0] - 1 for dy, _, kernel in parts)
    right = max(dx + kernel.shape[1] - 1 for _, dx, kernel in parts)
    padded = cv2.copyMakeBorder(
        image, max(top, 0), max(bottom, 0), max(left, 0), max(right, 0),
        cv2.BORDER_REPLICATE,
    )  # fmt: skip
    result = np.zeros_like(image)
    for dy, dx, kernel in parts:
        y, x = max(top, 0) + dy, max(left, 0) + dx
        rows, columns = kernel.shape
        seen = padded[y : y + height + rows - 1, x : x + width + columns - 1]
        part = cv2.filter2D(
            seen, -1, kernel, anchor=(0, 0), borderType=cv2.BORDER_ISOLATED
        )
        result += part.reshape(*seen.shape[:2], *image.shape[2:])[:height, :width]
    return result


@functools.cache
def zoom_matrix(length, factor):
    """Returns the sparse matrix (length, length) that zooms one axis of an image.

    The middle of the axis is enlarged linearly as `scipy.ndimage.zoom` does it, and the
    middle of the result is kept.
    """
    enlarging = _enlarging(length, factor)
    first = (length - enlarging.shape[1]) // 2
    indices = enlarging.indices + first
    return scipy.sparse.csr_array(
        (enlarging.data, indices, enlarging.indptr), (length, length)
    )


@functools.cache
def _enlarging(length, factor):
    """Returns the sparse matrix that makes `length` of the middle of an axis.

    Its rows are those of `scipy.ndimage.zoom(order=1)`, without the ones that are too
    many, half of them at each end.
    """
    kept = math.ceil(length / factor)
    zoomed = round(kept * factor)
    rows = np.arange(length) + (zoomed - length) // 2
    places = rows * ((kept - 1) / max(zoomed - 1, 1))
    below = np.minimum(places.astype(int), max(kept - 2, 0))
    above = np.minimum(below + 1, kept - 1)
    shares = places - below
    entries = np.stack([1 - shares, shares], axis=1).astype(np.float32)
    matrix = scipy.sparse.csr_array(
        (
            entries.ravel(),
            np.stack([below, above], axis=1).ravel(),
            2 * np.arange(length + 1),
        ),
        (length, kept),
    )
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def along_height(matrix, images):
    """Returns `matrix @ image` for images laid out (H, ...)."""
    flat = matrix @ images.reshape(images.shape[0], -1)
    return flat.reshape(len(flat), *images.shape[1:])


def each_along_height(blocks, images):
    """Returns `matrix @ image` for images (N, H, ...); `blocks` has it N times."""
    count, height = images.shape[:2]
    flat = blocks @ images.reshape(count * height, -1)
    return flat.reshape(count, -1, *images.shape[2:])


def enlarged(layers, shape, factor):
    """Returns the middles of layers (N, H, W) that are zoomed by a factor.

    Args:
        layers: float32 (N, H / factor, W / factor), rounded up: what will be seen.
        shape: H and W.
        factor: of the zoom.
    """
    down, right = (_enlarging(side, factor) for side in shape)
    by_column = np.ascontiguousarray(layers.transpose(2, 0, 1))  # (w, N, h)
    by_column = along_height(right, by_column)
    by_row = np.ascontiguousarray(by_column.transpose(2, 1, 0))  # (h, N, W)
    return np.ascontiguousarray(along_height(down, by_row).transpose(1, 0, 2))
