"""`make_prunable`, `Prunable` and `strip`: which layers, weights and models."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd import phases
from keras_dsd.analysis import sparsity
from keras_dsd.layers import conversion
from tests import helpers, zoo


def paths(model):
    return [weight.path for weight in conversion.pruned_weights(model)]


def picture_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, name="first"),
            layers.Conv2D(8, 3, name="second"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Flatten(),
            layers.Dense(4, name="head"),
        ],
        name="net",
    )


def test_the_picture_and_embeddings_stay_dense_by_default():
    model = dsd.make_prunable(picture_model())
    assert [path.split("/")[1] for path in paths(model)] == [
        "second",
        "head",
    ]
    reasons = {row.path: row.reason for row in dsd.sparsity_report(model).rows}
    assert reasons["net/first/kernel"] == "convolution of the picture (3 channels)"

    words = keras.Sequential(
        [keras.Input((5,)), layers.Embedding(9, 6), layers.Flatten(), layers.Dense(2)]
    )
    words = dsd.make_prunable(words)
    assert len(paths(words)) == 1
    assert dsd.sparsity_report(words).rows[0].reason == "embedding"


def test_include_names_what_stays_dense_by_default():
    model = dsd.make_prunable(picture_model(), include="first")
    assert paths(model) == ["net/first/kernel"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"exclude": "head"}, ["second"]),
        ({"include": ["first", "head"]}, ["first", "head"]),
        ({"include": ["first", "head"], "exclude": "head"}, ["first"]),
        ({"include": lambda weight: weight.shape[-1] == 4}, ["head"]),
        (
            {"exclude": lambda weight: "conv" in weight.path},
            ["second", "head"],
        ),
    ],
)
def test_include_and_exclude(rules, expected):
    model = dsd.make_prunable(picture_model(), **rules)
    assert [path.split("/")[1] for path in paths(model)] == expected


def test_exclude_one_weight_of_a_layer():
    model = keras.Sequential([keras.Input((None, 4)), layers.LSTM(3)])
    model = dsd.make_prunable(model, exclude="recurrent_kernel")
    assert [path.split("/")[-1] for path in paths(model)] == ["kernel"]
    model.compile("sgd", "mse")
    callback = dsd.DSDCallback([phases.Sparse(1, sparsity=0.5)], verbose=0)
    x = np.ones((4, 5, 4), "float32")
    model.fit(x, np.ones((4, 3)), verbose=0, callbacks=[callback])
    kernel, recurrent, _ = helpers.values(dsd.strip(model).layers[0].weights)
    assert np.count_nonzero(kernel) == kernel.size // 2
    assert np.count_nonzero(recurrent) == recurrent.size


def test_frozen_layers_are_skipped_and_reported():
    model = helpers.mlp()
    model.layers[0].trainable = False
    model = dsd.make_prunable(model)
    assert len(paths(model)) == 1
    assert dsd.sparsity_report(model).rows[0].reason == "not trainable"


def test_strict_refuses_what_would_be_skipped():
    model = helpers.mlp()
    model.layers[0].trainable = False
    with pytest.raises(ValueError, match=r"not trainable.*"):
        dsd.make_prunable(model, strict=True)
    assert not conversion.prunable_layers(model)


def test_a_model_that_is_not_built_yet():
    model = keras.Sequential([layers.Dense(8), layers.ReLU(), layers.Dense(4)])
    model = dsd.make_prunable(model)
    assert not paths(model)
    x, y = helpers.data()
    model(x)
    assert len(paths(model)) == 2
    assert [isinstance(layer, dsd.Prunable) for layer in model.layers] == [
        True,
        False,
        True,
    ]
    model.compile("sgd", "mse")
    plan = phases.dsd(epochs=3, sparsity=0.5)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[dsd.DSDCallback(plan, verbose=0)])


def test_a_layer_that_turns_out_to_have_nothing_is_plain_again():
    model = keras.Sequential([layers.Dense(8), layers.BatchNormalization()])
    model = dsd.make_prunable(model)
    model(np.ones((2, 3), "float32"))
    assert type(model.layers[1]) is layers.BatchNormalization
    assert isinstance(model.layers[0], dsd.Prunable)


def test_a_shared_layer_has_one_mask():
    shared = layers.Dense(6)
    inputs = keras.Input((6,))
    model = keras.Model(inputs, shared(shared(inputs)))
    assert len(paths(dsd.make_prunable(model))) == 1


def test_by_hand_within_other_layers():
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            layers.Bidirectional(dsd.Prunable(layers.LSTM(3, return_sequences=True))),
            layers.TimeDistributed(dsd.Prunable(layers.Dense(6))),
            layers.RNN(dsd.Prunable(layers.GRUCell(4)), return_sequences=True),
            dsd.Prunable(layers.GRU(4)),
            layers.Dense(4),
        ]
    )
    assert len(paths(model)) == 4 + 1 + 2 + 2
    model.compile("adam", "mse")
    plan = phases.dsd(epochs=3, sparsity=0.5)
    watch = helpers.Watch()
    x = np.random.default_rng(0).standard_normal((16, 5, 4)).astype("float32")
    model.fit(
        x,
        np.ones((16, 4)),
        epochs=3,
        batch_size=8,
        verbose=0,
        callbacks=[dsd.DSDCallback(plan, verbose=0), watch],
    )
    assert watch.moved == 0
    assert watch.batches == 6
    assert not conversion.prunable_layers(dsd.strip(model))


def test_what_a_user_made_prunable_keeps_its_options():
    model = keras.Sequential(
        [
            keras.Input((12,)),
            dsd.Prunable(layers.Dense(8), sparsity=0.75),
            layers.Dense(4),
        ]
    )
    model = dsd.make_prunable(model, sparsity=0.25)
    weights = conversion.pruned_weights(model)
    assert [weight.sparsity for weight in weights] == [0.75, 0.25]


@pytest.mark.parametrize("name", zoo.MODELS)
def test_every_shape_of_model_trains_in_phases(name):
    model, x = zoo.MODELS[name]()
    model = dsd.make_prunable(model)
    model.compile("adam", "mse")
    watch = helpers.Watch()
    plan = phases.dsd(epochs=3, sparsity=0.5)
    history = model.fit(
        x,
        np.zeros((len(x), 4)),
        epochs=3,
        batch_size=4,
        verbose=0,
        callbacks=[dsd.DSDCallback(plan, verbose=0), watch],
    )
    assert watch.batches
    assert watch.moved == watch.stale == 0
    assert history.history["sparsity"][1] == pytest.approx(0.5, abs=0.02)
    assert np.isfinite(history.history["loss"]).all()


def test_own_losses_count_once():
    """The loss of a block, and its gradient, are the same with masks that hold all."""
    found = []
    for wrapped in (False, True):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(2)
        model, x = zoo.custom_block()
        if wrapped:
            model = dsd.make_prunable(model)
            for state in conversion.states(model):
                state.enforce()
        model.compile("sgd", "mse")
        history = model.fit(x, np.zeros((len(x), 4)), epochs=3, verbose=0)
        found.append(history.history["loss"])
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_a_compiled_model_keeps_its_optimizer():
    x, y = helpers.data()
    model = helpers.mlp()
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    optimizer, before = model.optimizer, helpers.values(model.optimizer.variables)
    model = dsd.strip(dsd.make_prunable(model))
    assert model.optimizer is optimizer
    for old, new in zip(before, helpers.values(optimizer.variables), strict=True):
        np.testing.assert_array_equal(old, new)
    model.fit(x, y, verbose=0)


def test_a_report_counts_what_is_there():
    model = dsd.make_prunable(helpers.mlp())
    model.compile("sgd", "mse")
    x, y = helpers.data()
    callback = dsd.DSDCallback([phases.Sparse(1, sparsity=0.5)], verbose=0)
    model.fit(x, y, verbose=0, callbacks=[callback])
    report = dsd.sparsity_report(model)
    assert [row.shape for row in report.rows] == [(12, 16), (16, 4)]
    assert [row.achieved for row in report.rows] == [0.5, 0.5]
    assert (report.prunable, report.masked) == (256, 128)
    assert report.size == 256 + 20
    assert report.dense_bytes == 4 * report.size
    assert report.nonzero_bytes == 4 * (report.size - report.zeros)
    assert "128 of 256 prunable weights" in str(report)
    plain = dsd.sparsity_report(dsd.strip(model))
    assert plain.prunable == 0
    assert plain.zeros == report.zeros


class Mixture(keras.Model):
    """Owns a weight beside its layers, and can't be configured."""

    def __init__(self, function):
        super().__init__()
        self.inner = layers.Dense(3)
        self.function = function
        self.pi = self.add_weight(shape=(4, 3), name="pi")

    def call(self, x):
        return self.inner(x) + self.function(x) @ self.pi


class Halves(keras.Model):
    """Two built halves and no `call`, as the VAEs and GANs of Keras's examples."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
        self.decoder = keras.Sequential([keras.Input((3,)), layers.Dense(4)])


def test_a_weight_of_the_model_itself_is_told_of():
    model = Mixture(keras.ops.tanh)
    model(np.ones((2, 4), "float32"))
    why = "held by the model itself"
    with pytest.raises(ValueError, match=rf"only weights .*pi \({why}.*Received: inc"):
        dsd.make_prunable(model, include="pi")
    with pytest.raises(ValueError, match=rf"strict.*pi \({why}"):
        dsd.make_prunable(model, strict=True)
    report = dsd.sparsity_report(dsd.make_prunable(model))
    reasons = {row.path.split("/")[-1]: row.reason for row in report.rows}
    assert reasons["kernel"] is None
    assert reasons["pi"].startswith(why)


def test_halves_without_a_call_are_pruned_and_reported():
    model = dsd.make_prunable(Halves())
    report = dsd.sparsity_report(model)
    assert [row.shape for row in report.rows] == [(4, 3), (3, 4)]
    assert report.prunable == 24
    with pytest.raises(ValueError, match=r"no weights\. Received"):
        dsd.sparsity_report(keras.Sequential([layers.Dense(3)]))


def embeddings(*built):
    return keras.Sequential([*built, layers.Embedding(7, 3)])


def test_a_model_of_embeddings_is_told_to_include_them():
    expected = r"unless `include` .*embeddings \(embedding\). Received"
    with pytest.raises(ValueError, match=expected):
        dsd.make_prunable(embeddings(keras.Input((2,))))
    with pytest.raises(ValueError, match=r"unless `include` .*\(embedding\). Received"):
        dsd.make_prunable(embeddings())
    model = dsd.make_prunable(embeddings(keras.Input((2,))), include="embed")
    assert dsd.sparsity_report(model).prunable == 21


@pytest.mark.parametrize(
    "layer",
    [
        layers.DepthwiseConv2D(3),
        layers.DepthwiseConv1D(3),
        layers.SeparableConv2D(8, 3),
        layers.Conv2D(8, 3, groups=8),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_depthwise_kernels_stay_dense_unless_included(layer):
    shape = (9, 8) if "1D" in type(layer).__name__ else (9, 9, 8)

    def model():
        copy = type(layer).from_config(layer.get_config())
        return keras.Sequential(
            [keras.Input(shape), copy, layers.Flatten(), layers.Dense(2)]
        )

    rows = dsd.sparsity_report(dsd.make_prunable(model())).rows
    assert [row.reason for row in rows if row.reason] == ["depthwise convolution"]
    rows = dsd.sparsity_report(dsd.make_prunable(model(), include=".")).rows
    assert not [row for row in rows if row.reason]


def test_what_was_frozen_joins_in_when_made_prunable_again():
    base = layers.Dense(6, trainable=False)
    model = keras.Sequential([keras.Input((4,)), base, layers.Dense(2)])
    model = dsd.make_prunable(model)
    callback = dsd.DSDCallback([phases.Sparse(1, sparsity=0.5)], verbose=0)
    x, y = np.ones((4, 4)), np.ones((4, 2))
    model.compile("sgd", "mse")
    model.fit(x, y, callbacks=[callback], verbose=0)
    base.trainable = True
    rows = dsd.sparsity_report(model).rows
    assert rows[0].reason == sparsity.NOT_CHOSEN
    model = dsd.make_prunable(model)
    model.compile("sgd", "mse")
    model.fit(x, y, callbacks=[callback], verbose=0)
    rows = dsd.sparsity_report(model).rows
    assert [row.achieved for row in rows] == [0.5, 0.5]
    with pytest.raises(ValueError, match="prunable already"):
        dsd.make_prunable(model)


def test_a_second_call_finds_nothing_but_what_stays_dense():
    model = dsd.make_prunable(picture_model())
    with pytest.raises(ValueError, match="rest of the model stays dense"):
        dsd.make_prunable(model)
    dsd.make_prunable(model, include="first")
    assert [path.split("/")[1] for path in paths(model)] == ["first", "second", "head"]


def test_a_report_of_a_model_that_is_built_in_part():
    class Later(keras.Model):
        def __init__(self):
            super().__init__()
            self.head = layers.Dense(2)
            self.body = keras.Sequential([keras.Input((4,)), layers.Dense(3)])

        def call(self, x):
            return self.head(self.body(x))

    model = Later()
    with pytest.raises(ValueError, match=r"\['dense'\] are not built"):
        dsd.sparsity_report(model)
    model(np.ones((2, 4)))
    assert len(dsd.sparsity_report(model).rows) == 2
