"""The standard corruptions do what the reference implementations do.

Those without randomness are compared with the hashes and means of the original scripts,
where a checkout has them, and with `imagecorruptions`, which has the original's values
for large images. The others are given the very draws that the reference is given.
"""

import hashlib
import json
import pathlib
import sys

import cv2
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image
from scipy import special

from keras_dsd import robustness
from keras_dsd.robustness.corruptions import blur, catalog, frost_pictures, noise
from tests.robustness import pictures
from tests.robustness.guarantees import EXACT

pytestmark = pytest.mark.one_backend

reference = pytest.importorskip("imagecorruptions")
module = sys.modules["imagecorruptions.corruptions"]

SHARED = pathlib.Path(__file__).parents[3] / "shared" / "corruptions"
SEVERITIES = range(1, 6)


def scene(height=56, width=72, seed=0):
    """Returns an image with edges, plain areas, black, white and noise, uint8."""
    rng = np.random.default_rng(seed)
    image = pictures.drawings(1, 72)[0][:height, :width].copy()
    noisy = image[10:20, 5:40]
    noisy[:] = rng.integers(0, 256, noisy.shape)
    image[30:36, :20] = 0
    image[36:42, :20] = 255
    return image


def ours(image, name, severity, rng=None):
    """Returns one image, corrupted by given draws, or by any if there are none."""
    if rng is None:
        return robustness.corrupt(image[None], name, severity, constants="imagenet")[0]
    corruption = catalog.get(name)
    images = image[None] * np.float32(1 / 255)
    strength = corruption.strength(severity, "imagenet")
    result = corruption.function(images, strength, [rng])[0]
    return (np.clip(result, 0, 1) * np.float32(255) + np.float32(1e-3)).astype("uint8")


def assert_close(ours, theirs, share=0.2, most=1):
    """At most one grey level apart, as values next to a whole number may be."""
    apart = np.abs(ours.astype(int) - theirs)
    assert apart.max() <= most
    assert (apart > 0).mean() < share


class Draws:
    """A generator that gives what a test has drawn, whatever it is asked for."""

    def __init__(self, array=None, angle=None):
        self._array, self._angle = array, angle

    def standard_normal(self, out, dtype):
        # Of what is enlarged afterwards, only the middle is asked for.
        starts = [
            (have - want) // 2
            for have, want in zip(self._array.shape, out.shape, strict=False)
        ]
        array = self._array.reshape(self._array.shape[:2] + out.shape[2:])
        y, x = starts[:2]
        out[:] = array[y : y + out.shape[0], x : x + out.shape[1]]

    def random(self, out, dtype):
        out[:] = self._array.reshape(out.shape)

    def uniform(self, *bounds):
        return self._angle

    def integers(self, low, high, shape, dtype):
        return self._array.reshape(shape)


# ---- without randomness ----


@pytest.mark.parametrize("name", EXACT)
def test_exact_ones_equal_the_scripts_in_both_sets_of_strengths(name):
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is absent")
    values = json.loads((SHARED / "golden.json").read_text())["golden"]
    data = pytest.importorskip("skimage.data")
    photo = Image.fromarray(data.astronaut())
    for key, value in values.items():
        script, side, golden, severity = key.split("/")
        if golden != name:
            continue
        side = int(side)
        image = np.asarray(photo.resize((side, side), Image.Resampling.BICUBIC))
        constants = {"cifar_c": "cifar", "imagenet_c": "imagenet"}[script]
        result = robustness.corrupt(
            image[None], name, int(severity), constants=constants
        )[0]
        if hashlib.sha256(result.tobytes()).hexdigest() != value["sha256"]:
            # Not a level off everywhere: a few values next to a whole number.
            np.testing.assert_allclose(result.mean((0, 1)), value["mean"], atol=0.16)
            np.testing.assert_allclose(result.std((0, 1)), value["std"], atol=0.12)


def test_strengths_are_those_of_the_scripts():
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is absent")
    scripts = json.loads((SHARED / "severities.json").read_text())
    for script, constants in (("cifar_c", "cifar"), ("imagenet_c", "imagenet")):
        assert len(scripts[script]) == 19
        for name, expected in scripts[script].items():
            for severity in SEVERITIES:
                strength = catalog.get(name).strength(severity, constants)
                if name == "zoom_blur":
                    strength = np.arange(1, *strength)
                elif name == "frost":
                    strength = strength[:2]
                np.testing.assert_allclose(
                    np.array(strength, float), expected[severity - 1]
                )


def pixelated(image, severity):
    """Returns what the original script makes, with box filters both ways."""
    share = catalog.get("pixelate").strength(severity, "imagenet")
    height, width = image.shape[:2]
    picture = Image.fromarray(image)
    for size in ((int(width * share), int(height * share)), (width, height)):
        picture = picture.resize(size, Image.Resampling.BOX)
    return np.asarray(picture)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", EXACT)
def test_exact_ones_equal_the_reference_at_any_size(name, severity):
    for image in (scene(), scene(33, 40)):
        if name == "pixelate":
            theirs = pixelated(image, severity)
        else:
            theirs = reference.corrupt(image, severity, name)
        # With 20 times the saturation, rounding counts 20 times.
        most = 2 if (name, severity) == ("saturate", 5) else 1
        assert_close(ours(image, name, severity), theirs, most=most)


# ---- the same draws ----


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "spatter", "snow"])
def test_of_the_same_normal_draws_comes_the_same_image(name, severity, monkeypatch):
    # Of 72 pixels nothing is cut off flakes that are enlarged; else the reference cuts
    # at one end, the original at both, as here (see `test_filters.py`).
    image = scene(72 if name == "snow" else 64, 72)
    rng = np.random.default_rng(severity)
    shape = image.shape if name.endswith("noise") else image.shape[:2]
    drawn = rng.standard_normal(shape).astype("float32")
    monkeypatch.setattr(
        np.random, "normal", lambda size, scale, loc=0: loc + scale * drawn
    )
    monkeypatch.setattr(np.random, "uniform", lambda low, high: -100.0)
    theirs = reference.corrupt(image, severity, name)
    result = ours(image, name, severity, Draws(drawn, angle=-100.0))
    # The reference moves what lies beyond the edge into a snowy image; the original
    # cuts it off before, as here.
    inner = slice(13, -13) if name == "snow" else slice(None)
    assert_close(result[inner, inner], theirs[inner, inner])
    assert np.abs(result - image.astype(float)).mean() > 1


@pytest.mark.parametrize("angle", [-45, -13.7, 0, 45])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_motion_of_the_same_angle_gives_the_same_image(severity, angle, monkeypatch):
    monkeypatch.setattr(np.random, "uniform", lambda low, high: angle)
    theirs = reference.corrupt(scene(), severity, "motion_blur")
    assert_close(ours(scene(), "motion_blur", severity, Draws(angle=angle)), theirs)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_of_the_same_draws_comes_the_same_fog(severity, monkeypatch):
    drawn = np.random.default_rng(severity).random(128 * 128)
    left = iter(drawn)

    def uniform(low, high, shape):
        return np.reshape(
            [low + (high - low) * next(left) for _ in range(np.prod(shape))], shape
        )

    monkeypatch.setattr(np.random, "uniform", uniform)
    theirs = reference.corrupt(scene(), severity, "fog")
    assert_close(ours(scene(), "fog", severity, Draws(drawn)), theirs)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_of_the_same_draws_comes_the_same_elastic_image(severity):
    image = scene(56, 64)
    rng = np.random.default_rng(severity)
    alpha, sigma, jitter = catalog.get("elastic_transform").strength(
        severity, "imagenet"
    )
    moves = rng.uniform(-jitter, jitter, (3, 2)) / 4  # smaller, as the image is
    fields = rng.random((2, 56, 64)).astype("float32")
    result = ours(image, "elastic_transform", severity, Draws(fields, angle=moves))

    # The original script, of whose steps `imagecorruptions` leaves out the first.
    x = image / np.float32(255)
    middle, reach = np.float32([28, 32]), 56 // 3
    before = np.float32(
        [middle + reach, [middle[0] + reach, middle[1] - reach], middle - reach]
    )
    to = cv2.getAffineTransform(before, before + moves.astype(np.float32))
    x = cv2.warpAffine(x, to, (64, 56), borderMode=cv2.BORDER_REFLECT_101)
    dx, dy = (
        alpha
        * scipy.ndimage.gaussian_filter(
            2.0 * field - 1, sigma, mode="reflect", truncate=3
        )
        for field in fields
    )
    rows, columns = np.mgrid[:56, :64]
    theirs = np.stack(
        [
            scipy.ndimage.map_coordinates(
                x[..., channel], (rows + dy, columns + dx), order=1, mode="reflect"
            )
            for channel in range(3)
        ],
        axis=-1,
    )
    # OpenCV 4 knows places to 1 / 32 of a pixel only.
    apart = np.abs(result - theirs.clip(0, 1) * 255)
    assert apart.mean() < 1.2
    assert np.quantile(apart, 0.99) < 9


@pytest.mark.parametrize(
    ("height", "width", "reach", "passes"),
    [(9, 14, 1, 2), (12, 9, 2, 1), (17, 13, 2, 3), (16, 21, 3, 2), (12, 12, 4, 2)],
)
def test_glass_moves_pixels_as_the_reference_does_one_by_one(
    height, width, reach, passes
):
    rows = range(reach + 1, height - reach + 1)
    columns = range(reach + 1, width - reach + 1)
    shape = (passes, 2, len(rows) * len(columns))
    rngs, drawn = [], []
    for seed in range(2):
        drawn.append(np.random.default_rng(seed).integers(0, 2 * reach, shape))
        rngs.append(Draws(drawn[-1]))
    found = blur._sources((2, height, width), reach, passes, rngs)
    found = found.reshape(2, height, width)
    for number in range(2):
        image = np.arange(height * width).reshape(height, width)
        image = np.stack([image] * 3, axis=-1)
        for offsets in drawn[number] - reach:
            places = [(h, w) for h in rows for w in columns]
            for (h, w), dy, dx in reversed(list(zip(places, *offsets, strict=True))):
                # Copies, as these are views of an image with channels.
                image[h, w], image[h + dy, w + dx] = image[h + dy, w + dx], image[h, w]
        expected = image[..., 0] + number * height * width
        np.testing.assert_array_equal(found[number], expected)


def test_glass_as_a_whole_has_the_statistics_of_the_reference(monkeypatch):
    # Compiling takes longer than the loop.
    shuffle = "_shuffle_pixels_njit_glass_blur"
    monkeypatch.setattr(module, shuffle, getattr(module, shuffle).py_func)
    images = np.stack([scene(40, 40)] * 40)
    result = robustness.corrupt(images, "glass_blur", 5, constants="imagenet")
    theirs = [
        reference.corrupt(image, 5, "glass_blur", seed=seed)
        for seed, image in enumerate(images)
    ]
    assert_same_statistics(result.astype(float), np.stack(theirs).astype(float))


def assert_same_statistics(ours, theirs):
    """The mean image and the deviation from it are the same but for chance."""
    noise_of_mean = np.sqrt((ours.var(0) + theirs.var(0)) / len(ours)).mean()
    apart = np.abs(ours.mean(0) - theirs.mean(0)).mean()
    assert apart < 1.2 * noise_of_mean + 0.3
    np.testing.assert_allclose(
        ours.std(0).mean(), theirs.std(0).mean(), rtol=0.06, atol=0.1
    )


# ---- distributions ----


@pytest.mark.parametrize("photons", [3, 12, 60, 500])
def test_the_tables_of_shot_noise_hold_the_distribution_of_poisson(photons):
    cuts, others, bits = noise._poisson_tables(photons)
    columns = 2**bits
    kept = (cuts.reshape(256, columns).astype(float) + 1) / 2**32
    others = others.reshape(256, columns).astype(int)
    found = kept / columns
    rows = np.arange(256)[:, None]
    np.add.at(found, (rows, others), (1 - kept) / columns)

    means = np.arange(256)[:, None] * photons / 255
    expected = np.zeros_like(found)
    below = special.pdtr(np.arange(photons), means)
    expected[:, :photons] = np.diff(below, prepend=0)
    expected[:, photons] = 1 - below[:, -1]  # white, or beyond it
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("value", [100 / 255, 0.3137, 0.9999, 0.0])
def test_shot_noise_of_any_value_has_its_mean_and_variance(value):
    images = np.full((40, 40, 40, 1), value, "float32")
    result = robustness.corrupt(images, "shot_noise", 1, constants="cifar")
    if value > 0.9:
        assert 0.95 < result.mean() < 1  # half of what is drawn is cut off
        return
    assert abs(result.mean() - value) <= 5 * np.sqrt(value / 500 / result.size)
    np.testing.assert_allclose(result.var(), value / 500, rtol=0.04)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_impulses_are_as_many_as_they_should_be_half_of_them_white(severity):
    images = np.full((30, 64, 64, 3), 0.5, "float32")
    share = catalog.get("impulse_noise").strength(severity, "cifar")
    result = robustness.corrupt(images, "impulse_noise", severity)
    for value, expected in ((0, share / 2), (1, share / 2), (0.5, 1 - share)):
        error = 5 * np.sqrt(expected * (1 - expected) / result.size)
        assert abs((result == value).mean() - expected) < error


@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise"])
def test_normal_noise_has_the_deviation_that_it_should(name):
    images = np.full((30, 64, 64, 1), 0.5, "float32")
    deviation = catalog.get(name).strength(3, "cifar")
    result = robustness.corrupt(images, name, 3) - 0.5
    expected = deviation if name == "gaussian_noise" else deviation / 2
    assert abs(result.mean()) < 5 * expected / np.sqrt(result.size)
    np.testing.assert_allclose(result.std(), expected, rtol=0.01)


def photos_of_the_reference():
    return sorted((pathlib.Path(reference.__file__).parent / "frost").glob("frost*"))


@pytest.fixture
def own_photos():
    yield robustness.use_frost_photos
    robustness.use_frost_photos(None)


def test_with_the_photos_of_the_reference_frost_has_its_distribution(own_photos):
    own_photos(photos_of_the_reference())
    images = np.stack([scene(64, 64)] * 120)
    result = robustness.corrupt(images, "frost", 3, constants="imagenet")
    np.random.seed(1)
    theirs = np.stack([reference.corrupt(image, 3, "frost") for image in images])
    for statistic in (
        lambda x: x.mean(),
        lambda x: x.std(axis=(1, 2)).mean(),  # within an image
        lambda x: x.mean(axis=(1, 2)).std(),  # between images
        lambda x: np.abs(np.diff(x.astype(float), axis=1)).mean(),  # of neighbours
    ):
        np.testing.assert_allclose(statistic(result), statistic(theirs), rtol=0.12)


def test_the_librarys_own_frost_resembles_the_photos(own_photos):
    def statistics():
        pictures = frost_pictures.at_least(300, 300, 1, 3)
        found = []
        for picture in pictures:
            grey = picture.mean(axis=-1)[:300, :300] / 255
            waves = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
            far = np.hypot(*np.meshgrid(np.fft.fftfreq(300), np.fft.fftfreq(300)))
            bands = [
                np.log2(waves[(far >= low) & (far < 2 * low)].mean())
                for low in (0.01, 0.04, 0.16)
            ]
            found.append([grey.mean(), grey.std(), *np.diff(bands)])
        return np.mean(found, axis=0)

    own = statistics()
    own_photos(
        [path for path in photos_of_the_reference() if "frost3" not in path.name]
    )
    mean, deviation, *slopes = statistics()
    assert abs(own[0] - mean) < 0.04
    assert abs(own[1] - deviation) < 0.03
    np.testing.assert_allclose(own[2:], slopes, atol=0.8)  # of about -3.4
