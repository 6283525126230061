"""What short trainings of a small model cost: `python -m tests.benchmarks.small_runs`.

Cross-validation and tuning train many small models, one after another in a process or
each in a process of its own, and pay for compiling more than for training. A perceptron
of 50 thousand weights, 30 epochs of 16 steps: plain Keras, DSD and RigL, each in a
fresh process that fits three times, models new each time. Methods take turns over the
rounds. "Fresh" is the first fit, "later" the third; what a method adds is the
difference to plain Keras in the same round. Beside it stands how often functions were
traced (TensorFlow) or programs compiled (JAX), which no busy machine blurs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

METHODS = ("plain", "dsd", "rigl")
EPOCHS, STEPS, BATCH = 30, 16, 32
FITS = 3


def train(method):
    """Fits three times; prints one line of JSON: seconds and traces of each."""
    import keras
    import numpy as np

    import keras_dsd
    from keras_dsd import phases

    rng = np.random.default_rng(0)
    x = rng.standard_normal((STEPS * BATCH, 64)).astype("float32")
    y = rng.integers(0, 10, STEPS * BATCH)
    traces = _Traces(keras.backend.backend())
    seconds, counts = [], []
    for fit in range(FITS):
        keras.utils.set_random_seed(fit)
        before, start = traces.count(), time.perf_counter()
        layers = [keras.layers.Dense(units, "relu") for units in (180, 180)]
        model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])
        callbacks = []
        if method != "plain":
            keras_dsd.make_prunable(model, track_gradients=method == "rigl")
            plan = (
                phases.dsd(epochs=EPOCHS, sparsity=0.5)
                if method == "dsd"
                else phases.dst(
                    epochs=EPOCHS, sparsity=0.5, method="rigl", update_every=20
                )
            )
            callbacks.append(keras_dsd.DSDCallback(plan, verbose=0))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss)
        model.fit(x, y, BATCH, EPOCHS, callbacks=callbacks, verbose=0)
        seconds.append(time.perf_counter() - start)
        counts.append(traces.count() - before)
    print(json.dumps({"seconds": seconds, "traces": counts}))


class _Traces:
    """Counts what a backend compiles (JAX) or traces (TensorFlow); PyTorch: nothing."""

    def __init__(self, backend):
        self._seen = 0
        if backend == "jax":
            from jax import monitoring

            def told(event, *args, **kwargs):
                self._seen += event == "/jax/core/compile/backend_compile_duration"

            monitoring.register_event_duration_secs_listener(told)
        elif backend == "tensorflow":
            import tensorflow as tf

            made = tf.Graph.__init__

            def counted(graph, *args, **kwargs):
                # Not the branches of a function, which are graphs of their own kinds.
                self._seen += type(graph).__name__ == "FuncGraph"
                made(graph, *args, **kwargs)

            tf.Graph.__init__ = counted

    def count(self):
        return self._seen


def measured(method):
    """Returns what `train` printed, from a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.small_runs", "--train", method]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--train", choices=METHODS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train)
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(f"backend {os.environ.get('KERAS_BACKEND', 'tensorflow')}")
    runs: dict = {method: [] for method in METHODS}
    for _ in range(options.rounds):
        for method in METHODS:
            runs[method].append(measured(method))
    for method, found in runs.items():
        cells = [f"{method:6}"]
        for title, fit in (("fresh", 0), ("later", FITS - 1)):
            own = [run["seconds"][fit] for run in found]
            pairs = zip(found, runs["plain"], strict=True)
            added = [a["seconds"][fit] - b["seconds"][fit] for a, b in pairs]
            cells.append(
                f"{title} {statistics.median(own):5.2f} s, "
                f"added {statistics.median(added):+5.2f} s "
                f"({min(added):+.2f} to {max(added):+.2f}), "
                f"traced {found[0]['traces'][fit]}"
            )
        print("   ".join(cells))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(runs, file, indent=1)


if __name__ == "__main__":
    main()
