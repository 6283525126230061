"""What a training step costs: `python -m tests.benchmarks.step_cost`.

For each model and optimizer: plain Keras; wrapped, in a dense phase; in a sparse one;
in a sparse one with gradients tracked. On TensorFlow also TFMOT against plain tf_keras,
where that is installed, in a process of its own. A second plain training is the
control: what it differs from the first by is noise. All train in turns, an epoch each;
read the ratios.
"""

import argparse
import contextlib
import json
import statistics

import keras

import keras_dsd
from keras_dsd import phases
from tests.benchmarks import tfmot_step, turns
from tests.benchmarks.mask_update import machine
from tests.benchmarks.models import BATCHES, MORE, NAMES, build, data

PHASES = {
    "dense": (phases.Dense, {}, False),
    "sparse": (phases.Sparse, {"sparsity": 0.5}, False),
    "tracked": (phases.Sparse, {"sparsity": 0.5, "regrowth": "static"}, True),
}


OPTIMIZERS = {
    "SGD-momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(),
}


def prepared(name, optimizer, kind, jit_compile):
    """Returns a compiled model of one kind, its batches' size, and its callbacks."""
    model, batch = build(keras, name)
    callbacks = []
    if kind in PHASES:
        phase, options, track = PHASES[kind]
        keras_dsd.make_prunable(model, track_gradients=track)
        plan = [phase(10**6, **options)]
        callbacks.append(keras_dsd.DSDCallback(plan, verbose=0))
    model.compile(OPTIMIZERS[optimizer](), "mse", jit_compile=jit_compile)
    return model, batch, callbacks


def training(name, optimizer, kind, jit_compile):
    """Returns a model in training, of one kind."""
    model, batch, callbacks = prepared(name, optimizer, kind, jit_compile)
    is_traced = keras.backend.backend() != "torch"
    trains = turns.Training if is_traced else turns.Fits
    return trains(model, *data(model, batch), batch, callbacks)


def compare(name, optimizer, rounds, jit_compile):
    """Measures one model with one optimizer; prints and returns ratios to plain."""
    keras.backend.clear_session()
    kinds = ("plain", "control", *PHASES)
    trainings = {kind: training(name, optimizer, kind, jit_compile) for kind in kinds}
    with contextlib.ExitStack() as stack:
        stack.enter_context(turns.stopping(trainings.values()))
        theirs = {}
        if keras.backend.backend() == "tensorflow":
            theirs = stack.enter_context(
                tfmot_step.worker(name, optimizer, jit_compile is True)
            )
        seconds = turns.measure(trainings | theirs, rounds)
    plain = statistics.median(seconds["plain"]) / BATCHES
    ratios = {
        kind: turns.ratios(seconds[kind], seconds["plain"])
        for kind in ("control", *PHASES)
    }
    if "tfmot" in seconds:
        ratios["tfmot"] = turns.ratios(seconds["tfmot"], seconds["tf_keras"])
    print(
        f"{name:12} {optimizer:13} {plain * 1e3:7.1f} ms"
        + "".join(
            f"  {kind} {middle:5.3f} ({low:.2f}-{high:.2f})"
            for kind, (low, middle, high) in ratios.items()
        ),
        flush=True,
    )
    return {"plain_ms": plain * 1e3, **ratios}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--models", nargs="*", choices=MORE, default=NAMES)
    parser.add_argument(
        "--optimizers", nargs="*", choices=OPTIMIZERS, default=list(OPTIMIZERS)
    )
    parser.add_argument("--jit", choices=("auto", "yes", "no"), default="auto")
    options = parser.parse_args()

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"jit_compile {options.jit}; a step of plain Keras; ratios to it, quartiles")
    jit_compile = {"auto": "auto", "yes": True, "no": False}[options.jit]
    results = {
        f"{name} {optimizer}": compare(name, optimizer, options.rounds, jit_compile)
        for name in options.models
        for optimizer in options.optimizers
    }
    for kind in ("control", *PHASES):
        middles = [result[kind][1] for result in results.values()]
        mean = statistics.geometric_mean(middles)
        print(f"{kind}: geometric mean {mean:.3f}, worst {max(middles):.3f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, **results}, file, indent=1)


if __name__ == "__main__":
    main()
