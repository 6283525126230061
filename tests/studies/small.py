"""A small study for tests: functions that a child process imports by name."""

import os

import keras
import numpy as np


def build():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    return model


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 6)).astype("float32")
    y = np.argmax(x[:, :3] + 0.5 * rng.normal(size=(150, 3)), axis=1)
    return (x[:80], y[:80]), (x[80:110], y[80:110]), (x[110:], y[110:])


class Die(keras.callbacks.Callback):
    """Ends the process at an epoch, as long as a file is there."""

    def on_epoch_begin(self, epoch, logs=None):
        flag = os.environ.get("DIE_FLAG")
        if epoch == 2 and flag and os.path.exists(flag):
            os.remove(flag)
            os._exit(9)


def dying():
    return [Die()]
