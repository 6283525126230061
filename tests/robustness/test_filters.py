"""Zooms and boxes: as SciPy, Pillow and the original scripts make them, at any size."""

import math
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from keras_dsd import robustness
from keras_dsd.robustness.corruptions import catalog, digital, filters

pytestmark = pytest.mark.one_backend

SIZES = (1, 2, 3, 7, 26, 32, 40, 65, 87, 224)


def clipped_zoom(image, factor):
    """The function of the original scripts, with each axis by itself."""
    for axis in (0, 1):
        length = image.shape[axis]
        kept = math.ceil(length / factor)
        top = (length - kept) // 2
        image = image.take(range(top, top + kept), axis)
        image = scipy.ndimage.zoom(
            image, [factor if at == axis else 1 for at in (0, 1)], order=1
        )
        trim = (image.shape[axis] - length) // 2
        image = image.take(range(trim, trim + length), axis)
    return image


@pytest.mark.parametrize("factor", [1, 1.01, 1.16, 1.75, 2.25, 3, 4.5])
@pytest.mark.parametrize("length", SIZES)
def test_the_middle_is_enlarged_as_the_scripts_do_it(length, factor):
    column = np.random.default_rng(length).random((length, 1), "float32")
    expected = clipped_zoom(column, factor)
    found = filters.along_height(filters.zoom_matrix(length, factor), column)
    # SciPy leaves the last row empty where its place is beyond the last by rounding.
    seen = expected.ravel() != 0
    assert seen[:-1].all()
    np.testing.assert_allclose(found[seen], expected[seen], atol=1e-6)
    assert found.min() > 0


class Given:
    """A generator of given noise, of which a corruption takes the middle."""

    def __init__(self, noise):
        self._noise = noise

    def standard_normal(self, out, dtype):
        top, left = (
            (have - want) // 2
            for have, want in zip(self._noise.shape, out.shape, strict=True)
        )
        out[:] = self._noise[top : top + out.shape[0], left : left + out.shape[1]]

    def uniform(self, low, high):
        return -90.0


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize(
    ("constants", "size"), [("cifar", (32, 32)), ("imagenet", (40, 65))]
)
def test_snow_falls_where_that_of_the_scripts_falls(constants, size, severity):
    strength = catalog.get("snow").strength(severity, constants)
    mean, deviation, zoom, threshold, radius, sigma, _ = strength
    noise = np.random.default_rng(severity).standard_normal(size).astype("float32")
    flakes = clipped_zoom(mean + np.float32(deviation) * noise, zoom)
    flakes = np.where(flakes < threshold, 0, flakes).clip(0, 1).astype("float32")
    flakes = filters.move(flakes, filters.line_kernel(radius, sigma, -90.0))
    flakes = np.rint(flakes * 255) / 255
    flakes = flakes + flakes[::-1, ::-1]
    black = np.zeros((1, *size, 1), "float32")
    result = catalog.get("snow").function(black, strength, [Given(noise)])[0, ..., 0]
    whitened = 0.5 * (1 - strength[-1])
    np.testing.assert_allclose(result, whitened + flakes, atol=1.01 / 255)
    assert flakes.max() > 0.1


@pytest.mark.parametrize("share", [0.95, 0.65, 0.5, 0.3, 0.25])
@pytest.mark.parametrize("length", SIZES)
def test_boxes_are_those_of_pillow(length, share):
    rows = np.random.default_rng(length).random((length, 3), "float32")
    size = max(int(length * share), 1)
    expected = Image.fromarray(rows).resize((3, size), Image.Resampling.BOX)
    matrix, _ = digital._shrinking(length, share, 1)
    np.testing.assert_allclose(matrix @ rows, expected, atol=1e-6)


def test_large_pixels_of_many_small_images_take_no_memory_to_speak_of():
    images = np.random.default_rng(0).integers(0, 256, (9000, 4, 4, 3), "uint8")
    digital._shrinking.cache_clear()
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = robustness.corrupt(images, "pixelate", 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A chunk in float32 is half a megabyte, and some chunks are worked on at a time.
    assert peak < 40e6
    np.testing.assert_array_equal(
        result[-3:], robustness.corrupt(images[-3:], "pixelate", 5)
    )


def test_matrices_of_large_images_are_never_dense():
    tracemalloc.start()
    filters.zoom_matrix(6000, 1.23)
    digital._shrinking(6000, 0.37, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6  # dense, one alone would have 144e6
