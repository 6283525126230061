"""What several tests of training need: data, optimizers, a look inside every batch."""

import keras
import numpy as np

from keras_dsd.layers import conversion
from keras_dsd.optimizers import model_optimizers
from keras_dsd.optimizers import slots as optimizer_slots
from keras_dsd.training import arithmetic


def data(inputs=12, outputs=4, samples=64, seed=0):
    """Returns (x, y) of a regression that a small model can learn."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, inputs)).astype("float32")
    y = np.tanh(x @ rng.standard_normal((inputs, outputs))).astype("float32")
    return x, y


def mlp(inputs=12, outputs=4, units=16, **dense):
    """Returns a plain, built model of two dense layers."""
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(units, activation="relu", **dense),
            keras.layers.Dense(outputs),
        ]
    )


def values(variables):
    """Returns copies of variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def masks_of(model):
    """Returns the masks of all pruned weights, as NumPy arrays."""
    return values([weight.mask for weight in conversion.pruned_weights(model)])


def reckon_as_large_models(monkeypatch):
    """Has the backend do what NumPy does for models as small as those of tests."""
    monkeypatch.setattr(arithmetic, "of", lambda weights: arithmetic.ByBackend)


def all_optimizers():
    """Returns {name: optimizer class} of all that Keras has, found at run time."""
    containers = ("LossScaleOptimizer", "MultiOptimizer", "Optimizer")
    return {
        name: value
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type)
        and issubclass(value, keras.optimizers.Optimizer)
        and name not in containers
    }


class Watch(keras.callbacks.Callback):
    """Records, at every batch end of a sparse phase, what pruned weights hold.

    `moved` counts pruned weights that are not exactly 0.0, `stale` slots of pruned
    weights that are not what a new optimizer holds.
    """

    def __init__(self):
        super().__init__()
        self.moved = self.stale = self.batches = 0

    def _look(self):
        weights = [
            weight
            for state in conversion.states(self.model)
            if state.in_force
            for weight in state.pruned
        ]
        slots = optimizer_slots.find(
            list(model_optimizers.of(self.model).values()),
            [weight.variable for weight in weights],
        )
        for weight, its_slots in zip(weights, slots, strict=True):
            pruned = ~values([weight.mask])[0]
            value = values([weight.variable])[0].astype("float32")
            self.moved += int(np.count_nonzero(value[pruned]))
            for slot in its_slots:
                held = values([slot.variable])[0].astype("float32")[pruned]
                fresh = 0.0 if slot.fresh is None else slot.fresh
                self.stale += int(np.count_nonzero(held != np.float32(fresh)))

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        self._look()

    def on_epoch_end(self, epoch, logs=None):
        self._look()

    def on_train_end(self, logs=None):
        self._look()
