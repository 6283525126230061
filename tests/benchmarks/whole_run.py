"""What a whole training costs: `python -m tests.benchmarks.whole_run`.

A CNN trained for the same epochs by plain Keras and with DSD (dense, sparse, re-dense,
a third each): wall time of `fit` with all that is in it, traces and mask updates too.
Both in turns, models new each time.
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
from tests.benchmarks.models import build


def train(with_dsd, epochs, batches):
    """Returns the seconds that `fit` takes."""
    model, batch = build(keras, "cnn")
    callbacks = []
    if with_dsd:
        keras_dsd.make_prunable(model)
        plan = phases.dsd(epochs=epochs, sparsity=0.3)
        callbacks.append(keras_dsd.DSDCallback(plan, verbose=0))
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch * batches, 32, 32, 3), dtype="float32")
    y = rng.standard_normal((batch * batches, 10), dtype="float32")
    start = time.perf_counter()
    model.fit(x, y, batch_size=batch, epochs=epochs, callbacks=callbacks, verbose=0)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batches", type=int, default=200, help="in an epoch")
    options = parser.parse_args()

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    seconds: dict = {"plain": [], "DSD": []}
    for _ in range(options.rounds):
        for kind, found in seconds.items():
            keras.utils.set_random_seed(0)
            found.append(train(kind == "DSD", options.epochs, options.batches))
    ratios = [
        one / other for one, other in zip(seconds["DSD"], seconds["plain"], strict=True)
    ]
    for kind, found in seconds.items():
        print(f"{kind:6} {statistics.median(found):6.1f} s  {_spread(found)}")
    print(f"DSD / plain {statistics.median(ratios):.3f}  {_spread(ratios)}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, **seconds, "ratios": ratios}, file, indent=1)


def _spread(numbers):
    return f"({min(numbers):.3g} to {max(numbers):.3g})"


if __name__ == "__main__":
    main()
