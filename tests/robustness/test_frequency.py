"""`radius_accuracy` and `fourier_sensitivity`, on images made of known frequencies."""

import numpy as np
import pytest

from keras_dsd import robustness

SIZE = 16
QUIET = {"progress": False}


def waves(frequency, number=6, dtype="float32"):
    """Images of one frequency across; class 1 has it, class 0 is grey."""
    phase = 2 * np.pi * frequency * np.arange(SIZE) / SIZE
    labels = np.arange(number) % 2
    row = 0.5 + 0.4 * labels[:, None] * np.cos(phase)
    images = np.broadcast_to(row[:, None, :, None], (number, SIZE, SIZE, 1))
    if dtype == "uint8":
        return np.rint(images * 255).astype("uint8"), labels
    return images.astype(dtype), labels


def sees_contrast(x):
    """A model that tells whether there is a wave, of whatever range."""
    varied = np.std(x, axis=(1, 2, 3)) > 0.1 * np.mean(x, axis=(1, 2, 3))
    return np.eye(2, dtype="float32")[varied.astype(int)]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_low_keeps_what_is_within_the_radius(dtype):
    x, y = waves(5, dtype=dtype)
    found = robustness.radius_accuracy(sees_contrast, x, y, [0, 4.9, 5, 20], **QUIET)
    assert found == {0: 0.5, 4.9: 0.5, 5: 1.0, 20: 1.0}


def test_high_keeps_what_is_beyond_the_radius():
    x, y = waves(5)
    found = robustness.radius_accuracy(
        sees_contrast, x, y, [0, 4.9, 5, 20], "high", **QUIET
    )
    assert found == {0: 1.0, 4.9: 1.0, 5: 0.5, 20: 0.5}


def test_all_frequencies_are_the_image_itself():
    x = np.random.default_rng(0).random((4, 9, 14, 3), "float32")
    seen = []

    def model(shown):
        seen.append(shown)
        return np.zeros((4, 2), "float32")

    robustness.radius_accuracy(model, x, np.zeros(4, int), [100], **QUIET)
    np.testing.assert_allclose(seen[0], x, atol=1e-6)
    robustness.radius_accuracy(model, x, np.zeros(4, int), [0], **QUIET)
    mean = x.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(seen[1], np.broadcast_to(mean, x.shape), atol=1e-6)


def test_radii_by_default_span_all_frequencies():
    x, y = waves(5)
    found = robustness.radius_accuracy(sees_contrast, x, y, **QUIET)
    assert len(found) == 9
    assert min(found) == 0
    assert max(found) >= SIZE / 2 * np.sqrt(2)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_batches_do_not_matter(batch_size):
    x, y = waves(5)
    x = np.clip(x + np.random.default_rng(0).normal(0, 0.05, x.shape), 0, 1)
    for measure in (
        lambda **kwargs: robustness.radius_accuracy(sees_contrast, x, y, **kwargs),
        lambda **kwargs: robustness.fourier_sensitivity(
            sees_contrast, x, y, norm=1.5, reach=2, **kwargs
        ).tolist(),
    ):
        assert measure(batch_size=batch_size, **QUIET) == measure(**QUIET)


def test_sensitivity_finds_the_frequency_that_a_model_listens_to():
    x, y = np.full((4, SIZE, SIZE, 3), 0.5), np.zeros(4, int)

    def listens(shown):
        heard = np.abs(np.fft.fft2(shown, axes=(1, 2))[:, 2, 3]).max(-1) > 1
        return np.eye(2, dtype="float32")[heard.astype(int)]

    found = robustness.fourier_sensitivity(listens, x, y, norm=2.0, **QUIET)
    assert found.shape == (SIZE, SIZE)
    middle = SIZE // 2
    deaf = np.ones_like(found)
    deaf[middle + 2, middle + 3] = deaf[middle - 2, middle - 3] = 0
    np.testing.assert_array_equal(found, deaf)


def test_waves_have_the_norm_that_is_asked_for():
    x, norms = np.full((2, 12, 10, 3), 0.5), []

    def model(shown):
        norms.extend(np.sqrt(np.sum((shown - 0.5) ** 2, axis=(1, 2))).ravel())
        return np.zeros((2, 2), "float32")

    robustness.fourier_sensitivity(model, x, np.zeros(2, int), norm=1.25, **QUIET)
    np.testing.assert_allclose(norms, 1.25, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radii": []}, "radii=[]"),
        ({"radii": [1, 1]}, "radii=[1, 1]"),
        ({"radii": [-1]}, "radii=-1"),
        ({"keep": "middle"}, "keep='middle'"),
        ({"progress": None}, "progress=None"),
        ({"x": np.zeros((6, 2, 4, 4, 1))}, "(6, 2, 4, 4, 1)"),
        ({"x": np.zeros((6, 4, 4))}, "(6, 4, 4)"),
        ({"y": np.zeros(5)}, "6 images, 5 labels"),
    ],
    ids=["none", "twice", "negative", "keep", "progress", "video", "rank", "labels"],
)
def test_radius_accuracy_refuses_bad_arguments(arguments, message):
    x, y = waves(5)
    with pytest.raises((ValueError, TypeError), match="Received: ") as error:
        robustness.radius_accuracy(
            **{"model": sees_contrast, "x": x, "y": y, **QUIET} | arguments
        )
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"norm": 0}, "norm=0"), ({"reach": -1}, "reach=-1"), ({"seed": 0.5}, "seed=0.5")],
    ids=["norm", "reach", "seed"],
)
def test_fourier_sensitivity_refuses_bad_arguments(arguments, message):
    x, y = waves(5)
    with pytest.raises((ValueError, TypeError), match="Received: ") as error:
        robustness.fourier_sensitivity(sees_contrast, x, y, **arguments)
    assert message in str(error.value)


def test_pictures_are_written(tmp_path):
    robustness.plot_radius_accuracy({"a": {0: 0.1, 5: 0.9}}, tmp_path / "radius.png")
    robustness.plot_fourier_sensitivity(np.eye(5), tmp_path / "fourier.png")
    for name in ("radius", "fourier"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
