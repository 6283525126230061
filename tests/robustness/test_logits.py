"""Attacks see the gradients of sure models, whatever they end in, on all backends."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_dsd import robustness

SIZE = 120
# (outputs, what the same classifier may end in, its loss)
LOSSES = {
    "sparse": keras.losses.SparseCategoricalCrossentropy,
    "categorical": keras.losses.CategoricalCrossentropy,
    "binary": keras.losses.BinaryCrossentropy,
}


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).random((SIZE, 6, 6, 1), "float32")


class Own(keras.Model):
    """Subclassed, its `call` without `training`."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def network(kind, sharpness, end, dtype="float32"):
    outputs, name = (1, "sigmoid") if kind == "binary" else (3, "softmax")
    ends = {
        "logits": [],
        "layer": [layers.Softmax(dtype=dtype)],
        "activation": [layers.Activation(name, dtype=dtype)],
        "operation": [layers.Lambda(getattr(keras.ops, name), dtype=dtype)],
    }
    dense = layers.Dense(
        outputs, activation=name if end in ("dense", "own") else None, dtype=dtype
    )
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Flatten(dtype=dtype), dense, *ends.get(end, [])]
    )
    kernel = np.random.default_rng(1).normal(0, sharpness, (36, outputs))
    model.set_weights([kernel, -kernel.sum(0) / 2])
    return Own(model) if end == "own" else model


def labels_of(kind, x):
    """What the model says, but for every seventh image."""
    logits = network(kind, 1, "logits").predict(x, verbose=0)
    wrong = np.arange(SIZE) % 7 == 0
    if kind == "binary":
        return ((logits > 0) ^ wrong[:, None]).astype("int32")
    found = (logits.argmax(-1) + wrong) % 3
    return found if kind == "sparse" else np.eye(3, dtype="float32")[found]


def attacked(kind, x, end, sharpness, attack=robustness.fgsm, **more):
    """Returns the attacked images, and how many warnings there were."""
    model = network(kind, sharpness, end, **more)
    loss = LOSSES[kind](from_logits=end == "logits")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        worse = attack(model, x, labels_of(kind, x), 0.02, loss=loss)
    return worse, sum("exactly zero" in str(one.message) for one in caught)


@pytest.fixture(scope="module")
def expected(x):
    """The exact answer: of a linear model, from its kernel."""

    def images(kind):
        model = network(kind, 1, "logits")
        kernel = model.get_weights()[0].reshape(6, 6, 1, -1)
        truth = labels_of(kind, x)
        if kind == "binary":
            way = kernel[..., 0] * (1 - 2 * truth[:, :, None, None])
        else:
            truth = truth.argmax(-1) if kind == "categorical" else truth
            logits = model.predict(x, verbose=0).astype("float64") * 60
            logits[np.arange(SIZE), truth] = -np.inf
            # So sure a model's gradient is that of the strongest wrong class.
            way = (kernel[..., logits.argmax(-1)] - kernel[..., truth]).transpose(
                3, 0, 1, 2
            )
        return np.clip(x + np.float32(0.02) * np.sign(way), 0, 1)

    return images


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("end", ["logits", "dense", "activation", "layer", "own"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_a_sure_models_gradient_is_exact_whatever_it_ends_in(
    x, expected, kind, end, dtype
):
    if kind == "binary" and end == "layer":
        pytest.skip("there is no layer `Sigmoid`")
    worse, warned = attacked(kind, x, end, 60, dtype=dtype)
    assert not warned
    # Where two wrong classes are nearly as strong, both count; float16 rounds.
    differ = np.abs(worse - expected(kind)).max(axis=(1, 2, 3)) > 1e-6
    assert differ.mean() < 0.1


@pytest.mark.parametrize("kind", LOSSES)
def test_an_operation_of_ones_own_is_seen_through_as_far_as_its_numbers_go(x, kind):
    worse, warned = attacked(kind, x, "operation", 3)
    assert not warned
    reference, _ = attacked(kind, x, "logits", 3)
    assert (np.abs(worse - reference) > 1e-6).mean() < 0.01


@pytest.mark.parametrize("attack", [robustness.fgsm, robustness.pgd])
def test_images_without_a_gradient_are_told(x, attack):
    _, warned = attacked("sparse", x, "operation", 300, attack)
    assert warned == 1


def test_evaluate_tells_images_without_a_gradient_once(x):
    model = network("sparse", 300, "operation")
    model.compile(loss="sparse_categorical_crossentropy")
    arguments = {"corruptions": ["fgsm"], "severities": [1, 5], "progress": False}
    with pytest.warns(UserWarning, match=r"zero for \d+ of 240 images") as caught:
        robustness.evaluate(
            model, x, labels_of("sparse", x), batch_size=50, **arguments
        )
    assert sum("exactly zero" in str(one.message) for one in caught) == 1


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("end", ["logits", "dense"])
def test_the_gradient_is_the_losss(x, kind, end):
    """Against differences, at a model that is not sure, labels that are shares too."""
    loss = LOSSES[kind](from_logits=end == "logits", reduction=None)
    model = network(kind, 0.1, end)
    truth = labels_of(kind, x)
    if kind != "sparse":
        truth = np.where(np.arange(SIZE)[:, None] % 2, truth, 0.8 * truth + 0.1)
    shift = np.zeros_like(x)
    shift[:, 2, 3] = 1e-2

    def values(images):
        return keras.ops.convert_to_numpy(loss(truth, model(images)))

    slope = values(x + shift) - values(x - shift)
    worse = robustness.fgsm(model, x, truth, 0.02, loss=loss)
    moved = (worse - x)[:, 2, 3, 0]
    inside = (x[:, 2, 3, 0] > 0.02) & (x[:, 2, 3, 0] < 0.98) & (np.abs(slope) > 1e-5)
    assert inside.sum() > SIZE / 2
    np.testing.assert_array_equal(np.sign(moved[inside]), np.sign(slope[inside]))


def test_each_pixel_keeps_its_share(x):
    """Of a segmentation, where one pixel's prediction is unsure and others are not."""
    kernel = np.random.default_rng(2).normal(0, 4, (3, 3, 1, 2))
    truth = (x[..., 0] > 0.5).astype("int32")
    found = []
    for activation, loss in (
        (None, lambda y, z: LOSSES["sparse"](from_logits=True, ignore_class=9)(y, z)),
        ("softmax", LOSSES["sparse"]()),
    ):
        model = keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                layers.Conv2D(2, 3, padding="same", activation=activation),
            ]
        )
        model.set_weights([kernel, np.zeros(2)])
        found.append(robustness.fgsm(model, x, truth, 0.02, loss=loss))
    assert (np.abs(found[0] - found[1]) > 1e-6).mean() < 0.01


def test_the_model_is_left_as_it_was(x):
    model = network("sparse", 1, "dense")
    before = model.layers[-1].activation, model.predict(x, verbose=0)
    loss = LOSSES["sparse"]()
    robustness.fgsm(model, x, labels_of("sparse", x), 0.1, loss=loss)
    with pytest.raises(ValueError, match="Received: images of shape"):
        robustness.fgsm(model, x, np.zeros((SIZE, 4)), 0.1, loss=loss)
    assert model.layers[-1].activation is before[0]
    np.testing.assert_array_equal(model.predict(x, verbose=0), before[1])


def test_attacked_bytes_are_corrupted_when_divided(x):
    images = (x * 255).astype("uint8")
    loss = LOSSES["sparse"]()
    model = network("sparse", 0.01, "dense")
    worse = robustness.pgd(model, images, labels_of("sparse", x), 8 / 255, loss=loss)
    with pytest.raises(ValueError, match=r"Divide them by 255\. Received: values"):
        robustness.corrupt(worse, "fog", 1)
    assert robustness.corrupt(worse / 255, "fog", 1).max() <= 1


def test_small_gradients_pass_through_float16(x):
    """Of a loss that is none of Keras's cross-entropies, and is taken as it is."""

    def tiny(y_true, y_pred):
        return 1e-9 * keras.ops.sum(y_pred, axis=-1)

    model = network("binary", 0.1, "logits", dtype="mixed_float16")
    kernel = model.get_weights()[0].reshape(6, 6, 1)
    worse = robustness.fgsm(model, x, labels_of("binary", x), 0.02, loss=tiny)
    np.testing.assert_allclose(worse, np.clip(x + 0.02 * np.sign(kernel), 0, 1), 1e-5)
