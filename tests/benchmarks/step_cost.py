"""What a training step costs: `python -m tests.benchmarks.step_cost`.

For each model and optimizer: plain Keras; wrapped, in a dense phase; in a sparse one;
in a sparse one with gradients tracked. On TensorFlow also TFMOT against plain tf_keras,
where that is installed, in a process of its own. All are measured in turns in one run,
for timings of a shared machine drift; read the ratios. A round is a `fit` of some
epochs, of which the first, which traces, does not count.
"""

import argparse
import contextlib
import json
import statistics
import time

import keras

import keras_dsd
from keras_dsd import phases
from tests.benchmarks import tfmot_step
from tests.benchmarks.mask_update import machine
from tests.benchmarks.models import BATCHES, EPOCHS, NAMES, build, data

PHASES = {
    "dense": (phases.Dense, {}, False),
    "sparse": (phases.Sparse, {"sparsity": 0.5}, False),
    "tracked": (phases.Sparse, {"sparsity": 0.5, "regrowth": "static"}, True),
}


OPTIMIZERS = {
    "SGD-momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(),
}


class Case:
    """A model in training, one epoch at a time."""

    def __init__(self, name, optimizer, kind, jit_compile):
        self._model, self._batch = build(keras, name)
        if kind != "plain":
            _, _, track = PHASES[kind]
            keras_dsd.make_prunable(self._model, track_gradients=track)
        self._model.compile(optimizer(), "mse", jit_compile=jit_compile)
        self._data = data(self._model, self._batch)
        self._kind = kind
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
        kind: Case(name, OPTIMIZERS[optimizer], kind, jit_compile) for kind in kinds
    }
    turns = {kind: case.train for kind, case in cases.items()}
    with contextlib.ExitStack() as stack:
        if keras.backend.backend() == "tensorflow":
            worker = tfmot_step.worker(name, optimizer, jit_compile is True)
            turns |= stack.enter_context(worker)
        seconds: dict = {kind: [] for kind in turns}
        for _ in range(rounds):
            for kind, train in turns.items():
                seconds[kind].append(train())
    plain = statistics.median(seconds["plain"]) / BATCHES
    ratios = {kind: _ratios(seconds[kind], seconds["plain"]) for kind in PHASES}
    if "tfmot" in seconds:
        ratios["tfmot"] = _ratios(seconds["tfmot"], seconds["tf_keras"])
    print(
        f"{name:12} {optimizer:13} {plain * 1e3:7.1f} ms"
        + "".join(
            f"  {kind} {middle:5.2f} ({low:.2f}-{high:.2f})"
            for kind, (low, middle, high) in ratios.items()
        ),
        flush=True,
    )
    return {"plain_ms": plain * 1e3, **ratios}


def _ratios(seconds, plain):
    """Returns the least, the median and the largest ratio of a round."""
    ratios = [one / other for one, other in zip(seconds, plain, strict=True)]
    return min(ratios), statistics.median(ratios), max(ratios)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", choices=NAMES, default=NAMES)
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
        middles = [result[kind][1] for result in results.values()]
        mean = statistics.geometric_mean(middles)
        print(f"{kind}: geometric mean {mean:.3f}, worst {max(middles):.3f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, **results}, file, indent=1)


if __name__ == "__main__":
    main()
