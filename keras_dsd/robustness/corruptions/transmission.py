"""What a compressed stream of images loses on its way: bits, and whole packets.

A picture has 16 macroblocks along its longer side, whatever its resolution.
"""

import cv2
import numpy as np

from keras_dsd.robustness.corruptions.corruption import Corruption, at_least_one, each

BLOCKS = 16
PACKET = 5  # macroblocks in a packet, on average


def lost_packets(shape, share, rng):
    """Returns which macroblocks lost packets held.

    Args:
        shape: (H, W, ...) of the image.
        share: of the macroblocks that are lost, if no packet were lost twice.
        rng: random generator.

    Returns:
        An integer array (rows, columns) of macroblocks: 0 where nothing is lost, else
        the index of the packet, from 1.
    """
    rows, columns = _grid(shape)
    packets = np.zeros(rows * columns, int)
    count = at_least_one(share * packets.size / PACKET, rng)
    starts = rng.integers(packets.size, size=count)
    ends = starts + rng.integers(1, 2 * PACKET, size=count)
    for index, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        packets[start:end] = index  # a run in reading order
    return packets.reshape(rows, columns)


def to_pixels(blocks, shape):
    """Returns an array (H, W, ...) of what holds for the macroblock of each pixel."""
    y, x = (
        np.arange(pixels) * count // pixels
        for pixels, count in zip(shape[:2], blocks.shape[:2], strict=True)
    )
    return blocks[y[:, None], x]


def compress(image, quality, scale=1.0):
    """Returns an image after JPEG, which loses what a key frame of a stream loses.

    Args:
        image: float32 array (H, W, C) of values in [0, 1], C being 1 or 3.
        quality: of JPEG, from 1 to 100, colours at half the resolution.
        scale: factor that the resolution is reduced by before, as encoders do when bits
            are scarce. Defaults to 1: not.
    """
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, file = cv2.imencode(".jpg", np.rint(small * 255).astype(np.uint8), quality)
    small = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    result = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return result.reshape(image.shape) * np.float32(1 / 255)


def _grid(shape):
    height, width = shape[:2]
    side = max(height, width) / BLOCKS
    return (
        min(height, max(1, round(height / side))),
        min(width, max(1, round(width / side))),
    )


def _packet_loss(image, share, rng):
    packets = lost_packets(image.shape, share, rng)
    # Decoders show grey, or what they take for it: blocks from elsewhere in the row.
    count = packets.max() + 1
    moved = rng.integers(1, BLOCKS, size=count) / BLOCKS
    moved[0] = 0
    grey = rng.random(count) < 0.5
    grey[0] = False
    packets = to_pixels(packets, image.shape)
    height, width = image.shape[:2]
    x = (np.arange(width) + (moved[packets] * width).astype(int)) % width
    result = image[np.arange(height)[:, None], x]
    result[grey[packets]] = 0.5
    return result


def _block_artifacts(image, strength, rng):
    quality, share = strength
    result = compress(image, quality)
    # Of some macroblocks only the mean arrives.
    rows, columns = _grid(image.shape)
    means = cv2.resize(result, (columns, rows), interpolation=cv2.INTER_AREA)
    means = to_pixels(means.reshape(rows, columns, -1), image.shape)
    flat = to_pixels(rng.random((rows, columns)) < share, image.shape)
    return np.where(flat[..., None], means, result)


CORRUPTIONS = (
    # Share of the macroblocks.
    Corruption(
        "packet_loss", "transmission", each(_packet_loss), (0.04, 0.09, 0.16, 0.26, 0.4)
    ),
    # Quality of JPEG; share of the macroblocks of which only the mean is left.
    Corruption(
        "block_artifacts",
        "transmission",
        each(_block_artifacts),
        ((40, 0.05), (28, 0.11), (20, 0.2), (14, 0.32), (10, 0.45)),
    ),
)
