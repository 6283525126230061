"""Small models of every shape that users build, for tests of wrapping and training.

Each entry is a function that returns a built model and one batch of input; all names,
paths and weights are the same in every call.
"""

import keras
import numpy as np
from keras import layers, ops


def _data(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype("float32")


def sequential():
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(16, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(4),
        ]
    )
    return model, _data(8, 12)


def functional():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    y = layers.Conv2D(6, 3, padding="same")(x)
    x = layers.Add()([x, y])
    x = layers.SeparableConv2D(8, 3)(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4)(x)), _data(4, 8, 8, 3)


def nested():
    inner = keras.Sequential(
        [keras.Input((10,)), layers.Dense(10, name="deep")], name="inner"
    )
    inputs = keras.Input((10,))
    shared = layers.Dense(10, name="shared")
    x = shared(inner(shared(inputs)))
    return keras.Model(inputs, layers.Dense(4)(x)), _data(8, 10)


def recurrent():
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(20, 8, mask_zero=True),
            layers.Bidirectional(layers.LSTM(6, return_sequences=True)),
            layers.TimeDistributed(layers.Dense(6)),
            layers.GRU(5, dropout=0.1),
            layers.Dense(4),
        ]
    )
    return model, np.random.default_rng(3).integers(0, 20, (6, 7)).astype("int32")


def attention():
    inputs = keras.Input((6, 8))
    x = layers.MultiHeadAttention(2, 4)(inputs, inputs, use_causal_mask=True)
    x = layers.LayerNormalization()(x + inputs)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(4)(x)), _data(5, 6, 8)


@keras.saving.register_keras_serializable(package="zoo")
class Block(layers.Layer):
    """A block with sublayers and a loss of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.one = layers.Dense(units, activation="relu")
        self.two = layers.Dense(units)

    def build(self, shape):
        self.one.build(shape)
        self.two.build((*shape[:-1], self.units))

    def call(self, x):
        x = self.two(self.one(x))
        self.add_loss(1e-3 * ops.mean(ops.square(x)))
        return x

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="zoo")
class Subclassed(keras.Model):
    """A subclassed model with a block and a list of layers."""

    def __init__(self, units=10, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.block = Block(units)
        self.heads = [layers.Dense(units), layers.Dense(4)]

    def call(self, x, training=False):
        x = self.block(x)
        for head in self.heads:
            x = head(x)
        return x

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def subclassed():
    model, x = Subclassed(), _data(8, 10)
    model(x)
    return model, x


def custom_block():
    model = keras.Sequential([keras.Input((9,)), Block(9), layers.Dense(4)])
    return model, _data(8, 9)


def mixed_precision():
    inputs = keras.Input((12,))
    x = layers.Dense(16, activation="relu", dtype="mixed_bfloat16")(inputs)
    return keras.Model(inputs, layers.Dense(4)(x)), _data(8, 12)


MODELS = {
    function.__name__: function
    for function in (
        sequential,
        functional,
        nested,
        recurrent,
        attention,
        subclassed,
        custom_block,
        mixed_precision,
    )
}
