"""`corrupt` and the 19 standard corruptions: any image, repeatable, bad input."""

import os
import subprocess
import sys
import threading

import hypothesis
import keras
import numpy as np
import PIL.Image
import pytest
from hypothesis import strategies as st

from keras_dsd import robustness
from keras_dsd.robustness.corruptions import catalog, drawing
from tests.robustness import guarantees, pictures
from tests.robustness.guarantees import EXACT

pytestmark = pytest.mark.one_backend

FAMILIES = ("noise", "blur", "weather", "digital", "extra")
NAMES = [name for family in FAMILIES for name in robustness.names(family)]
FRAMES = ["gaussian_noise", "shot_noise", "impulse_noise", "snow", "speckle_noise"]
DTYPES = ["uint8", "float16", "float32", "float64", "bfloat16"]
SIDES = st.one_of(st.just(1), st.integers(1, 40))


def batch(height, width, channels, dtype="uint8", count=2, seed=0):
    """Returns images of random values."""
    values = np.random.default_rng(seed).random((count, height, width, channels))
    if dtype == "uint8":
        return (values * 256).astype("uint8")
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    return values.astype(dtype)


@pytest.fixture
def own():
    """The names of registered corruptions, which are forgotten afterwards."""
    before = dict(catalog._OWN)
    yield catalog._OWN
    catalog._OWN.clear()
    catalog._OWN.update(before)


# ---- names ----


def test_the_15_of_the_benchmark_and_the_4_extra_ones():
    benchmark = [name for family in FAMILIES[:-1] for name in robustness.names(family)]
    assert tuple(benchmark) == robustness.STANDARD
    assert [len(robustness.names(family)) for family in FAMILIES] == [3, 4, 4, 4, 4]
    assert robustness.names()[:19] == tuple(NAMES)


def test_the_last_severity_is_stronger_than_the_first():
    images = pictures.drawings(4)
    for name in NAMES:
        for constants in ("cifar", "imagenet"):
            distances = [
                pictures.distance(
                    robustness.corrupt(images, name, severity, constants=constants),
                    images,
                )
                for severity in range(1, 6)
            ]
            # As published: the first of glass blur changes nothing in small images,
            # and elastic ones are tilted less and less.
            assert distances[1] > 0.1, (name, constants)
            if name != "elastic_transform":
                assert distances[4] > distances[0], (name, constants)


# ---- any image ----


@hypothesis.settings(max_examples=150)
@hypothesis.given(
    name=st.sampled_from(NAMES),
    severity=st.integers(1, 5),
    height=SIDES,
    width=SIDES,
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from(DTYPES),
    constants=st.sampled_from(["cifar", "imagenet"]),
    seed=st.integers(0, 2**40),
)
def test_any_image_keeps_its_shape_dtype_and_range_and_comes_out_the_same_twice(
    name, severity, height, width, channels, dtype, constants, seed
):
    images = batch(height, width, channels, dtype, seed=seed)
    guarantees.assert_sound(images, name, severity, seed=seed, constants=constants)


@pytest.mark.parametrize("name", NAMES)
def test_black_and_white_images_are_images(name):
    for value in (0, 255):
        for channels in (1, 3):
            images = np.full((1, 9, 12, channels), value, "uint8")
            for severity in (1, 5):
                for constants in ("cifar", "imagenet"):
                    result = robustness.corrupt(
                        images, name, severity, constants=constants
                    )
                    assert result.shape == images.shape


@pytest.mark.parametrize("name", NAMES)
def test_large_images_that_are_not_square(name):
    images = np.zeros((1, 300, 400, 3), "uint8")
    images[:, 100:200, 50:350] = (200, 120, 40)
    assert robustness.corrupt(images, name, 3).shape == images.shape


@pytest.mark.parametrize("name", sorted({*NAMES} - {"jpeg_compression", "saturate"}))
def test_grey_images_are_corrupted_as_colour_images_that_are_grey(name):
    grey = pictures.drawings(40, 32)[..., :1] // 3  # no channel gets too bright
    alone = robustness.corrupt(grey, name, 3).astype(float)
    colour = robustness.corrupt(np.repeat(grey, 3, axis=-1), name, 3)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    # Of other draws where every channel has its own.
    if name not in ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"):
        assert np.abs(alone[..., 0] - luma).max() < 2.1
    else:
        assert abs(alone.mean() - luma.mean()) < 1


@pytest.mark.parametrize("name", ["jpeg_compression", "saturate"])
def test_where_there_is_no_colour_none_is_compressed_or_saturated(name):
    grey = pictures.drawings(2, 32)[..., :1]
    alone = robustness.corrupt(grey, name, 5)
    if name == "saturate":
        np.testing.assert_array_equal(alone, grey)
    else:
        colour = robustness.corrupt(np.repeat(grey, 3, axis=-1), name, 5)
        assert np.abs(alone - colour.mean(axis=-1, keepdims=True)).max() < 2


def test_floats_and_whole_numbers_are_corrupted_alike():
    images = batch(20, 24, 3)
    for name in NAMES:
        whole = robustness.corrupt(images, name, 2).astype(float)
        unit = robustness.corrupt(images / np.float32(255), name, 2) * 255
        apart = np.abs(np.floor(unit + 1e-3) - whole)
        assert (apart > 0).mean() < 0.02, name
        assert apart.max() <= 1 or name == "shot_noise", name


def test_memory_order_does_not_matter():
    images = batch(12, 17, 3, count=3)
    turned = np.asfortranarray(images)
    for name in NAMES:
        np.testing.assert_array_equal(
            robustness.corrupt(turned[:, ::-1], name, 3),
            robustness.corrupt(images[:, ::-1].copy(), name, 3),
        )


# ---- values that nothing changes ----


NOTHING = {  # strengths at which a corruption does nothing
    "gaussian_noise": 0,
    "impulse_noise": 0,
    "defocus_blur": (0, 0.1),
    "glass_blur": (0.05, 1, 0),
    "motion_blur": (3, 0.05),
    "zoom_blur": (1.005, 0.01),
    "frost": (1, 0, 1),
    "fog": (0, 2),
    "brightness": 0,
    "contrast": 1,
    "elastic_transform": (0, 0, 0),
    "pixelate": 1,
    "speckle_noise": 0,
    "gaussian_blur": 0,
    "saturate": (1, 0),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_strength_of_zero_keeps_every_8_bit_value(name):
    """Truncation to 8 bits must not turn 200 / 255 * 255 into 199."""
    images = np.random.default_rng(0).permuted(
        np.arange(3 * 16 * 16, dtype="uint8").reshape(1, 16, 16, 3)
    )
    images = np.concatenate([images, images[:, ::-1]])
    corruption = catalog.get(name)
    result = drawing.apply(corruption, images, NOTHING[name], drawing.Draws(0), 0)
    np.testing.assert_array_equal(result, images)


def test_values_are_truncated_as_in_the_scripts():
    images = np.full((1, 4, 4, 3), 100, "uint8")
    images[:, :2] = 101
    # The mean is 100.5; 0.75 of the distance to it: 100.875 and 100.125.
    assert set(robustness.corrupt(images, "contrast", 1).ravel()) == {100}


# ---- what results depend on ----


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (13, 22)])
def test_an_image_does_not_depend_on_its_batch_nor_on_threads(
    name, height, width, monkeypatch
):
    images = batch(height, width, 3, "float32", count=7)
    options = {"seed": 3, "constants": "imagenet"}
    monkeypatch.setattr(drawing, "_CHUNK", 2 * images[0].size)
    monkeypatch.setattr(drawing, "_cores", lambda: 3)
    whole = robustness.corrupt(images, name, 3, first_index=100, **options)
    monkeypatch.setattr(drawing, "_cores", lambda: 1)
    monkeypatch.setattr(drawing, "_CHUNK", 10 * images.size)
    at_once = robustness.corrupt(images, name, 3, first_index=100, **options)
    np.testing.assert_array_equal(at_once, whole)
    for i in range(7):
        alone = robustness.corrupt(
            images[i : i + 1], name, 3, first_index=100 + i, **options
        )
        np.testing.assert_array_equal(alone[0], whole[i])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in EXACT])
def test_seeds_severities_and_places_in_the_data_have_draws_of_their_own(name):
    images = np.repeat(pictures.drawings(1), 2, axis=0)
    first = robustness.corrupt(images, name, 3, seed=1)
    assert (first[0] != first[1]).any()
    assert (first != robustness.corrupt(images, name, 3, seed=2)).any()
    later = robustness.corrupt(images, name, 3, seed=1, first_index=1)
    np.testing.assert_array_equal(later[0], first[1])


def test_draws_are_those_of_any_process():
    code = (
        "import numpy as np; from keras_dsd import robustness;"
        "x = np.full((1, 4, 4, 1), 128, 'uint8');"
        "print('DRAWN', *robustness.corrupt(x, 'gaussian_noise', 5, seed=9).ravel())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PYTHONHASHSEED": "12",
            "KERAS_BACKEND": keras.backend.backend(),
        },
    )
    images = np.full((1, 4, 4, 1), 128, "uint8")
    here = robustness.corrupt(images, "gaussian_noise", 5, seed=9)
    assert found.stdout.split("DRAWN ")[1].split() == [str(x) for x in here.ravel()]


def test_generators_of_different_images_have_nothing_in_common():
    draws = drawing.Draws(0, "name", 1)
    values = [
        draws.generator(index, frame).standard_normal(2000)
        for index in range(12)
        for frame in range(2)
    ]
    correlations = np.corrcoef(values) - np.eye(24)
    assert np.abs(correlations).max() < 0.11  # five standard deviations


def test_large_images_get_the_strengths_of_large_images():
    for side, constants in ((64, "cifar"), (65, "imagenet")):
        images = batch(8, side, 3)
        np.testing.assert_array_equal(
            robustness.corrupt(images, "contrast", 3),
            robustness.corrupt(images, "contrast", 3, constants=constants),
        )


# ---- videos ----


@pytest.mark.parametrize("name", [name for name in NAMES if name not in EXACT])
def test_in_a_video_noise_and_snow_are_new_in_each_frame_and_the_rest_stays(name):
    clip = np.repeat(pictures.drawings(2)[:, None], 3, axis=1)
    result = robustness.corrupt(clip, name, 3, seed=5)
    assert result.shape == clip.shape
    stays = (result[:, 0] == result[:, 2]).all()
    assert stays == (name not in FRAMES)
    assert (result[0] != result[1]).any()
    # The first frame is what an image of that index becomes.
    images = robustness.corrupt(clip[:, 0], name, 3, seed=5)
    np.testing.assert_array_equal(result[:, 0], images)


# ---- one's own ----


def test_a_corruption_of_ones_own_is_used_by_its_name(own):
    def darker(image, severity, rng):
        image /= 1 + severity  # may be written to
        return image

    robustness.register("darker", darker, family="mine")
    assert robustness.names("mine") == ("darker",)
    images = np.full((3, 4, 5, 1), 200, "uint8")
    assert set(robustness.corrupt(images, "darker", 1).ravel()) == {100}
    assert set(images.ravel()) == {200}
    clip = np.full((2, 3, 4, 5, 3), 0.5, "float32")
    np.testing.assert_allclose(robustness.corrupt(clip, "darker", 4), 0.1)


def test_one_of_ones_own_has_draws_of_its_own_and_is_clipped(own):
    robustness.register(
        "noisy", lambda x, severity, rng: x + np.float32(9 * rng.normal())
    )
    result = robustness.corrupt(batch(3, 3, 1, "float32", count=9), "noisy", 1)
    assert (result.min(), result.max()) == (0, 1)  # of different draws


def test_one_of_ones_own_is_called_in_the_callers_thread_only(own, monkeypatch):
    monkeypatch.setattr(drawing, "_CHUNK", 1)
    monkeypatch.setattr(drawing, "_cores", lambda: 3)
    seen = []

    def watched(image, severity, rng):
        seen.append(threading.get_ident())
        return image

    robustness.register("watched", watched)
    robustness.corrupt(batch(4, 4, 1, count=6), "watched", 1)
    assert seen == 6 * [threading.get_ident()]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, s, r: x[1:], r"shape \(7, 6, 3\)"),
        (lambda x, s, r: x.astype("float64"), "dtype float64"),
        (lambda x, s, r: (x * 255).astype("uint8"), "dtype uint8"),
        (lambda x, s, r: None, "dtype NoneType"),
        (lambda x, s, r: x.tolist(), "dtype list"),
        (lambda x, s, r: x * np.float32("nan"), "values that are not"),
    ],
)
def test_what_it_returns_is_checked_and_the_error_names_it(own, function, message):
    robustness.register("faulty", function)
    with pytest.raises(ValueError, match=rf"'faulty'(?s:.*){message}"):
        robustness.corrupt(batch(8, 6, 3), "faulty", 1)


@pytest.mark.parametrize(
    ("name", "function", "family", "error"),
    [
        ("fog", abs, "custom", ValueError),
        ("", abs, "custom", TypeError),
        (3, abs, "custom", TypeError),
        ("mine", "abs", "custom", TypeError),
        ("mine", abs, None, TypeError),
    ],
)
def test_bad_registrations_change_nothing(own, name, function, family, error):
    before = robustness.names()
    with pytest.raises(error, match="Received: "):
        robustness.register(name, function, family=family)
    assert robustness.names() == before


# ---- frost of one's own ----


@pytest.mark.parametrize("size", [(9, 7), (300, 250)], ids=["small", "large"])
def test_photos_of_ones_own_are_used_until_they_are_taken_back(tmp_path, size):
    images = np.zeros((4, 40, 30, 3), "uint8")
    before = robustness.corrupt(images, "frost", 5)
    red = tmp_path / "red.png"
    PIL.Image.new("RGBA", size, (200, 40, 0, 10)).save(red)
    try:
        robustness.use_frost_photos([str(red)])
        found = robustness.corrupt(images, "frost", 5)
        expected = (np.array([200, 40, 0]) * 0.45).astype(int)
        assert np.abs(found - expected).max() <= 1
        for paths in ("red.png", [], [tmp_path / "none.png"], [3], [__file__], 7):
            with pytest.raises((TypeError, ValueError), match="Received: "):
                robustness.use_frost_photos(paths)
        np.testing.assert_array_equal(robustness.corrupt(images, "frost", 5), found)
    finally:
        robustness.use_frost_photos(None)
    np.testing.assert_array_equal(robustness.corrupt(images, "frost", 5), before)


# ---- bad input ----


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": "rust"}, ValueError),
        ({"name": None}, TypeError),
        ({"severity": 0}, ValueError),
        ({"severity": 6}, ValueError),
        ({"severity": 2.0}, TypeError),
        ({"severity": True}, TypeError),
        ({"seed": -1}, ValueError),
        ({"seed": None}, TypeError),
        ({"first_index": -1}, ValueError),
        ({"constants": "coco"}, ValueError),
        ({"constants": None}, TypeError),
        ({"images": np.zeros((8, 8, 3), "uint8")}, ValueError),
        ({"images": np.zeros((2, 8, 8, 4), "uint8")}, ValueError),
        ({"images": np.zeros((0, 8, 8, 3), "uint8")}, ValueError),
        ({"images": np.zeros((2, 0, 8, 3), "uint8")}, ValueError),
        ({"images": np.zeros((2, 8, 8, 3), "int32")}, TypeError),
        ({"images": np.zeros((2, 8, 8, 3), bool)}, TypeError),
        ({"images": np.full((2, 8, 8, 3), 255.0)}, ValueError),
        ({"images": np.full((2, 8, 8, 3), -0.1)}, ValueError),
        ({"images": np.full((2, 8, 8, 3), np.nan)}, ValueError),
        ({"images": "image.png"}, ValueError),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_bad_input_says_what_was_received(change, error):
    arguments = {
        "images": np.zeros((2, 8, 8, 3), "uint8"),
        "name": "fog",
        "severity": 1,
        **change,
    }
    with pytest.raises(error, match="Received: "):
        robustness.corrupt(**arguments)
