"""The promises that a device could break: counts, zeros, slots, masks, resuming.

Each function raises an `AssertionError`, or returns what it saw.
"""

import math
import pathlib
import tempfile

import keras
import numpy as np
from keras import layers

import keras_dsd as dsd
from keras_dsd import masks
from keras_dsd.layers import conversion
from tests.gpu import device

PHASES = {
    "magnitude": lambda: [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(2, sparsity=0.5, schedule="cubic"),
        dsd.phases.Redense(1, restore="rewind"),
        dsd.phases.Sparse(1, pattern="2:4"),
    ],
    "rigl": lambda: dsd.phases.dst(5, method="rigl", sparsity=0.5, update_every=2),
    "granet": lambda: dsd.phases.dst(5, method="granet", sparsity=0.5, update_every=2),
}
SETTINGS = {
    "float32": {},
    "mixed_bfloat16": {"policy": "mixed_bfloat16"},
    "jit_compile": {"jit_compile": True},
}


def network(units, policy="float32"):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        return keras.Sequential(
            [
                keras.Input((8, 8, 4)),
                layers.Conv2D(16, 3, activation="relu", padding="same"),
                layers.Conv2D(16, 3, activation="relu", name="inner"),
                layers.Flatten(),
                layers.Dense(units, activation="relu"),
                layers.Dense(4, dtype="float32"),
            ]
        )
    finally:
        keras.config.set_dtype_policy("float32")


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 8, 8, 4)).astype("float32")
    return x, rng.normal(size=(32, 4)).astype("float32")


class Looks(keras.callbacks.Callback):
    """Counts zeros in weights and in their slots as every epoch ends."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def on_epoch_end(self, epoch, logs=None):
        weights = conversion.pruned_weights(self.model)
        if logs["sparsity"] == 0:
            return
        zeros = size = 0
        for weight in weights:
            value = keras.ops.convert_to_numpy(weight.variable.value)
            mask = keras.ops.convert_to_numpy(weight.mask.value)
            assert not value[~mask].any(), weight.path
            zeros += int(np.sum(value == 0))
            size += value.size
            for slot in self.model.optimizer.variables:
                if slot.path.endswith(weight.path.replace("/", "_") + "_momentum"):
                    moment = keras.ops.convert_to_numpy(slot.value)
                    assert not moment[~mask].any(), slot.path
                    self.seen += 1
        assert math.isclose(logs["sparsity"], zeros / size, rel_tol=1e-6)


def trained(plan, units, epochs=None, folder=None, policy="float32", **compiling):
    """Returns a trained model; with a folder it is resumable."""
    model = dsd.make_prunable(network(units, policy), track_gradients=True)
    model.compile(keras.optimizers.Adam(0.01), "mse", **compiling)
    looks = Looks()
    callbacks = [dsd.DSDCallback(plan, verbose=0), looks]
    if folder:
        callbacks.append(dsd.Backup(pathlib.Path(folder) / "a.weights.h5", verbose=0))
    epochs = epochs or sum(phase.epochs for phase in plan)
    x, y = data()
    model.fit(
        x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks
    )
    assert looks.seen
    return model


def holds(name, units, **setting):
    """Zeros are exact, counts and slots too, at the end of every sparse epoch."""
    model = trained(PHASES[name](), units, **setting)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def resumes(name, units):
    """A run in two parts ends with the bits of the whole."""
    whole = trained(PHASES[name](), units).get_weights()
    with tempfile.TemporaryDirectory() as folder:
        trained(PHASES[name](), units, epochs=3, folder=folder)
        parts = trained(PHASES[name](), units, folder=folder).get_weights()
    equal = all(map(np.array_equal, whole, parts))
    gap = max(float(np.abs(a - b).max()) for a, b in zip(whole, parts, strict=True))
    return {"equal": equal, "largest_difference": gap}


def same_masks_as_on_the_cpu(size):
    """One set of scores, ties among them, gives the same masks on both."""
    scores = np.random.default_rng(0).normal(size=(size, 64)).astype("float32")
    scores[::3] = np.round(scores[::3], 1)
    found = []
    for where in (device.cpu(), device.contextlib.nullcontext()):
        with where:
            mask = masks.magnitude(keras.ops.convert_to_tensor(scores), 0.7)
            found.append(keras.ops.convert_to_numpy(mask))
    assert np.array_equal(*found)
    assert int(np.sum(~found[0])) == math.floor(0.7 * scores.size)


def run(tiny, seconds):
    """Returns {promise: "holds" or what was seen}; raises where one is broken."""
    units = 32 if tiny else 2000  # with more, the large tables' search is used
    found = {}
    kinds = ["magnitude"] if tiny else list(PHASES)
    for name in kinds:
        for setting, options in list(SETTINGS.items())[: 1 if tiny else None]:
            if "jit_compile" in options and device.BACKEND == "torch":
                continue
            holds(name, units, **options)
            found[f"{name}, {setting}"] = "holds"
    for name in kinds:
        found[f"{name}, resumed"] = resumes(name, units)
    same_masks_as_on_the_cpu(100 if tiny else 100_000)
    found["same masks as on the CPU"] = "holds"
    for promise, what in found.items():
        print(f"  {promise}: {what}", flush=True)
    return found
