"""What a layer does besides its outputs goes on behind the masks: states and draws."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers
from tests.coverage.cases import floats


@keras.saving.register_keras_serializable("coverage")
class Busy(layers.Layer):
    """A block with draws, averages, a counter and a loss of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(6, activity_regularizer="l2")
        self.norm = layers.BatchNormalization(momentum=0.5)
        self.dropout = layers.Dropout(0.5)

    def build(self, shape):
        self.calls = self.add_weight((), "zeros", trainable=False, name="calls")
        self.dense.build(shape)
        self.norm.build((*shape[:-1], 6))

    def call(self, x, training=False):
        if training:
            self.calls.assign_add(1.0)
        x = self.norm(self.dense(x), training=training)
        self.add_loss(1e-2 * ops.mean(ops.square(x)))
        return self.dropout(x, training=training)


def block():
    return keras.Sequential([keras.Input((5,)), Busy(), Busy()]), floats(8, 5)


@keras.saving.register_keras_serializable("coverage")
class Backbone(keras.Model):
    """Functional, with a config of its own: wrapped as a whole, as KerasHub's are."""

    def __init__(self, size=5, **kwargs):
        inputs = keras.Input((size,))
        super().__init__(inputs, Busy()(inputs), **kwargs)
        self.size = size

    def get_config(self):
        return {"size": self.size, "name": self.name}


def backbone():
    return Backbone(), floats(8, 5)


def recurrent_dropout():
    inputs = keras.Input((4, 5))
    cell = layers.GRUCell(4, dropout=0.3, recurrent_dropout=0.3)
    x = layers.RNN(cell)(inputs)
    return keras.Model(inputs, layers.GaussianNoise(0.1)(x)), floats(8, 4, 5)


def attention_dropout():
    inputs = keras.Input((4, 6))
    x = layers.MultiHeadAttention(2, 3, dropout=0.4)(inputs, inputs)
    return keras.Model(inputs, x), floats(8, 4, 6)


def stateful():
    inputs = keras.Input(batch_shape=(8, 4, 5))
    return keras.Model(inputs, layers.LSTM(4, stateful=True)(inputs)), floats(8, 4, 5)


def spectral_norm():
    inputs = keras.Input((5,))
    x = layers.SpectralNormalization(layers.Dense(6))(inputs)
    return keras.Model(inputs, layers.Dense(3)(x)), floats(8, 5)


MODELS = {
    function.__name__: function
    for function in (
        block,
        backbone,
        recurrent_dropout,
        attention_dropout,
        stateful,
        spectral_norm,
    )
}


def state(model):
    """Returns the values that calls change: averages, counters, states, seeds."""
    ours = {id(v) for state in conversion.states(model) for v in state.variables}
    found = [v for v in model.non_trainable_variables if id(v) not in ours]
    for layer in model.layers:  # Keras does not track these
        found += keras.tree.flatten(getattr(layer, "states", None) or [])
    return helpers.values(found)


def run(make, wrapped):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    model, x = make()
    if wrapped:
        dsd.make_prunable(model)
    seen = [helpers.values([model(x, training=True)]), state(model)]
    if wrapped:
        for one in conversion.states(model):
            one.enforce()  # masks that hold every weight
    seen += [helpers.values([model(x, training=True)]), state(model)]
    model.compile("sgd", "mse")
    y = np.ones(model(x).shape, "float32")
    losses = [float(model.train_on_batch(x, y)) for _ in range(3)]
    return seen, losses, state(model)


@pytest.mark.parametrize("name", MODELS)
def test_states_draws_and_losses_are_the_plain_ones(name):
    if name == "stateful" and keras.backend.backend() == "torch":
        pytest.skip("Keras can't train stateful layers on PyTorch")
    expected, losses, end = run(MODELS[name], wrapped=False)
    seen, found, ended = run(MODELS[name], wrapped=True)
    for these, those in zip(seen, expected, strict=True):
        for one, other in zip(these, those, strict=True):
            np.testing.assert_array_equal(one, other)
    assert (expected[0][0] != expected[2][0]).any()  # something did go on
    # Another step is compiled, so sums may be rounded otherwise.
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    for one, other in zip(ended, end, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_stateful_layers_forget_when_told():
    model, x = stateful()
    dsd.make_prunable(model)
    first = helpers.values([model(x)])
    assert (helpers.values([model(x)])[0] != first[0]).any()
    for layer in model.layers[1:]:
        layer.reset_state()
    np.testing.assert_array_equal(helpers.values([model(x)])[0], first[0])
