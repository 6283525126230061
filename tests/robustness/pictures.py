"""Pictures that tests of corruptions look at: photographs where there are any."""

import functools
import io
import itertools
import pathlib

import numpy as np
import pytest
from PIL import Image

from tests.robustness import scene

PHOTOS = pathlib.Path(__file__).parents[3] / "shared" / "data" / "cifar10_jpeg.npz"


@functools.cache
def photos(count):
    """Returns photographs of CIFAR-10, uint8; skips the test where there are none."""
    if not PHOTOS.exists():
        pytest.skip(f"{PHOTOS} is absent")
    with np.load(PHOTOS) as data:
        blob = data["test_blob"].tobytes()
        ends = data["test_offsets"][: count + 1]
    return np.stack(
        [
            np.asarray(Image.open(io.BytesIO(blob[start:end])).convert("RGB"))
            for start, end in itertools.pairwise(ends)
        ]
    )


@functools.cache
def drawings(count, size=48):
    """Returns drawn scenes of equal size that are all different, uint8."""
    return scene.conveyor(size, frames=count)


@functools.cache
def clips(count, frames=10, size=32):
    """Returns drawn clips in which things move, uint8."""
    going_by = scene.conveyor(size, frames=frames)
    return np.stack([np.roll(going_by, 3 * i, axis=1 + i % 2) for i in range(count)])


def distance(a, b):
    """Returns the mean absolute difference."""
    return np.abs(a.astype(np.float64) - b).mean()
