"""`Prunable` layers by hand and in every place where a layer can stand."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd import patterns
from keras_dsd.layers import conversion
from tests import helpers

PHASES = [
    dsd.phases.Dense(1),
    dsd.phases.Sparse(2, sparsity=0.5),
    dsd.phases.Redense(1),
    dsd.phases.Sparse(1, sparsity=0.25),
]


def train(model, x, y=None, phases=PHASES, optimizer="adam", **options):
    """Trains; returns what `helpers.Watch` saw, and the history."""
    watch = helpers.Watch()
    if y is None:
        y = np.zeros(model.predict(x, verbose=0).shape, "float32")
    model.compile(optimizer, "mse", **options)
    history = model.fit(
        x,
        y,
        epochs=sum(phase.epochs for phase in phases),
        batch_size=16,
        callbacks=[dsd.DSDCallback(phases, verbose=0), watch],
        verbose=0,
    )
    return watch, history.history


def sequences(*shape):
    return np.random.default_rng(0).standard_normal((32, *shape)).astype("float32")


def paths(model):
    return [weight.path for weight in conversion.pruned_weights(model)]


CELLS = {
    "bidirectional": lambda: layers.Bidirectional(dsd.Prunable(layers.GRU(5))),
    "rnn cell": lambda: layers.RNN(dsd.Prunable(layers.LSTMCell(5))),
    "one of stacked cells": lambda: layers.RNN(
        [layers.LSTMCell(5), dsd.Prunable(layers.GRUCell(4))]
    ),
    "conv lstm": lambda: keras.Sequential(
        [
            layers.Reshape((6, 4, 1)),
            dsd.Prunable(layers.ConvLSTM1D(3, 2)),
            layers.Flatten(),
        ]
    ),
    "time distributed": lambda: keras.Sequential(
        [layers.TimeDistributed(dsd.Prunable(layers.Dense(5))), layers.Flatten()]
    ),
    "attention": lambda: keras.Sequential(
        [dsd.Prunable(layers.EinsumDense("btf,fg->btg", (6, 5))), layers.Flatten()]
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_by_hand_within_other_layers(name, tmp_path):
    """Trains sparse, saves, loads wrapped, strips to the plain class."""
    model = keras.Sequential([keras.Input((6, 4)), CELLS[name](), layers.Dense(3)])
    x = sequences(6, 4)
    wrapped = paths(model)
    assert wrapped and not any(path.startswith("dense") for path in wrapped)
    watch, history = train(model, x, run_eagerly=True)
    sizes = [weight.size for weight in conversion.pruned_weights(model)]
    exact = [sum(int(s * size) for size in sizes) / sum(sizes) for s in (0.5, 0.25)]
    assert history["sparsity"] == [0.0, exact[0], exact[0], 0.0, exact[1]]
    assert (watch.moved, watch.stale) == (0, 0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(
        helpers.masks_of(loaded), helpers.masks_of(model), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    plain = [type(layer).__mro__[2] for layer in conversion.prunable_layers(model)]
    found = conversion.prunable_layers(model)
    dsd.strip(model)
    assert [type(layer) for layer in found] == plain


def test_in_a_subclassed_model():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = dsd.Prunable(layers.Dense(10), sparsity=0.75)
            self.norm = layers.BatchNormalization()
            self.head = layers.Dense(4)

        def call(self, x, training=False):
            return self.head(self.norm(self.hidden(x), training=training))

    model = Net()
    x, y = helpers.data()
    model(x)
    watch, history = train(model, x, y)
    # 0.75 is the layer's own, in every sparse phase.
    assert history["sparsity"] == [0.0, 0.75, 0.75, 0.0, 0.75]
    assert (watch.moved, watch.stale) == (0, 0)
    assert dsd.strip(model) is model
    assert type(model.hidden) is layers.Dense


def test_built_or_not_it_is_the_same():
    results = []
    for when in ("before", "after"):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(7)
        layer = layers.Dense(6, name="layer")
        if when == "before":
            dsd.Prunable(layer)
        layer.build((None, 4))
        if when == "after":
            dsd.Prunable(layer)
        results.append([(v.path, tuple(v.shape)) for v in layer.weights])
        assert not conversion.states(layer)[0].in_force
        assert all(mask.all() for mask in helpers.masks_of(layer))
    assert results[0] == results[1]


def test_config_round_trip():
    layer = dsd.Prunable(layers.Dense(4), sparsity=0.25, pattern="2x2")
    layer.build((None, 8))
    again = type(layer).from_config(layer.get_config())
    assert isinstance(again, dsd.Prunable) and isinstance(again, layers.Dense)
    again.build((None, 8))
    assert again.get_config() == layer.get_config()
    (weight,) = conversion.pruned_weights(again)
    assert weight.sparsity == 0.25
    assert weight.pattern == patterns.Block((2, 2))


def test_serialized_as_keras_does():
    layer = dsd.Prunable(layers.LSTM(4), sparsity=0.25)
    stored = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(stored)
    assert isinstance(again, dsd.Prunable) and isinstance(again, layers.LSTM)


@pytest.mark.parametrize("how", ["clone", "copy", "pickle"])
def test_copies_have_weights_and_masks_of_their_own(how):
    x, y = helpers.data()
    model = dsd.make_prunable(helpers.mlp())
    train(model, x, y, run_eagerly=True)
    masks = helpers.masks_of(model)
    other = {
        "clone": keras.models.clone_model,
        "copy": copy.deepcopy,
        "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    }[how](model)
    pruned = conversion.pruned_weights(other)
    assert len(pruned) == 2
    for weight, layer in zip(pruned, other.layers, strict=True):
        assert weight.variable is layer.kernel
    watch, _ = train(other, x, y, run_eagerly=True)
    assert (watch.moved, watch.stale) == (0, 0)
    for mine, before in zip(helpers.masks_of(model), masks, strict=True):
        np.testing.assert_array_equal(mine, before)
    dsd.strip(other)
    assert len(conversion.prunable_layers(model)) == 2


def test_a_shared_layer_counts_once():
    shared = layers.Dense(8, name="shared")
    inputs = keras.Input((8,))
    model = keras.Model(inputs, shared(shared(shared(inputs))))
    dsd.make_prunable(model)
    x, y = helpers.data(8, 8)
    watch, history = train(model, x, y)
    assert paths(model) == ["shared/kernel"]
    assert history["sparsity"] == [0.0, 0.5, 0.5, 0.0, 0.25]
    assert (watch.moved, watch.stale) == (0, 0)


class Tied(layers.Layer):
    """Reads another layer's kernel, transposed: the decoder of an autoencoder."""

    def __init__(self, other, **kwargs):
        super().__init__(**kwargs)
        self.other = other

    def build(self, shape):
        self.kernel = self.other.kernel

    def call(self, x):
        return keras.ops.matmul(x, keras.ops.transpose(self.kernel))


def test_a_tied_weight_is_masked_once():
    """One variable in two layers: one mask, counted once, no gradient where pruned."""
    encoder = layers.Dense(8, name="encoder")
    inputs = keras.Input((12,))
    outputs = Tied(encoder, name="decoder")(encoder(inputs))
    model = keras.Model(inputs, outputs)
    dsd.make_prunable(model)
    assert paths(model) == ["encoder/kernel"]
    x, _ = helpers.data()
    watch, history = train(model, x, x)
    assert history["sparsity"] == [0.0, 0.5, 0.5, 0.0, 0.25]
    # Stale slots would mean that a gradient came through the other layer.
    assert (watch.moved, watch.stale) == (0, 0)
    dsd.strip(model)
    assert type(model.layers[-1]) is Tied


def test_a_layer_frozen_later_is_left_alone():
    """What `trainable = False` says holds: nothing in `fit` changes that weight."""
    model = dsd.make_prunable(helpers.mlp())
    model.layers[0].trainable = False
    before = helpers.values([model.layers[0].kernel])[0]
    x, y = helpers.data()
    plan = [
        dsd.phases.Sparse(1, sparsity=0.5),
        dsd.phases.Redense(1, restore="random"),
        dsd.phases.Sparse(1, sparsity=0.5),
    ]
    watch, _ = train(model, x, y, plan)
    after = helpers.values([model.layers[0].kernel])[0]
    np.testing.assert_array_equal(after, before)
    assert np.count_nonzero(helpers.values([model.layers[1].kernel])[0] == 0) == 32
    assert (watch.moved, watch.stale) == (0, 0)


def test_thawed_in_the_middle():
    """Frozen in the dense phase, trained and pruned in the sparse one."""
    model = dsd.make_prunable(helpers.mlp())
    x, y = helpers.data()
    model.layers[0].trainable = False
    train(model, x, y, [dsd.phases.Dense(1)])
    model.layers[0].trainable = True
    watch, history = train(model, x, y)
    assert history["sparsity"] == [0.0, 0.5, 0.5, 0.0, 0.25]
    assert (watch.moved, watch.stale) == (0, 0)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_low_precision(policy):
    """float16 compute makes `compile` put the optimizer into a LossScaleOptimizer."""
    keras.config.set_dtype_policy(policy)
    model = dsd.make_prunable(helpers.mlp())
    x, y = helpers.data()
    watch, history = train(model, x, y)
    assert history["sparsity"] == [0.0, 0.5, 0.5, 0.0, 0.25]
    assert (watch.moved, watch.stale) == (0, 0)
    dtypes = {str(w.variable.dtype) for w in conversion.pruned_weights(model)}
    assert dtypes == {"bfloat16" if policy == "bfloat16" else "float32"}
    assert isinstance(
        model.optimizer, keras.optimizers.LossScaleOptimizer
    ) == policy.endswith("16") & ("bfloat" not in policy)


@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.99])
def test_tensors_of_size_one(sparsity):
    """floor(0.99 * 1) is 0: the only weight of a tensor is never pruned."""
    model = keras.Sequential(
        [keras.Input((1,)), layers.Dense(1), layers.Dense(1), layers.Dense(3)]
    )
    dsd.make_prunable(model)
    x, y = helpers.data(1, 3)
    train(model, x, y, [dsd.phases.Sparse(2, sparsity=sparsity)])
    zeros = [int(np.count_nonzero(~mask)) for mask in helpers.masks_of(model)]
    assert zeros == [0, 0, int(sparsity * 3)]


@pytest.mark.parametrize("size", [2, 100, 101])
def test_almost_everything_pruned(size):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(size)])
    dsd.make_prunable(model)
    x, y = helpers.data(1, size)
    watch, _ = train(model, x, y, [dsd.phases.Sparse(2, sparsity=0.99)])
    (mask,) = helpers.masks_of(model)
    assert np.count_nonzero(~mask) == 99 * size // 100
    assert watch.moved == 0


def test_a_layer_that_asks_for_its_own_gradients():
    """A weight read outside of `call`: the trap keeps its zeros all the same."""

    class Penalised(layers.Dense):
        def call(self, inputs):
            self.add_loss(0.1 * keras.ops.sum(keras.ops.abs(self.kernel)))
            return super().call(inputs)

    model = keras.Sequential([keras.Input((12,)), Penalised(8), layers.Dense(4)])
    dsd.make_prunable(model)
    x, y = helpers.data()
    watch, _ = train(model, x, y)
    assert (watch.moved, watch.stale) == (0, 0)


def test_lora_after_wrapping():
    """The frozen base keeps its zeros, its low-rank update is not masked."""
    model = dsd.make_prunable(helpers.mlp())
    x, y = helpers.data()
    train(model, x, y, [dsd.phases.Sparse(1, sparsity=0.5)])
    mask = helpers.masks_of(model)[0]
    model.layers[0].enable_lora(2)
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    base = helpers.values([model.layers[0]._kernel])[0]
    assert not base[~mask].any()
