"""What a whole training costs: `python -m tests.benchmarks.whole_run`.

A CNN trained for the same epochs by plain Keras, by plain Keras again (the control) and
with DSD (dense, sparse, re-dense, a third each): the time of all epochs, traces and
mask updates included. An epoch each in turns, models new in every round.
"""

import argparse
import json
import statistics

import keras
import numpy as np

import keras_dsd
from keras_dsd import phases
from tests.benchmarks import turns
from tests.benchmarks.mask_update import machine
from tests.benchmarks.models import build


def training(with_dsd, epochs, batches):
    """Returns a model in training."""
    keras.utils.set_random_seed(0)
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
    return turns.Training(model, x, y, batch, callbacks, epochs, whole=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batches", type=int, default=200, help="in an epoch")
    options = parser.parse_args()

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    size = options.epochs, options.batches
    # Whoever traces first waits for what TensorFlow sets up once.
    with turns.stopping([training(True, *size)]) as (first,):
        first()
    seconds: dict = {"plain": [], "control": [], "DSD": []}
    for _ in range(options.rounds):
        with turns.stopping([training(k == "DSD", *size) for k in seconds]) as started:
            kinds = dict(zip(seconds, started, strict=True))
            measured = turns.measure(kinds, options.epochs, warm_up=0)
        for kind, found in measured.items():
            seconds[kind].append(sum(found))
    print(f"plain   {statistics.median(seconds['plain']):.1f} s")
    ratios = {}
    for kind in ("control", "DSD"):
        pairs = zip(seconds[kind], seconds["plain"], strict=True)
        ratios[kind] = found = [one / other for one, other in pairs]
        spread = f"({min(found):.3f} to {max(found):.3f})"
        print(f"{kind:7} {statistics.median(found):.3f}  {spread}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, **seconds, "ratios": ratios}, file, indent=1)


if __name__ == "__main__":
    main()
