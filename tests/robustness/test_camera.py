"""Corruptions of inspection cameras: lens, sensor, light, motion, transmission."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_dsd import robustness
from keras_dsd.robustness.corruptions import catalog, lens, light, transmission
from tests.robustness import guarantees, pictures

pytestmark = pytest.mark.one_backend

FAMILIES = ("lens", "sensor", "light", "motion", "transmission")
NAMES = [name for family in FAMILIES for name in robustness.names(family)]
MOVING = ["low_light", "packet_loss", "block_artifacts"]  # in a video
EXACT = ["vignetting", "overexposure", "underexposure", "conveyor_blur"]  # no draws
DTYPES = ["uint8", "float16", "float32", "float64"]


def batch(data, height, width, channels, dtype="float32", count=2):
    """Returns images of random values."""
    shape = (count, height, width, channels)
    values = np.random.default_rng(data).random(shape)
    return (values * 255).astype("uint8") if dtype == "uint8" else values.astype(dtype)


def filled(value, *shape):
    return np.full(shape, value, "float32")


def strength(name, severity):
    return catalog.get(name).strength(severity, "cifar")


SIDES = st.one_of(st.just(1), st.integers(1, 40))


@hypothesis.settings(max_examples=150)
@hypothesis.given(
    name=st.sampled_from(NAMES),
    severity=st.integers(1, 5),
    height=SIDES,
    width=SIDES,
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**40),
)
def test_any_image_keeps_its_shape_dtype_and_range_and_comes_out_the_same_twice(
    name, severity, height, width, channels, dtype, seed
):
    images = batch(seed, height, width, channels, dtype)
    guarantees.assert_sound(images, name, severity, seed=seed)


@pytest.mark.parametrize("name", NAMES)
@hypothesis.settings(max_examples=8)
@hypothesis.given(
    severity=st.integers(1, 5),
    height=SIDES,
    width=SIDES,
    channels=st.sampled_from([1, 3]),
    first_index=st.integers(0, 10**6),
)
def test_an_image_does_not_depend_on_the_batch_it_comes_in(
    name, severity, height, width, channels, first_index
):
    images = batch(0, height, width, channels, count=5)
    guarantees.assert_independent_of_the_batch(images, name, severity, first_index)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("images", [pictures.photos, pictures.drawings])
@pytest.mark.parametrize("name", NAMES)
def test_each_severity_is_farther_from_the_clean_image(name, images, channels):
    clean = images(100)[..., :channels]
    found = [
        pictures.distance(robustness.corrupt(clean, name, severity), clean)
        for severity in range(1, 6)
    ]
    assert found[0] > 0
    assert (np.diff(found) > 0).all(), found


@pytest.mark.parametrize("name", NAMES)
def test_the_mildest_severity_leaves_the_image_recognisable(name):
    clean = pictures.drawings(30)
    result = robustness.corrupt(clean, name, 1)
    for a, b in zip(clean, result, strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.75


@pytest.mark.parametrize(
    "name",
    ["lens_dirt", "occlusion", "color_cast", "packet_loss", "rolling_shutter", *EXACT],
)
def test_shares_of_the_image_do_the_same_to_small_and_large_images(name):
    small, large = (pictures.drawings(30, size) for size in (48, 128))
    of_small = pictures.distance(robustness.corrupt(small, name, 3), small)
    of_large = pictures.distance(robustness.corrupt(large, name, 3), large)
    assert of_large == pytest.approx(of_small, rel=0.35)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in EXACT])
def test_seeds_and_places_in_the_data_have_draws_of_their_own(name):
    images = np.repeat(pictures.drawings(1), 2, axis=0)
    results = [robustness.corrupt(images, name, 4, seed=seed) for seed in (0, 1)]
    if name != "rolling_shutter":  # left or right: a coin may fall the same way twice
        assert (results[0] != results[1]).any()
        assert (results[0][0] != results[0][1]).any()
    many = np.repeat(images[:1], 20, axis=0)
    assert len(np.unique(robustness.corrupt(many, name, 4), axis=0)) > 1


@pytest.mark.parametrize("name", NAMES)
def test_in_a_video_defects_stay_and_noise_does_not(name):
    still = np.repeat(pictures.drawings(2)[:, None], 4, axis=1)
    frames = robustness.corrupt(still, name, 4)
    for clip in frames:
        for frame in clip[1:]:
            assert (frame == clip[0]).all() == (name not in MOVING)


@pytest.mark.parametrize("name", ["lens_dirt", "vignetting", "color_cast"])
def test_what_takes_light_away_takes_the_same_share_from_every_frame(name):
    levels = np.float32([1, 0.5, 0.25])
    clip = np.broadcast_to(levels[None, :, None, None, None], (1, 3, 24, 24, 3))
    result = robustness.corrupt(clip, name, 4)[0] / levels[:, None, None, None]
    np.testing.assert_allclose(result[1:], result[[0, 0]], rtol=1e-6)
    assert result.min() < 0.9


# ---- the lens ----


def test_dirt_only_darkens_and_is_out_of_focus():
    white = robustness.corrupt(filled(1, 20, 64, 64, 1), "lens_dirt", 3)
    assert white.max() <= 1
    assert np.percentile(white, 1) < 0.5
    assert np.abs(np.diff(white, axis=1)).max() < 0.25  # no edge is sharp


def test_dirt_is_the_same_at_any_resolution():
    small = robustness.corrupt(filled(1, 4, 32, 32, 1), "lens_dirt", 4)
    large = robustness.corrupt(filled(1, 4, 256, 256, 1), "lens_dirt", 4)
    reduced = large.reshape(4, 32, 8, 32, 8, 1).mean(axis=(2, 4))
    assert np.abs(reduced - small).max() < 0.05


def test_scratches_are_bright_and_dark_and_thin():
    grey = robustness.corrupt(filled(0.5, 10, 128, 128, 1), "lens_scratches", 1)
    scratched = np.abs(grey - 0.5) > 0.05
    for image, hit in zip(grey, scratched, strict=True):
        assert hit.mean() < 0.05
        assert (image[hit] > 0.5).any()
    assert (grey[scratched] < 0.5).any()


@pytest.mark.parametrize("severity", [1, 5])
def test_patches_are_flat_and_hide_about_the_share_that_they_should(severity):
    clean = batch(0, 60, 80, 3, count=40)
    result = robustness.corrupt(clean, "occlusion", severity)
    hidden = (result != clean).any(axis=-1)
    for image, where in zip(result, hidden, strict=True):
        assert 1 <= len(np.unique(image[where], axis=0)) <= 3
    share = strength("occlusion", severity)
    assert 0.6 * share < hidden.mean() < 1.2 * share


@pytest.mark.parametrize(("height", "width"), [(9, 9), (8, 12), (1, 5), (2, 1)])
def test_vignetting_takes_its_share_in_the_corners_and_nothing_in_the_centre(
    height, width
):
    result = lens._vignetting(filled(1, 1, height, width, 1), 0.6, None)[0, ..., 0]
    corners = result[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, 0.4, rtol=1e-5)
    np.testing.assert_allclose(result, result[::-1, ::-1], rtol=1e-6)
    if height % 2 and width % 2:
        assert result[height // 2, width // 2] == 1


# ---- the sensor ----


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_defective_pixels_are_few_and_the_others_see_as_before(severity):
    clean = batch(0, 50, 60, 3, count=60)
    result = robustness.corrupt(clean, "defective_pixels", severity)
    hit = (result != clean).any(axis=-1)
    expected = strength("defective_pixels", severity) * 3000
    assert 0.9 * expected - 1 < hit.sum(axis=(1, 2)).mean() <= expected
    values = result[hit]
    for value in (0, 1):  # a third of them each
        assert 0.2 < (values == value).all(axis=-1).mean() < 0.5


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_dead_lines_are_lines_and_the_others_see_as_before(severity):
    clean = batch(0, 40, 60, 3, count=20)
    result = robustness.corrupt(clean, "dead_lines", severity)
    changed = (result != clean).any(axis=-1)
    rows, columns = changed.all(axis=2), changed.all(axis=1)
    lines = rows[:, :, None] | columns[:, None, :]
    np.testing.assert_array_equal(changed, lines)
    counts = rows.sum(axis=1) + columns.sum(axis=1)
    assert counts.min() >= 1
    expected = 1 + strength("dead_lines", severity) * 100
    assert counts.mean() == pytest.approx(expected, abs=0.5)


def test_the_less_light_the_more_of_what_is_seen_is_noise():
    grey = filled(0.5, 4, 40, 40, 1)
    results = [robustness.corrupt(grey, "low_light", s) for s in range(1, 6)]
    means = [result.mean() for result in results]
    assert means[0] < 0.5 and (np.diff(means) < 0).all()
    ratios = [result.std() / result.mean() for result in results]
    assert (np.diff(ratios) > 0).all()


# ---- the light ----


def test_a_stop_of_exposure_doubles_the_light():
    image = np.linspace(0, 1, 11, dtype="float32")
    light_of = image.astype("float64") ** light.GAMMA
    for stops in (-3, -0.5, 1, 2):
        result = light.expose(image, stops)
        expected = np.minimum(light_of * 2**stops, 1) ** (1 / light.GAMMA)
        np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_a_color_cast_weakens_channels_not_places():
    clean = batch(0, 6, 6, 3, count=30) * 0.5 + 0.25
    gains = robustness.corrupt(clean, "color_cast", 4) / clean
    np.testing.assert_allclose(gains, gains[:, :1, :1] * np.ones_like(gains), rtol=1e-5)
    gains = gains[:, 0, 0]
    assert len(np.unique(gains.argmax(axis=-1))) == 3
    gains = np.sort(gains, axis=-1)
    np.testing.assert_allclose(gains[:, 2], 1, rtol=1e-6)
    np.testing.assert_allclose(gains[:, 0], 1 - strength("color_cast", 4), rtol=1e-5)


# ---- motion ----


@pytest.mark.parametrize("severity", range(1, 6))
def test_a_conveyor_smears_a_point_over_its_way_and_nothing_else(severity):
    image = filled(0, 1, 5, 101, 1)
    image[0, 2, 50] = 1
    result = robustness.corrupt(image, "conveyor_blur", severity)[0, ..., 0]
    way = strength("conveyor_blur", severity) * 101
    assert not result[[0, 1, 3, 4]].any()
    line = result[2]
    assert line.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(line, line[::-1], atol=1e-6)
    reach = np.flatnonzero(line > 1e-6)
    assert way < len(reach) <= way + 3
    # A uniform distribution over the way, and the triangle of the interpolation.
    spread = np.sum(line * (np.arange(101) - 50.0) ** 2)
    assert spread == pytest.approx(way**2 / 12 + 1 / 6, rel=0.1)


@pytest.mark.parametrize("name", ["conveyor_blur", "rolling_shutter"])
def test_motion_along_rows_leaves_rows_of_one_color_as_they_are(name):
    rows = batch(0, 20, 1, 3)
    image = np.broadcast_to(rows, (2, 20, 30, 3))
    np.testing.assert_allclose(robustness.corrupt(image, name, 5), image, atol=1e-6)


def test_a_rolling_shutter_slants_what_is_upright():
    image = filled(0, 8, 41, 80, 1)
    image[:, :, 40] = 1
    result = robustness.corrupt(image, "rolling_shutter", 3)[..., 0]
    places = (result * np.arange(80)).sum(axis=2) / result.sum(axis=2)
    np.testing.assert_allclose(places[:, 20], 40, atol=0.05)
    way = places[:, -1] - places[:, 0]
    np.testing.assert_allclose(
        np.abs(way), strength("rolling_shutter", 3) * 80, rtol=0.02
    )
    np.testing.assert_allclose(
        places, 40 + np.linspace(-0.5, 0.5, 41) * way[:, None], atol=0.1
    )
    assert {-1, 1} == set(np.sign(way))


# ---- the transmission ----


@hypothesis.given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    share=st.floats(0.01, 0.5),
    seed=st.integers(0, 99),
)
def test_packets_are_runs_of_macroblocks_in_reading_order(height, width, share, seed):
    rng = np.random.default_rng(seed)
    packets = transmission.lost_packets((height, width, 3), share, rng)
    rows, columns = packets.shape
    assert rows <= height and columns <= width
    assert max(rows, columns) == min(transmission.BLOCKS, max(height, width))
    flat = packets.ravel()
    assert flat.any()
    for number in np.unique(flat[flat > 0]):
        places = np.flatnonzero(flat == number)
        between = flat[places[0] : places[-1] + 1]
        # A later packet may lie upon it.
        assert (between >= number).all()
    pixels = transmission.to_pixels(packets, (height, width))
    assert pixels.shape == (height, width)
    assert set(np.unique(pixels)) == set(np.unique(packets))


def test_about_the_share_of_macroblocks_is_lost():
    rng = np.random.default_rng(0)
    lost = [transmission.lost_packets((64, 64), 0.1, rng) > 0 for _ in range(200)]
    assert 0.07 < np.mean(lost) < 0.1  # some are lost twice


def test_what_is_not_lost_of_a_stream_arrives_unchanged():
    clean = batch(0, 64, 64, 3, "uint8", count=20)
    changed = (robustness.corrupt(clean, "packet_loss", 2) != clean).any(axis=-1)
    blocks = changed.reshape(20, 16, 4, 16, 4).swapaxes(2, 3).reshape(20, 16, 16, 16)
    share = blocks.mean(axis=-1)
    assert ((share == 0) | (share > 0.9)).all()  # whole macroblocks
    assert 0.02 < (share > 0).mean() < 0.12


def test_compression_of_good_quality_is_hardly_seen_and_of_bad_quality_is():
    image = pictures.drawings(1, 64)[0] / np.float32(255)
    good, bad, worst = (
        pictures.distance(transmission.compress(image, *how), image)
        for how in ((100,), (10,), (10, 0.25))
    )
    assert good < 0.01 < bad < worst


def test_starved_macroblocks_are_flat():
    clean = batch(0, 64, 64, 1, count=10)
    result = robustness.corrupt(clean, "block_artifacts", 5)
    blocks = result.reshape(10, 16, 4, 16, 4).swapaxes(2, 3).reshape(10, 16, 16, 16)
    flat = np.ptp(blocks, axis=-1) < 1e-6
    assert flat.mean() == pytest.approx(strength("block_artifacts", 5)[1], abs=0.05)
