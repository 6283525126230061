"""What sits on a lens or in front of it: dirt, scratches, obstacles; and vignetting.

It stays where it is while a video runs. Dirt has the same place, size and outline in an
image of any resolution, for it is drawn on a canvas of its own. Knows one image at a
time.
"""

import cv2
import numpy as np

from keras_dsd.robustness.corruptions.corruption import Corruption, at_least_one, each

CANVAS = 96  # pixels of the longer side of what dirt is drawn on
CORNERS = 12  # of a blob's outline


def _lens_dirt(image, share, rng):
    height, width = image.shape[:2]
    scale = CANVAS / max(height, width)
    canvas = np.zeros(
        (max(1, round(height * scale)), max(1, round(width * scale))), np.float32
    )
    radius = 0.055 * CANVAS  # of a blob of middling size
    spread = 0.45  # standard deviation of the logarithm of the radii
    area = np.pi * radius**2 * np.exp(2 * spread**2)
    count = at_least_one(share * canvas.size / area, rng)
    centres = rng.uniform(0, canvas.shape[::-1], (count, 1, 2))
    radii = radius * np.exp(spread * rng.standard_normal((count, 1, 1)))
    outlines = rng.uniform(0.7, 1.3, (count, CORNERS, 1)) * _directions(
        np.arange(CORNERS) * (2 * np.pi / CORNERS)
    )
    blobs = np.rint(centres + radii * outlines).astype(np.int32)
    for blob, opacity in zip(blobs, rng.uniform(0.5, 0.95, count), strict=True):
        cv2.fillPoly(canvas, [blob], opacity)
    # So near to the lens nothing is in focus.
    canvas = cv2.GaussianBlur(canvas, (0, 0), 0.025 * CANVAS)
    shade = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_LINEAR)
    return image * (1 - shade[..., None])


def _lens_scratches(image, count, rng):
    height, width = image.shape[:2]
    side = max(height, width)
    middles = rng.uniform(0, (width, height), (count, 1, 2))
    lengths = rng.uniform(0.3, 0.9, (count, 1, 1)) * side
    angles = rng.uniform(0, np.pi, (count, 1))
    bends = rng.uniform(-0.15, 0.15, (count, 1, 1))
    t = np.linspace(-0.5, 0.5, 9)[:, None]
    lines = middles + lengths * (
        t * _directions(angles) + bends * t**2 * _directions(angles + np.pi / 2)
    )
    lines = np.rint(lines * 16).astype(np.int32)  # in sixteenths of a pixel
    opacities = rng.uniform(0.4, 0.9, count)
    result = image
    # As many dark ones as bright ones.
    for shade in (0, 1):
        mask = np.zeros((height, width), np.uint8)
        for line, opacity in zip(lines[shade::2], opacities[shade::2], strict=True):
            cv2.polylines(
                mask,
                [line],
                isClosed=False,
                color=255 * opacity,
                thickness=max(1, round(0.005 * side)),
                lineType=cv2.LINE_AA,
                shift=4,
            )
        result = result + mask[..., None] * np.float32(1 / 255) * (shade - result)
    return result


def _occlusion(image, share, rng):
    height, width = image.shape[:2]
    result = image.copy()
    count = rng.integers(1, 4)
    area = share * height * width / count
    for _ in range(count):
        long = np.sqrt(area * rng.uniform(1, 2.5))
        angle = rng.uniform(0, np.pi)
        # Far enough inside to hide what it is to hide.
        centre = rng.uniform(0.15, 0.85, 2) * (width, height)
        sides = np.array([[long], [area / long]]) * _directions(
            np.array([angle, angle + np.pi / 2])
        )
        corners = centre + np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)]) @ sides / 2
        shade = rng.random(image.shape[-1])
        # `floor`: the pixel that a corner lies in.
        cv2.fillConvexPoly(result, np.floor(corners).astype(np.int32), shade.tolist())
    return result


def _vignetting(images, loss, rngs):
    height, width = images.shape[1:3]
    y = np.arange(height, dtype=np.float32) - (height - 1) / 2
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2
    squares = (y**2)[:, None] + x**2
    squares /= squares[0, 0] or 1  # 1 in the corners
    # The fall-off of cos^4 of the angle, with a lens of which the corners lose `loss`.
    slope = 1 / np.sqrt(1 - loss) - 1
    gain = 1 / (1 + slope * squares) ** 2
    return images * gain.astype(np.float32)[..., None]


def _directions(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


CORRUPTIONS = (
    # Share of the picture that blobs would cover if none lay upon another.
    Corruption(
        "lens_dirt", "lens", each(_lens_dirt), (0.05, 0.1, 0.18, 0.28, 0.42), "fixed"
    ),
    # Number of scratches.
    Corruption(
        "lens_scratches", "lens", each(_lens_scratches), (2, 4, 7, 11, 16), "fixed"
    ),
    # Share of the picture that patches would cover if none lay upon another.
    Corruption(
        "occlusion", "lens", each(_occlusion), (0.05, 0.1, 0.18, 0.28, 0.4), "fixed"
    ),
    # Share of the light that is lost in the corners.
    Corruption("vignetting", "lens", _vignetting, (0.3, 0.45, 0.6, 0.75, 0.9), "fixed"),
)
