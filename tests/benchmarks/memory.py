"""What training takes in memory: `python -m tests.benchmarks.memory`.

Each kind of training runs in a process of its own, which tells the bytes of its
variables (model and optimizer) and the most memory that it ever held. TensorFlow Model
Optimization is measured too where it is installed.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys

KINDS = ("plain", "dense", "sparse", "tracked", "stripped")
TFMOT = ("tf_keras", "TFMOT")
SIDES = (2048, 2048, 2048)


def train(kind):
    """Trains for a few steps; returns the number of weights and bytes of variables."""
    import keras
    import numpy as np

    model = keras.Sequential([keras.Input((SIDES[0],))])
    for side in SIDES:
        model.add(keras.layers.Dense(side))
    weights = model.count_params()
    callbacks = []
    if kind != "plain":
        import keras_dsd
        from keras_dsd import phases

        keras_dsd.make_prunable(model, track_gradients=kind == "tracked")
        phase = {
            "dense": phases.Dense(1),
            "sparse": phases.Sparse(1, sparsity=0.5),
            "tracked": phases.Sparse(1, sparsity=0.5, regrowth="rigl"),
            "stripped": phases.Sparse(1, sparsity=0.5),
        }[kind]
        callbacks.append(keras_dsd.DSDCallback([phase], verbose=0))
    model.compile("adam", "mse")
    x = np.zeros((320, SIDES[0]), "float32")
    model.fit(x, x, callbacks=callbacks, verbose=0)
    if kind == "stripped":
        keras_dsd.strip(model)
    variables = {
        id(variable): variable
        for variable in [*model.variables, *model.optimizer.variables]
    }
    return weights, sum(
        math.prod(variable.shape) * np.dtype(variable.dtype).itemsize
        for variable in variables.values()
    )


def train_with_keras_2(kind):
    """The same on tf_keras, plain or pruned by TFMOT."""
    import numpy as np
    import tf_keras
    from tensorflow_model_optimization.sparsity import keras as sparsity

    layers = [tf_keras.layers.Dense(side) for side in SIDES]
    model = tf_keras.Sequential([tf_keras.Input((SIDES[0],)), *layers])
    weights = model.count_params()
    callbacks = []
    if kind == "TFMOT":
        schedule = sparsity.ConstantSparsity(0.5, 0, frequency=5)
        model = sparsity.prune_low_magnitude(model, pruning_schedule=schedule)
        callbacks.append(sparsity.UpdatePruningStep())
    model.compile("adam", "mse")
    x = np.zeros((320, SIDES[0]), "float32")
    model.fit(x, x, callbacks=callbacks, verbose=0)
    variables = [*model.variables, *model.optimizer.variables]
    return weights, sum(v.shape.num_elements() * v.dtype.size for v in variables)


def measured(kind):
    """Returns what a process of its own tells, or `None` where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.memory", "--kind", kind],
        capture_output=True,
        text=True,
        env=os.environ | ({"TF_USE_LEGACY_KERAS": "1"} if kind in TFMOT else {}),
    )
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if done.returncode == 0 and lines else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--kind", choices=(*KINDS, *TFMOT), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        function = train_with_keras_2 if options.kind in TFMOT else train
        weights, variables = function(options.kind)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"weights": weights, "variables": variables, "peak": peak}))
        return

    from tests.benchmarks.mask_update import machine

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    results = {kind: measured(kind) for kind in (*KINDS, *TFMOT)}
    for kind, found in results.items():
        if found is None:
            print(f"{kind:9} not installed")
            continue
        base = results["tf_keras" if kind in TFMOT else "plain"]
        more = (found["variables"] - base["variables"]) / found["weights"]
        peak = (found["peak"] - base["peak"]) / 2**20
        print(
            f"{kind:9} variables {found['variables'] / 2**20:7.1f} MiB, "
            f"{more:+.3f} bytes a weight; peak {found['peak'] / 2**20:7.0f} MiB "
            f"({peak:+.0f})"
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, **results}, file, indent=1)


if __name__ == "__main__":
    main()
