"""Draws what an inspection camera sees: metal parts with a label, on a conveyor.

A picture to try corruptions on, free of anyone's rights. Knows OpenCV only.
"""

import cv2
import numpy as np

FINE = 4  # the scene is drawn at this multiple of its size, then reduced
LEAST = 256  # pixels of the side that it is drawn at, at least
STEEL, SHADOW, BRASS = (158, 166, 173), (26, 26, 28), (199, 153, 71)


def conveyor(size=224, frames=None):
    """Returns a picture of parts on a conveyor, or a clip of them going by.

    Args:
        size: height and width in pixels. Defaults to 224.
        frames: number of frames of a clip, in which the parts move by a third of the
            width from left to right. Defaults to `None`: a picture.

    Returns:
        A uint8 RGB array of shape (size, size, 3), or (frames, size, size, 3).
    """
    if frames is None:
        return _draw(size, 0.5)
    return np.stack([_draw(size, at) for at in np.linspace(0.35, 0.68, frames)])


def _draw(size, at):
    side = max(size * FINE, LEAST)
    image = _belt(side, at)
    gear = np.array([at, 0.42]) * side
    cv2.circle(image, _point(gear + 0.02 * side), int(0.3 * side), SHADOW, -1)
    image = cv2.GaussianBlur(image, (0, 0), 0.008 * side)
    _gear(image, gear, 0.29 * side)
    _plate(image, np.array([at, 0.83]) * side, side)
    for x in (-0.36, 0.36):
        _screw(image, np.array([at + x, 0.83]) * side, 0.06 * side)
    # A lamp on the upper left, and the sheen that it leaves.
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    image = image * (1.12 - 0.35 * (x + y) / 2)[..., None]
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return np.rint(np.minimum(image, 255)).astype(np.uint8)


def _belt(side, at):
    rng = np.random.default_rng(0)
    grain = cv2.resize(
        rng.normal(0, 5, (side // FINE, side // FINE)).astype(np.float32),
        (side, side),
    )
    grain = np.roll(grain, int(at * side), axis=1)
    belt = np.array((61, 74, 79)) + grain[..., None]
    image = np.clip(belt, 0, 255).astype(np.uint8)
    for seam in np.arange(-2, 4) * 0.5 + at:  # the belt's links move with the parts
        x = int(seam * side)
        cv2.line(image, (x, 0), (x, side), (38, 46, 51), int(0.012 * side))
    for y in (0, side - 1):  # yellow rails
        cv2.line(image, (0, y), (side, y), (217, 173, 26), int(0.06 * side))
    return image


def _gear(image, centre, radius):
    teeth = 16
    turns = np.arange(4 * teeth) * (2 * np.pi / (4 * teeth))
    reach = radius * np.tile([0.84, 1, 1, 0.84], teeth)
    points = centre + reach[:, None] * np.stack([np.cos(turns), np.sin(turns)], -1)
    cv2.fillPoly(image, [np.rint(points).astype(np.int32)], STEEL)
    for share, shade in ((0.74, 138), (0.7, 184)):  # a turned edge
        cv2.circle(image, _point(centre), int(share * radius), (shade,) * 3, -1)
    for turn in np.arange(6) * (np.pi / 3):
        hole = centre + 0.5 * radius * np.array([np.cos(turn), np.sin(turn)])
        cv2.circle(image, _point(hole), int(0.11 * radius), SHADOW, -1)
    cv2.circle(image, _point(centre), int(0.28 * radius), BRASS, -1)
    cv2.circle(image, _point(centre), int(0.16 * radius), SHADOW, -1)


def _plate(image, centre, side):
    half = np.array([0.26, 0.075]) * side
    cv2.rectangle(image, _point(centre - half), _point(centre + half), (237,) * 3, -1)
    cv2.putText(
        image,
        "KD 4711",
        _point(centre + np.array([-0.24, 0.0]) * side),
        cv2.FONT_HERSHEY_DUPLEX,
        side / 430,
        (20, 26, 77),
        max(1, side // 130),
        cv2.LINE_AA,
    )
    bars = np.random.default_rng(1).uniform(0.004, 0.012, 28)
    for left, width in zip(np.cumsum(bars)[::2], bars[1::2], strict=True):
        corner = centre + np.array([left - 0.23, 0.022]) * side
        end = corner + np.array([width, 0.038]) * side
        cv2.rectangle(image, _point(corner), _point(end), (13,) * 3, -1)
    stamp = centre + np.array([0.17, 0.02]) * side
    cv2.circle(image, _point(stamp), int(0.04 * side), (191, 31, 26), -1)


def _screw(image, centre, radius):
    cv2.circle(image, _point(centre + 0.15 * radius), int(radius), SHADOW, -1)
    cv2.circle(image, _point(centre), int(radius), BRASS, -1)
    slot = 0.75 * radius * np.array([0.8, 0.6])
    ends = _point(centre - slot), _point(centre + slot)
    cv2.line(image, *ends, SHADOW, int(0.25 * radius))


def _point(xy):
    return int(xy[0]), int(xy[1])
