"""The promises that a device could break: counts, zeros, slots, masks, resuming."""

import contextlib
import functools
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
SETTINGS: dict = {
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


def holds(name, units, setting):
    """Zeros are exact, counts and slots too, at the end of every sparse epoch."""
    model = trained(PHASES[name](), units, **SETTINGS[setting])
    assert all(np.isfinite(w).all() for w in model.get_weights())


def resumes(name, units):
    """A run in two parts ends with the bits of the whole, where a run repeats its own.

    Kernels that add in no fixed order give other bits each time; then nobody can tell.
    """
    with device.cudnn_repeats(), tempfile.TemporaryDirectory() as folder:
        whole = trained(PHASES[name](), units).get_weights()
        trained(PHASES[name](), units, epochs=3, folder=folder)
        parts = trained(PHASES[name](), units, folder=folder).get_weights()
        if all(map(np.array_equal, whole, parts)):
            return {"resumed": True}
        again = trained(PHASES[name](), units).get_weights()
    assert not all(map(np.array_equal, whole, again)), _gap(whole, parts)
    return {
        "resumed": "nobody can tell",
        "largest_difference": _gap(whole, parts),
        "of_a_second_run": _gap(whole, again),
    }


def _gap(one, other):
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def scores(size, tiny_numbers=False):
    """Returns float32 scores with ties among them, up to half of them zero."""
    found = np.random.default_rng(0).normal(size=(size, 64)).astype("float32")
    found[::3] = np.round(found[::3], 1)
    found[1::3] *= np.abs(found[1::3]) > 1
    return found * np.float32(1e-39) if tiny_numbers else found


def in_numpy(values, sparsity):
    """Returns the mask by sorting: of equal magnitudes those with higher indices go."""
    size = np.abs(values).reshape(-1)
    order = np.lexsort((-np.arange(size.size), size))
    mask = np.ones(size.size, bool)
    mask[order[: math.floor(sparsity * size.size)]] = False
    return mask.reshape(values.shape)


def masks_as_in_numpy(size, tiny_numbers=False):
    """Ranking is exact: given the same scores, not one mask's entry differs."""
    values = scores(size, tiny_numbers)
    mask = masks.magnitude(keras.ops.convert_to_tensor(values), 0.7)
    differ = keras.ops.convert_to_numpy(mask) != in_numpy(values, 0.7)
    assert not differ.any(), int(differ.sum())


def masks_as_on_the_cpu(size):
    """What compares single entries gives the same masks as on the CPU, to the bit.

    Masks of blocks are not promised to: they rank means, whose last bits depend on the
    order of a sum.
    """
    one, two = scores(size), scores(size)[::-1].copy()
    alive = in_numpy(one, 0.5)
    cases = {
        "2:4": lambda a, b: [masks.magnitude(a, None, pattern="2:4")],
        "global": lambda a, b: masks.global_magnitude([a, b], 0.6),
        "bfloat16": lambda a, b: [
            masks.magnitude(keras.ops.cast(a, "bfloat16"), 0.7),
        ],
        "drop and grow": lambda a, b: [masks.drop_and_grow(a, alive, b, 0.3)],
    }
    for name, case in cases.items():
        found = []
        for where in (device.cpu(), contextlib.nullcontext()):
            with where:
                made = case(*map(keras.ops.convert_to_tensor, (one, two)))
                found.append([keras.ops.convert_to_numpy(mask) for mask in made])
        assert all(map(np.array_equal, *found)), name


def items(tiny, data):
    """Returns [(promise, function that sees whether it is kept)], of most worth first.

    A function returns what it saw, and raises an `AssertionError` where it is broken.
    """
    units = 32 if tiny else 2000  # with more, the large tables' search is used
    size = 100 if tiny else 100_000
    kinds = ["magnitude"] if tiny else list(PHASES)
    settings = ["mixed_bfloat16"] if tiny else list(SETTINGS)
    if device.BACKEND != "tensorflow":  # JAX always compiles; PyTorch would trace anew
        settings = [name for name in settings if name != "jit_compile"]
    found = [
        ("masks as in NumPy", masks_as_in_numpy, (size,)),
        ("masks as on the CPU", masks_as_on_the_cpu, (size,)),
        *(
            (f"{kind}, {setting}", holds, (kind, units, setting))
            for setting in settings
            for kind in kinds
        ),
        *((f"{kind}, resumed", resumes, (kind, units)) for kind in kinds),
        ("numbers below the normal ones", masks_as_in_numpy, (size, True)),
    ]
    return [
        (title, functools.partial(kept, function, *arguments))
        for title, function, arguments in found
    ]


def kept(function, *arguments):
    """Returns what a promise's function saw, as a dict."""
    return {"kept": True, **(function(*arguments) or {})}
