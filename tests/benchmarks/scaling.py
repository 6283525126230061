"""What depth costs: `python -m tests.benchmarks.scaling`.

Models of 10 to 500 small dense layers: the seconds it takes to build, wrap and strip
them, and the first step of training, which traces, plain and in each kind of phase. All
kinds in turns, models new each time.
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
    model = keras.Sequential([keras.Input((SIDE,))])
    for _ in range(depth):
        model.add(keras.layers.Dense(SIDE, activation="relu"))
    return model


def measure(kind, depth):
    """Returns {what: seconds} of one model."""
    keras.backend.clear_session()
    found = {}
    found["build"], model = timed(build, depth)
    callbacks = []
    if kind != "plain":
        phase, settings, track = KINDS[kind]
        found["wrap"], _ = timed(keras_dsd.make_prunable, model, track_gradients=track)
        plan = [phase(1, **settings)]
        callbacks.append(keras_dsd.DSDCallback(plan, verbose=0))
    model.compile("adam", "mse")
    x = np.zeros((8, SIDE), "float32")
    found["first step"], _ = timed(
        model.fit, x, x, batch_size=8, callbacks=callbacks, verbose=0
    )
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
        ratio = seconds["first step"] / plain
        print(f"{depth:4} layers, {kind:8} {cells}  first step x {ratio:.2f}")
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
