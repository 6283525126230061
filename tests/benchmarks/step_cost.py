"""What a training step costs: `python -m tests.benchmarks.step_cost`.

For each model and optimizer: plain Keras; wrapped, in a dense phase; in a sparse one;
in a sparse one with gradients tracked. All are measured in turns in one run, for
timings of a shared machine drift; read the ratios. A round is a `fit` of some epochs,
of which the first, which traces, does not count.
"""

import argparse
import json
import math
import statistics
import time

import keras
import numpy as np
from keras import layers

import keras_dsd
from keras_dsd import phases
from tests.benchmarks.mask_update import machine

BATCHES = 20  # in an epoch
EPOCHS = 4  # in a round
PHASES = {
    "dense": (phases.Dense, {}, False),
    "sparse": (phases.Sparse, {"sparsity": 0.5}, False),
    "tracked": (phases.Sparse, {"sparsity": 0.5, "regrowth": "static"}, True),
}


def mlp():
    sides = [layers.Dense(side, activation="relu") for side in (2048, 2048)]
    return keras.Sequential([keras.Input((1024,)), *sides, layers.Dense(10)]), 32


def cnn():
    model = keras.Sequential([keras.Input((32, 32, 3))])
    for channels in (32, 64, 128, 256):
        model.add(layers.Conv2D(channels, 3, padding="same", activation="relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(10))
    return model, 64


def lstm():
    inputs = keras.Input((32, 64))
    return keras.Model(inputs, layers.Dense(10)(layers.LSTM(256)(inputs))), 32


def transformer():
    inputs = keras.Input((64, 256))
    x = layers.Add()([inputs, layers.MultiHeadAttention(4, 64)(inputs, inputs)])
    x = layers.LayerNormalization()(x)
    y = layers.Dense(256)(layers.Dense(1024, activation="gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(10)(x[:, 0])), 32


MODELS = {function.__name__: function for function in (mlp, cnn, lstm, transformer)}
OPTIMIZERS = {
    "SGD-momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(),
}


class Case:
    """A model in training, one epoch at a time."""

    def __init__(self, build, optimizer, kind, jit_compile):
        self._model, batch = build()
        if kind != "plain":
            _, _, track = PHASES[kind]
            keras_dsd.make_prunable(self._model, track_gradients=track)
        self._model.compile(optimizer(), "mse", jit_compile=jit_compile)
        rng = np.random.default_rng(0)
        shape = (batch * BATCHES, *self._model.input_shape[1:])
        self._data = (
            rng.standard_normal(shape, dtype="float32"),
            rng.standard_normal((batch * BATCHES, 10), dtype="float32"),
        )
        self._batch, self._kind = batch, kind
        self._timer = _Timer()

    def train(self):
        """Returns the seconds of an epoch, the median of a round."""
        callbacks: list = [self._timer]
        if self._kind != "plain":
            phase, options, _ = PHASES[self._kind]
            plan = [phase(EPOCHS, **options)]
            callbacks.append(keras_dsd.DSDCallback(plan, verbose=0))
        self._timer.seconds.clear()
        self._model.fit(
            *self._data,
            batch_size=self._batch,
            epochs=EPOCHS,
            callbacks=callbacks,
            verbose=0,
        )
        return statistics.median(self._timer.seconds[1:])


class _Timer(keras.callbacks.Callback):
    """Times the steps of an epoch, from before the first until their metrics are there.

    Listed first, so that no other callback's work at the ends of an epoch counts.
    """

    def __init__(self):
        super().__init__()
        self.seconds: list = []

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self._start)


def compare(name, optimizer, rounds, jit_compile):
    """Measures one model with one optimizer; prints and returns ratios to plain."""
    kinds = ("plain", *PHASES)
    cases = {
        kind: Case(MODELS[name], OPTIMIZERS[optimizer], kind, jit_compile)
        for kind in kinds
    }
    seconds: dict = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            seconds[kind].append(cases[kind].train())
    plain = statistics.median(seconds["plain"]) / BATCHES
    ratios = {
        kind: statistics.median(
            one / other
            for one, other in zip(seconds[kind], seconds["plain"], strict=True)
        )
        for kind in PHASES
    }
    print(
        f"{name:12} {optimizer:13} {plain * 1e3:7.1f} ms"
        + "".join(f"  {kind} {ratio:5.2f}" for kind, ratio in ratios.items()),
        flush=True,
    )
    return {"plain_ms": plain * 1e3, **ratios}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--jit", choices=("auto", "yes", "no"), default="auto")
    options = parser.parse_args()

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"jit_compile {options.jit}; a step of plain Keras, and ratios to it")
    jit_compile = {"auto": "auto", "yes": True, "no": False}[options.jit]
    results = {
        f"{name} {optimizer}": compare(name, optimizer, options.rounds, jit_compile)
        for name in options.models
        for optimizer in OPTIMIZERS
    }
    for kind in PHASES:
        logs = [math.log(result[kind]) for result in results.values()]
        print(f"{kind}: geometric mean {math.exp(statistics.mean(logs)):.3f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, **results}, file, indent=1)


if __name__ == "__main__":
    main()
