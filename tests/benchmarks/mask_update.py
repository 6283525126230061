"""What a mask update costs, in passes: `python -m tests.benchmarks.mask_update`.

A pass is one `reduce_max(|w|)` over the same weights. Timings of a shared machine
drift, so everything compared is measured in turns in one run; read the ratios. `sort`
and `top_k` are Keras's operations on the magnitudes, which only find the threshold. The
update of TensorFlow Model Optimization, where that package is installed, runs in a
process of its own (it needs Keras 2), in turns with ours.
"""

import argparse
import contextlib
import importlib.metadata
import json
import math
import os
import platform
import statistics
import sys
import time

import keras
from keras import ops

import keras_dsd
from keras_dsd import backend, phases
from keras_dsd.layers import conversion
from keras_dsd.sparsity import topk
from keras_dsd.training import drop_and_grow
from keras_dsd.training.mask_updates import MaskUpdates
from keras_dsd.training.zero_counts import Targets
from tests.benchmarks import tfmot

SPARSITY = 0.5
_SORTED = 5_000_000  # entries, up to which sorting is tried: it takes long
_TFMOT = 30_000_000  # entries, up to which TFMOT is


class Pruned:
    """A model of dense layers whose kernels are pruned, Adam, and their mask update."""

    def __init__(self, sides):
        self._model = keras.Sequential([keras.Input((sides[0],))])
        for side in sides[1:]:
            self._model.add(keras.layers.Dense(side, use_bias=False))
        keras_dsd.make_prunable(self._model, track_gradients=True)
        weights = conversion.pruned_weights(self._model)
        self.variables = [weight.variable for weight in weights]
        # Kept where the weights are: from the host they would come slowly.
        self.values = [_normal(weight, 0) for weight in weights]
        optimizer = keras.optimizers.Adam()
        optimizer.build(self.variables)
        phase = phases.Sparse(epochs=1, sparsity=SPARSITY, regrowth="rigl")
        self._targets = Targets(phase, weights)
        self._updates = MaskUpdates(weights, [optimizer])
        self._others = {
            "global": Targets(
                phases.Sparse(epochs=1, sparsity=SPARSITY, distribution="global"),
                weights,
            ),
            "2:4": Targets(phases.Sparse(epochs=1, pattern="2:4"), weights),
        }
        (self._rigl,) = drop_and_grow.for_phase(self._targets, weights, [optimizer])
        for weight in weights:
            weight.gradient.assign(_normal(weight, 1))
        self._written = [*self.variables, *optimizer.variables]
        self._written += [weight.mask for weight in weights]
        self._zeros = ops.convert_to_tensor(self._targets.zeros(SPARSITY), "int32")
        kinds, alone = [t.pattern for t in self._targets.each], [False] * len(weights)
        self._select = backend.compiled(
            lambda values, zeros: topk.decide(values, kinds, zeros, alone).cuts
        )
        self.size = sum(weight.size for weight in weights)
        middle = self.size // 2
        self._pass = _reading(self.variables, lambda flat: ops.max(flat))
        self._sort = _reading(self.variables, lambda flat: ops.sort(flat)[middle])
        self._top_k = _reading(
            self.variables, lambda flat: ops.top_k(flat, middle)[0][-1]
        )

    def reset(self):
        """Gives back the weights that an update has set to zero; not timed."""
        for variable, value in zip(self.variables, self.values, strict=True):
            variable.assign(ops.copy(value))  # JAX's updates take what they are given
        wait(self._written)

    def one_pass(self):
        wait([self._pass()])

    def select(self):
        wait(self._select([v.value for v in self.variables], self._zeros))

    def update(self):
        self._updates.prune(self._targets, SPARSITY)
        wait(self._written)

    def again(self):
        """Returns the seconds of a second update, which finds the same zeros."""
        self.update()
        start = time.perf_counter()
        self.update()
        return time.perf_counter() - start

    def update_as(self, kind):
        """Updates the masks of a phase of another kind."""
        self._updates.prune(self._others[kind], SPARSITY)
        wait(self._written)

    def sort(self):
        wait([self._sort()])

    def top_k(self):
        wait([self._top_k()])

    def rigl(self):
        new = self._rigl.choose(1.0, False, SPARSITY, self._targets, (0,))
        self._updates.apply(self._rigl.weights, new)
        wait(self._written)


def _normal(weight, seed):
    return keras.random.normal(weight.shape, dtype="float32", seed=seed)


def _reading(variables, function):
    """Returns a function of nothing: `function` of each weight's sizes, compiled."""

    def largest(values):
        return ops.stack([function(ops.abs(ops.reshape(v, (-1,)))) for v in values])

    if keras.backend.backend() == "tensorflow":
        # Reads the variables in its graph, as a training step does.
        graph = sys.modules["tensorflow"].function(largest, autograph=False)
        return lambda: graph([variable.value for variable in variables])
    if keras.backend.backend() == "jax":
        largest = sys.modules["jax"].jit(largest)
    return lambda: largest([variable.value for variable in variables])


def wait(results):
    """Returns when the results are there; JAX and devices only promise them."""
    framework = sys.modules[keras.backend.backend()]
    if keras.backend.backend() == "jax":
        values = [getattr(result, "value", result) for result in results]
        framework.block_until_ready(values)
    elif keras.backend.backend() == "tensorflow":
        if framework.config.list_logical_devices("GPU"):
            framework.test.experimental.sync_devices()
    elif framework.cuda.is_available():
        framework.cuda.synchronize()


def measure(steps, reset, rounds):
    """Returns {name: seconds of each round}, all steps in turns, after a warm-up.

    Args:
        steps: {name: function}, or a function that returns the seconds it measured.
        reset: called before each step.
        rounds: how many turns.
    """
    seconds = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            reset()
            start = time.perf_counter()
            measured = step()
            elapsed = time.perf_counter() - start if measured is None else measured
            if turn:
                seconds[name].append(elapsed)
    return seconds


def compare(title, sides, rounds):
    """Measures kernels between layers of some sides, prints and returns the numbers."""
    weights = Pruned(sides)
    start = time.perf_counter()
    weights.update()
    first = time.perf_counter() - start
    steps = {
        "pass": weights.one_pass,
        "selection": weights.select,
        "update": weights.update,
        "again": weights.again,
        "global": lambda: weights.update_as("global"),
        "2:4": lambda: weights.update_as("2:4"),
        "RigL update": weights.rigl,
    }
    weights.rigl()
    size = weights.size
    if len(weights.values) == 1 and size <= _SORTED:
        steps |= {"sort": weights.sort, "top_k": weights.top_k}
    with contextlib.ExitStack() as stack:
        theirs = None
        if len(weights.values) == 1 and size <= _TFMOT:
            theirs = stack.enter_context(tfmot.worker(size, SPARSITY))
        if theirs is not None:
            steps |= {"TFMOT pass": theirs.one_pass, "TFMOT update": theirs.update}
        seconds = measure(steps, weights.reset, rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}

    print(f"\n{title}; first update (trace and compile): {first:.1f} s")
    for name, values in seconds.items():
        print(
            f"  {name:13} {medians[name] * 1e3:9.1f} ms"
            f" ({min(values) * 1e3:.1f} to {max(values) * 1e3:.1f})"
            f" {medians[name] / medians['pass']:8.1f} passes"
        )
    result = {"entries": size, "tensors": len(weights.values), "first_update_s": first}
    result |= {f"{name}_ms": median * 1e3 for name, median in medians.items()}
    result["update_passes"] = medians["update"] / medians["pass"]
    result["rigl_over_update"] = medians["RigL update"] / medians["update"]
    print(f"  RigL / magnitude {result['rigl_over_update']:6.1f}")
    if "TFMOT update" in medians:
        result["tfmot_over_ours"] = medians["TFMOT update"] / medians["update"]
        print(f"  TFMOT / ours  {result['tfmot_over_ours']:9.1f}")
    return result


def machine():
    """Returns where this ran, as a dict."""
    framework = keras.backend.backend()
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "keras": keras.__version__,
        framework: importlib.metadata.version(framework),
    }


def _processor():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--largest", type=int, default=10**8, help="entries of the largest tensor"
    )
    options = parser.parse_args()

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"sparsity {SPARSITY}; a weight with its mask and two slots (Adam);")
    print("medians of interleaved rounds (least to most); a pass: reduce_max(|w|)")
    cases = [
        ("1 M weights in one tensor", [1000, 1000]),
        ("4 M weights in one tensor", [2000, 2000]),
        ("26 M weights in one tensor", [6500, 4000]),
        ("100 M weights in one tensor", [10000, 10000]),
        ("50 tensors of 50 k", [224] * 51),
        ("500 tensors of 50 k", [224] * 501),
    ]
    cases = [case for case in cases if math.prod(case[1][:2]) <= options.largest]
    results = {title: compare(title, sides, options.rounds) for title, sides in cases}
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, "sparsity": SPARSITY, **results}, file, indent=1)


if __name__ == "__main__":
    main()
