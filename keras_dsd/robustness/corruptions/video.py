"""What happens to videos over time: a shaking camera, lost, late and starved frames.

Only here does a function take whole clips. Times are in frames or in shares of the
clip. What is lost of a clip's first frames has nothing before it to be replaced by.
"""

import cv2
import numpy as np

from keras_dsd.robustness.corruptions import transmission
from keras_dsd.robustness.corruptions.corruption import Corruption, each
from keras_dsd.robustness.corruptions.light import expose

GROUP = 12  # frames from one key frame to the next
WAVES = 3  # sines that a smooth path is made of
SHAKE = 0.12  # cycles a frame, at most: 3 Hz at 25 frames a second
DRIFT = 0.03


def smooth_path(frames, paths, fastest, rng):
    """Returns (paths, frames) random values of variance 1 that vary smoothly in time.

    Each path is the sum of sines of up to `fastest` cycles a frame, so none is larger
    than sqrt(2 * WAVES), nor changes from frame to frame by more than 2 pi `fastest`
    times that.
    """
    frequencies = rng.uniform(fastest / 6, fastest, (paths, WAVES, 1))
    phases = rng.uniform(0, 1, (paths, WAVES, 1))
    waves = np.sin(2 * np.pi * (frequencies * np.arange(frames) + phases))
    return waves.sum(axis=1) * np.sqrt(2 / WAVES)


def _camera_shake(clip, share, rng):
    frames, height, width = clip.shape[:3]
    side = max(height, width)
    right, down, turn = smooth_path(frames, 3, SHAKE, rng)
    centre = ((width - 1) / 2, (height - 1) / 2)
    result = np.empty_like(clip)
    for i, frame in enumerate(clip):
        matrix = cv2.getRotationMatrix2D(centre, 30 * share * turn[i], 1)
        matrix[:, 2] += share * side * np.array([right[i], down[i]])
        moved = cv2.warpAffine(
            frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        result[i] = moved.reshape(frame.shape)
    return result


def _exposure_drift(clip, stops, rng):
    path = stops * smooth_path(len(clip), 1, DRIFT, rng)[0]
    return np.stack([expose(frame, s) for frame, s in zip(clip, path, strict=True)])


def _packet_loss_burst(clip, share, rng):
    result = clip.copy()
    # Key frames come every GROUP frames, the first one at any of the clip's.
    keys = range(int(rng.integers(GROUP)) - GROUP, len(clip), GROUP)
    for key in keys:
        begin, end = max(key, 0), min(key + GROUP, len(clip))
        if begin < end:
            lost_at = int(rng.integers(begin, end))
            packets = transmission.lost_packets(clip.shape[1:], share, rng)
            lost = transmission.to_pixels(packets, clip.shape[1:]) > 0
            # What was there before; a decoder that has seen nothing shows grey.
            result[lost_at:end, lost] = result[lost_at - 1, lost] if lost_at else 0.5
    return result


def _bitrate_collapse(clip, strength, rng):
    quality, scale, share = strength
    result = clip.copy()
    for i in _stretch(len(clip), share, rng):
        result[i] = transmission.compress(clip[i], quality, scale)
    return result


def _freeze(clip, share, rng):
    result = clip.copy()
    if len(clip) > 1:  # the first frame is always seen
        stretch = _stretch(len(clip) - 1, share, rng)
        result[1:][stretch] = clip[stretch.start]
    return result


def _stretch(frames, share, rng):
    """Returns the range of some frames in a row: a share of the clip, 1 at least."""
    length = max(1, round(share * frames))
    start = int(rng.integers(frames - length + 1))
    return range(start, start + length)


def _frame_drop(clip, probability, rng):
    shown = np.arange(len(clip))
    shown[1:][rng.random(len(clip) - 1) < probability] = 0
    return clip[np.maximum.accumulate(shown)]


def _frame_jumble(clip, delay, rng):
    arrival = np.arange(len(clip)) + rng.uniform(0, delay, len(clip))
    return clip[np.argsort(arrival, kind="stable")]


def _corruption(name, function, strengths):
    return Corruption(name, "video", each(function), strengths, "clip")


CORRUPTIONS = (
    # Standard deviation of each shift, as a share of the longer side; turns by 30
    # degrees times that.
    _corruption("camera_shake", _camera_shake, (0.01, 0.02, 0.035, 0.055, 0.08)),
    # Standard deviation, in stops.
    _corruption("exposure_drift", _exposure_drift, (0.4, 0.8, 1.2, 1.7, 2.3)),
    # Share of the macroblocks that are lost between two key frames.
    _corruption(
        "packet_loss_burst", _packet_loss_burst, (0.06, 0.13, 0.22, 0.35, 0.55)
    ),
    # Quality of JPEG; factor of the resolution; share of the frames.
    _corruption(
        "bitrate_collapse",
        _bitrate_collapse,
        (
            (30, 0.8, 0.3),
            (22, 0.6, 0.4),
            (16, 0.45, 0.5),
            (12, 0.33, 0.65),
            (9, 0.25, 0.8),
        ),
    ),
    # Probability of each frame to be lost; that before it is shown again.
    _corruption("frame_drop", _frame_drop, (0.1, 0.2, 0.35, 0.5, 0.7)),
    # Share of the frames.
    _corruption("freeze", _freeze, (0.2, 0.35, 0.5, 0.7, 0.9)),
    # Frames by which one is late at most.
    _corruption("frame_jumble", _frame_jumble, (1.5, 3, 6, 12, 24)),
)
