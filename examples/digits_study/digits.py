"""A small network on scikit-learn's handwritten digits, for `study.toml`."""

import keras
from sklearn.datasets import load_digits


def build():
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    return model


def data():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    return (x[:400], y[:400]), (x[400:800], y[400:800]), (x[800:], y[800:])
