"""Rule 11: regrowth conserves; what is grown starts at 0, what stays is untouched."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import regrowth
from keras_dsd.layers import conversion
from keras_dsd.optimizers import slots as optimizer_slots
from keras_dsd.sparsity import counts
from keras_dsd.training.zero_counts import Targets
from tests import helpers

METHODS = [
    regrowth.SET(),
    regrowth.RigL(),
    regrowth.MEST(),
    regrowth.MEST(growth="gradient", gradient_factor=0.1, soft_bound=0.25),
    regrowth.GraNet(),
    regrowth.GraNet(growth="random"),
    regrowth.SNFS(),
]


class EachUpdate(keras.callbacks.Callback):
    """Compares weights, masks and slots just before and just after every update.

    Listed twice around `DSDCallback`, so that one looks before and one after it.
    """

    def __init__(self, before=None):
        super().__init__()
        self.before = before
        self.seen, self.counts = None, []
        self.updates = 0

    def on_train_batch_end(self, batch, logs=None):
        weights = conversion.pruned_weights(self.model)
        slots = optimizer_slots.find(
            self.model.optimizer, [weight.variable for weight in weights]
        )
        self.seen = [
            (
                *helpers.values([weight.mask, weight.variable]),
                helpers.values([slot.variable for slot in its_slots]),
                [slot.fresh for slot in its_slots],
            )
            for weight, its_slots in zip(weights, slots, strict=True)
        ]
        self.counts.append([int(mask.sum()) for mask, *_ in self.seen])
        if self.before is not None:
            self.compare(self.before.seen, self.seen)

    def compare(self, before, after):
        moved = [
            not np.array_equal(b[0], a[0]) for b, a in zip(before, after, strict=True)
        ]
        self.updates += any(moved)
        for (old, value, slots, _), (new, now, slots_now, fresh) in zip(
            before, after, strict=True
        ):
            stays = old & new
            np.testing.assert_array_equal(now[stays], value[stays])
            assert not now[~stays].any()  # dropped, grown, or never alive
            for slot, slot_now, start in zip(slots, slots_now, fresh, strict=True):
                np.testing.assert_array_equal(slot_now[stays], slot[stays])
                assert (slot_now[~stays] == np.float32(start or 0.0)).all()


def train(method, optimizer="adam", epochs=4, sparsity=0.5, plan=None, **options):
    model = helpers.mlp(units=24)
    model = dsd.make_prunable(model, track_gradients=True)
    model.compile(optimizer, "mse")
    x, y = helpers.data()
    before = EachUpdate()
    after = EachUpdate(before)
    plan = plan or dsd.phases.dst(epochs, method, sparsity, update_every=3)
    callback = dsd.DSDCallback(plan, verbose=0, **options)
    model.fit(
        x,
        y,
        batch_size=8,
        epochs=sum(phase.epochs for phase in plan),
        callbacks=[before, callback, after],
        verbose=0,
    )
    return model, after


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_every_update(method):
    model, after = train(method)
    # 32 steps: 10 updates in all, less where a method comes to rest at 3/4.
    assert after.updates >= 7
    size = [weight.size for weight in conversion.pruned_weights(model)]
    target = sum(size) - sum(
        zeros_of(dsd.phases.dst(1, method, 0.5)[0], conversion.pruned_weights(model))
    )
    totals = [sum(alive) for alive in after.counts]
    if isinstance(method, regrowth.GraNet):
        assert sorted(totals, reverse=True) == totals  # ever sparser, to the target
        assert sum(size) - totals[-1] == counts.zeros(sum(size), 0.5)
    elif isinstance(method, regrowth.MEST) and method.soft_bound:
        assert max(totals) <= target * (1 + method.soft_bound)
        assert max(totals) > target
        assert totals[-1] == target
    elif isinstance(method, regrowth.SNFS):
        assert set(totals) == {target}
        assert len({tuple(alive) for alive in after.counts}) > 1  # between layers
    else:
        assert len({tuple(alive) for alive in after.counts}) == 1
        assert set(totals) == {target}


def zeros_of(phase, weights):
    return Targets(phase, weights).zeros(phase.initial_sparsity)


OPTIMIZERS = {
    **helpers.all_optimizers(),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
}


AVERAGING = {
    "ema": lambda: keras.optimizers.Adam(use_ema=True),
    "ema overwriting": lambda: keras.optimizers.SGD(
        momentum=0.9, use_ema=True, ema_overwrite_frequency=2
    ),
}
REFUSED = {"tensorflow": list(AVERAGING), "jax": ["ema overwriting"]}
REFUSED = REFUSED.get(keras.backend.backend(), [])
OPTIMIZERS |= {name: AVERAGING[name] for name in AVERAGING if name not in REFUSED}


@pytest.mark.parametrize("name", AVERAGING)
def test_averages_without_gradients(name):
    model = dsd.make_prunable(helpers.mlp())
    model.compile(AVERAGING[name](), "mse")
    watch = helpers.Watch()
    x, y = helpers.data()
    callbacks = [dsd.DSDCallback(dsd.phases.dst(2, "set", update_every=2), verbose=0)]
    model.fit(x, y, batch_size=8, epochs=2, callbacks=[*callbacks, watch], verbose=0)
    assert watch.moved == watch.stale == 0
    assert all(
        (value[~mask] == 0).all()
        for value, mask in zip(
            helpers.values([w.variable for w in conversion.pruned_weights(model)]),
            helpers.masks_of(model),
            strict=True,
        )
    )


@pytest.mark.parametrize("name", REFUSED)
def test_averages_that_keras_cannot_make(name):
    """Said before training, not by Keras at its end."""
    with pytest.raises(ValueError, match=r"average weights .* Received: "):
        train("rigl", AVERAGING[name]())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name):
    """Zeros exact and slots fresh at every batch end, while connections move."""
    model = dsd.make_prunable(helpers.mlp(), track_gradients=True)
    model.compile(OPTIMIZERS[name](), "mse")
    watch = helpers.Watch()
    x, y = helpers.data()
    plan = dsd.phases.dst(2, "rigl", 0.5, update_every=2)
    callback = dsd.DSDCallback(plan, verbose=0)
    callbacks = [callback, watch]
    fitted = model.fit(x, y, batch_size=8, epochs=2, callbacks=callbacks, verbose=0)
    history = fitted.history
    assert watch.batches == 16
    assert watch.moved == 0
    if name != "Adafactor":  # it writes its one slot anew in each step
        assert watch.stale == 0
    assert history["churn"][0] > 0


def test_dropped_and_regrown_in_one_update_keeps_all():
    """Where gradients want back what was dropped, nothing has happened to it."""

    model = dsd.make_prunable(helpers.mlp(), track_gradients=True)
    model.compile("adam", "mse")
    x, y = helpers.data()

    class Back(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            _ = self.model
            for weight in conversion.pruned_weights(self.model):
                mask = keras.ops.cast(weight.mask.value, "float32")
                weight.gradient.assign(mask)  # all that is active wants to be

    before = EachUpdate()
    after = EachUpdate(before)
    callback = dsd.DSDCallback(dsd.phases.dst(2, "rigl", update_every=2), verbose=0)
    callbacks = [Back(), before, callback, after]
    model.fit(x, y, batch_size=8, epochs=2, callbacks=callbacks, verbose=0)
    assert after.updates == 0


@pytest.mark.parametrize("restore", ["zero", "rewind", "random"])
def test_then_dense_again(restore):
    """Dynamic sparse training, then all weights: a list of phases like any other."""
    plan = [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(2, sparsity=0.5, regrowth="rigl", update_every=2),
        dsd.phases.Redense(1, restore=restore),
    ]
    model = dsd.make_prunable(helpers.mlp(), track_gradients=True)
    model.compile("adam", "mse")
    x, y = helpers.data()
    history = model.fit(
        x,
        y,
        batch_size=8,
        epochs=4,
        callbacks=[dsd.DSDCallback(plan, verbose=0)],
        verbose=0,
    ).history
    assert history["sparsity"] == [0.0, 0.5, 0.5, 0.0]
    assert history["explored"][0] == history["explored"][-1] == 1.0
    assert 0.5 < history["explored"][1] <= history["explored"][2] < 1
    assert history["churn"][1] > 0
    assert all(value.any() for value in helpers.values(dsd.strip(model).weights))
