"""A small study for tests: functions that a child process imports by name."""

import os
import pathlib
import signal
import threading

import keras
import numpy as np


def build():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.GaussianNoise(0.1),  # an augmentation
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
    """At an epoch, as long as a file is there, kills whom it names."""

    def on_epoch_begin(self, epoch, logs=None):
        flag = pathlib.Path(os.environ.get("DIE_FLAG", "/none"))
        if epoch < 2 or not flag.exists():
            return
        whom = flag.read_text()
        flag.unlink()
        if whom == "child":
            os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait()  # ends with the parent, or never


def dying():
    return [Die()]


def study(directory, executor=None):
    """The study in which processes die; what a killed parent ran."""
    from keras_dsd import studies

    return studies.compare(
        "tests.studies.small:build",
        "tests.studies.small:data",
        methods=["dsd-0.5"],
        epochs=3,
        seeds=[0],
        directory=directory,
        fit={"batch_size": 16, "callbacks": "tests.studies.small:dying"},
        threads=1,
        executor=executor,
        verbose=0,
    )
