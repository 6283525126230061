"""Rule 4: a pruned or reborn weight has the slots that a new optimizer would give it.

The reference is an optimizer of full size, made anew from the config and built on the
very weights as they are after the update.
"""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from tests import helpers

OPTIMIZERS = {
    **helpers.all_optimizers(),
    "SGD momentum": lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True),
    "Adam amsgrad": lambda: keras.optimizers.Adam(amsgrad=True),
    "RMSprop centered": lambda: keras.optimizers.RMSprop(centered=True, momentum=0.5),
    "Adagrad 0.7": lambda: keras.optimizers.Adagrad(initial_accumulator_value=0.7),
    "Ftrl 0.3": lambda: keras.optimizers.Ftrl(initial_accumulator_value=0.3),
    "EMA": lambda: keras.optimizers.Adam(use_ema=True),
    # 64 samples in batches of 24 make 3 batches: an epoch ends with a gradient left.
    "accumulation": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2),
}


def slots_of(optimizer, weight):
    """Returns {name: value} of the variables of `weight`'s path and shape."""
    prefix = weight.path.replace("/", "_") + "_"
    return {
        variable.name.removeprefix(prefix): helpers.values([variable])[0]
        for variable in optimizer.variables
        if variable.name.startswith(prefix) and variable.shape == weight.shape
    }


def fresh_slots(optimizer, weights, weight):
    new = type(optimizer).from_config(optimizer.get_config())
    new.build(weights)
    return slots_of(new, weight)


class Moments:
    """Weights, masks and slots just before and just after the callback's turn."""

    def __init__(self, model, phases):
        self.model = model
        self.before, self.after = [], []
        self.callbacks = [
            self._recorder(self.before),
            dsd.DSDCallback(phases, verbose=0),
            self._recorder(self.after),
        ]

    def _recorder(self, moments):
        return keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: moments.append(self._look())
        )

    def _look(self):
        optimizer = self.model.optimizer
        weights = [layer.kernel for layer in self.model.layers]
        return [
            {
                "weight": helpers.values([weight])[0],
                "mask": mask,
                "slots": slots_of(optimizer, weight) if optimizer.built else {},
                "fresh": fresh_slots(optimizer, self.model.trainable_variables, weight),
            }
            for weight, mask in zip(weights, helpers.masks_of(self.model), strict=True)
        ]

    def __iter__(self):
        """Yields (epoch, before, after) of every weight in every epoch."""
        for epoch, pairs in enumerate(zip(self.before, self.after, strict=True)):
            for before, after in zip(*pairs, strict=True):
                yield epoch, before, after


def train(make, phases):
    model = dsd.make_prunable(helpers.mlp(inputs=9, units=7, outputs=5))
    model.compile(make(), "mse")
    moments = Moments(model, phases)
    x, y = helpers.data(9, 5)
    epochs = sum(phase.epochs for phase in phases)
    model.fit(
        x, y, epochs=epochs, batch_size=24, callbacks=moments.callbacks, verbose=0
    )
    return moments


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name):
    sparse = dsd.phases.Sparse
    moments = train(
        OPTIMIZERS[name],
        [
            dsd.phases.Dense(1),
            sparse(1, sparsity=0.5),
            sparse(1, sparsity=0.7),
            sparse(1, sparsity=0.25),  # brings weights back while others stay pruned
            dsd.phases.Redense(1),
        ],
    )
    changed = {"pruned": 0, "reborn": 0, "slots that had moved": 0}
    for epoch, before, after in moments:
        old, new = before["mask"], after["mask"]
        pruned, reborn = old & ~new, new & ~old
        changed["pruned"] += pruned.sum()
        changed["reborn"] += reborn.sum()
        # Adafactor's rows and columns are not a weight's own: other shapes, not here.
        for slot, value in after["slots"].items():
            np.testing.assert_array_equal(
                value[~new | reborn],
                after["fresh"][slot][~new | reborn],
                err_msg=f"{slot} in epoch {epoch}",
            )
            if not before["slots"]:
                continue  # the optimizer was built in this epoch
            kept = old & new
            np.testing.assert_array_equal(
                value[kept],
                before["slots"][slot][kept],
                err_msg=f"{slot} of survivors in epoch {epoch}",
            )
            changed["slots that had moved"] += np.count_nonzero(
                before["slots"][slot][pruned] != after["fresh"][slot][pruned]
            )
    assert changed["pruned"] and changed["reborn"]
    assert bool(changed["slots that had moved"]) == (name != "SGD")


def test_a_ramp_sets_back_only_what_it_prunes():
    moments = train(
        keras.optimizers.Adam,
        [
            dsd.phases.Dense(1),
            dsd.phases.Sparse(6, sparsity=0.8, schedule="cubic"),
        ],
    )
    updates = 0
    for epoch, before, after in moments:
        if epoch == 0:
            continue
        old, new = before["mask"], after["mask"]
        assert not (new & ~old).any()
        updates += (old & ~new).any()
        for slot, value in after["slots"].items():
            np.testing.assert_array_equal(value[~new], 0.0)
            np.testing.assert_array_equal(value[new], before["slots"][slot][new])
    assert updates >= 6  # three updates at least, of two weights


@pytest.mark.parametrize("restore", ["rewind", "random"])
def test_slots_that_start_as_the_weight_follow_what_it_comes_back_with(restore):
    """Fresh is not a constant for ScheduleFreeAdamW and for a moving average."""
    if not hasattr(keras.optimizers, "ScheduleFreeAdamW"):
        pytest.skip("this Keras has no ScheduleFreeAdamW")
    moments = train(
        keras.optimizers.ScheduleFreeAdamW,
        [
            dsd.phases.Dense(1),
            dsd.phases.Sparse(1, sparsity=0.5),
            dsd.phases.Redense(1, restore=restore),
        ],
    )
    *_, (_, before, after) = moments
    reborn = ~before["mask"]
    assert np.count_nonzero(after["weight"][reborn]) == reborn.sum()
    for slot, value in after["slots"].items():
        np.testing.assert_array_equal(value[reborn], after["fresh"][slot][reborn])


def test_other_weights_keep_their_slots():
    """Biases, and layers held dense, are none of the update's business."""
    model = helpers.mlp()
    dsd.make_prunable(model, exclude="/dense_1/")
    model.compile("adam", "mse")
    seen = []

    def look(epoch, logs):
        seen.append({v.path: helpers.values([v])[0] for v in model.optimizer.variables})

    look_ = keras.callbacks.LambdaCallback(on_epoch_begin=look)
    phases = [dsd.phases.Dense(1), dsd.phases.Sparse(1, sparsity=0.9)]
    x, y = helpers.data()
    model.fit(
        x,
        y,
        epochs=2,
        callbacks=[look_, dsd.DSDCallback(phases, verbose=0), look_],
        verbose=0,
    )
    before, after = seen[-2:]
    differ = [path for path in before if not np.array_equal(before[path], after[path])]
    assert differ and all("dense_kernel" in path for path in differ)
