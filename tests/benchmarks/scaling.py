"""What depth costs: `python -m tests.benchmarks.scaling`.

Models of 10 to 500 small dense layers: the seconds it takes to build, wrap and strip
them, for the first update of the masks, which compiles, and for the first step of
training, which traces, plain and in each kind of phase. All kinds in turns, models new
each time. The ratio is of wrapping and the first step to the first step of plain Keras.
"""

import argparse
import json
import statistics
import time

import keras
import numpy as np

import keras_dsd
from keras_dsd import phases
from tests.benchmarks.mask_update import machine

KINDS = {
    "plain": None,
    "dense": (phases.Dense, {}, False),
    "sparse": (phases.Sparse, {"sparsity": 0.5}, False),
    "tracked": (phases.Sparse, {"sparsity": 0.5, "regrowth": "static"}, True),
}
SIDE = 32


def timed(function, *args, **kwargs):
    start = time.perf_counter()
    result = function(*args, **kwargs)
    return time.perf_counter() - start, result


def build(depth):
    layers = [keras.layers.Dense(SIDE, activation="relu") for _ in range(depth)]
    return keras.Sequential([keras.Input((SIDE,)), *layers])


class _Clock(keras.callbacks.Callback):
    """Listed first: masks are chosen between the beginnings of epoch and step."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_begins = time.perf_counter()

    def on_train_batch_begin(self, batch, logs=None):
        self.step_begins = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch_ends = time.perf_counter()


def measure(kind, depth):
    """Returns {what: seconds} of one model."""
    keras.backend.clear_session()
    found = {}
    found["build"], model = timed(build, depth)
    clock = _Clock()
    callbacks: list = [clock]
    found["wrap"] = 0.0
    if kind != "plain":
        phase, settings, track = KINDS[kind]
        found["wrap"], _ = timed(keras_dsd.make_prunable, model, track_gradients=track)
        plan = [phase(1, **settings)]
        callbacks.append(keras_dsd.DSDCallback(plan, verbose=0))
    model.compile("adam", "mse")
    # Plain Keras does so within its first step, on TensorFlow in the graph, and takes
    # longer than `DSDCallback`: no merit of the masks.
    model.optimizer.build(model.trainable_variables)
    x = np.zeros((8, SIDE), "float32")
    model.fit(x, x, batch_size=8, callbacks=callbacks, verbose=0)
    found["first masks"] = clock.step_begins - clock.epoch_begins
    found["first step"] = clock.epoch_ends - clock.step_begins
    if kind != "plain":
        found["strip"], _ = timed(keras_dsd.strip, model)
    return found


def compare(depth, rounds):
    """Prints and returns the medians of all kinds at one depth."""
    measured: dict = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, found in measured.items():
            found.append(measure(kind, depth))
    result = {
        kind: {what: statistics.median(one[what] for one in found) for what in found[0]}
        for kind, found in measured.items()
    }
    plain = result["plain"]["first step"]
    for kind, seconds in result.items():
        cells = "  ".join(f"{what} {value:7.3f} s" for what, value in seconds.items())
        ratio = (seconds["wrap"] + seconds["first step"]) / plain
        print(f"{depth:4} layers, {kind:8} {cells}  x {ratio:.2f}", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--depths", type=int, nargs="*", default=[10, 50, 200, 500])
    options = parser.parse_args()

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    measure("tracked", 2)  # imports, and programs that do not depend on the depth
    results = {str(depth): compare(depth, options.rounds) for depth in options.depths}
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, **results}, file, indent=1)


if __name__ == "__main__":
    main()
