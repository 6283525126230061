"""What zeros gain in an exported file: size and time in LiteRT, by pattern.

`python -m tests.benchmarks.export`, a minute. Two dense layers, on one thread, against
the same model without zeros: ratios within one run, for times alone depend on the
machine. Needs the extra `litert` and the TensorFlow backend.
"""

import argparse
import pathlib
import tempfile
import time

import keras
import numpy as np
import rich.console
import rich.table
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import keras_dsd as dsd

ROUNDS = 15
CALLS = 20


def sparse_model(units, sparsity, pattern):
    """Returns a model in a sparse phase, or a dense one where `sparsity` is 0."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((units,)), layers.Dense(units, "relu"), layers.Dense(units)]
    )
    if sparsity:
        dsd.make_prunable(model)
        model.compile(keras.optimizers.SGD(1e-6), "mse")
        phases = [dsd.phases.Sparse(1, sparsity=sparsity, pattern=pattern)]
        x = np.zeros((8, units), "float32")
        callback = dsd.DSDCallback(phases, verbose=0)
        model.fit(x, x, verbose=0, callbacks=[callback])
    return model


class Runner:
    """An exported file, called with batches of one size on one thread."""

    def __init__(self, path, batch):
        self.interpreter = Interpreter(str(path), num_threads=1)
        (given,) = self.interpreter.get_input_details()
        shape = [batch, *given["shape"][1:]]
        self.interpreter.resize_tensor_input(given["index"], shape)
        self.interpreter.allocate_tensors()
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        self.interpreter.set_tensor(given["index"], x)
        self.interpreter.invoke()

    def seconds(self):
        start = time.perf_counter()
        for _ in range(CALLS):
            self.interpreter.invoke()
        return (time.perf_counter() - start) / CALLS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=1024)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    args = parser.parse_args()
    kinds = [(0, None), (0.9, None), *((s, "4x1") for s in (0.5, 0.7, 0.9))]
    table = rich.table.Table("zeros", "pattern", "gzipped, of dense")
    for batch in args.batches:
        table.add_column(f"time at batch {batch}, of dense")
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for index, (sparsity, pattern) in enumerate(kinds):
            model = sparse_model(args.units, sparsity, pattern)
            path = pathlib.Path(folder) / f"{index}.tflite"
            found.append(
                dsd.deploy.export(model, path, format="litert", sparse=bool(sparsity))
            )
        times = {}
        for batch in args.batches:
            runners = [Runner(one.path, batch) for one in found]
            # Interleaved, so that what else the machine does meets all alike.
            rounds = [[one.seconds() for one in runners] for _ in range(ROUNDS)]
            times[batch] = np.median(rounds, axis=0)
    for index, (sparsity, pattern) in enumerate(kinds):
        table.add_row(
            f"{sparsity:.0%}",
            pattern or "unstructured",
            f"{found[index].gzipped_bytes / found[0].gzipped_bytes:.2f}",
            *(f"{times[batch][index] / times[batch][0]:.2f}" for batch in args.batches),
        )
    rich.console.Console().print(table)


if __name__ == "__main__":
    main()
