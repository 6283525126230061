"""Rule 2: pruned weights are exactly 0.0 at every batch end, whatever moves them."""

import keras
import numpy as np
import pytest
from keras import optimizers

import keras_dsd as dsd
from tests import helpers

PHASES = [
    dsd.phases.Dense(1),
    dsd.phases.Sparse(2, sparsity=0.5),
    dsd.phases.Redense(1),
    dsd.phases.Sparse(1, sparsity=0.3),
]


class Push(keras.constraints.Constraint):
    """Moves every zero."""

    def __call__(self, weight):
        return keras.ops.clip(weight, 0.1, 1.0)


def options():
    yield from ((name, lambda cls=cls: cls(), {}) for name, cls in all_named())
    yield "ema", lambda: optimizers.Muon(use_ema=True, ema_momentum=0.5), {}
    yield (
        "ema overwriting",
        lambda: optimizers.Muon(use_ema=True, ema_overwrite_frequency=2),
        {},
    )
    yield "accumulation", lambda: optimizers.Adam(gradient_accumulation_steps=2), {}
    yield "decay", lambda: optimizers.AdamW(weight_decay=0.1), {}
    yield (
        "loss scale",
        lambda: optimizers.LossScaleOptimizer(optimizers.Muon()),
        {},
    )
    yield "constraint", lambda: optimizers.Adam(), {"kernel_constraint": Push()}
    yield (
        "regularizer",
        lambda: optimizers.Adam(),
        {"kernel_regularizer": keras.regularizers.OrthogonalRegularizer(0.1)},
    )
    yield "l1", lambda: optimizers.SGD(0.1), {"kernel_regularizer": "l1l2"}


def all_named():
    return sorted(helpers.all_optimizers().items())


CASES = {name: (make, dense) for name, make, dense in options()}


@pytest.mark.parametrize("name", CASES)
def test_zeros_at_every_batch_end(name):
    make, dense = CASES[name]
    model = dsd.make_prunable(helpers.mlp(**dense))
    optimizer = make()
    model.compile(optimizer, "mse")
    watch = helpers.Watch()
    x, y = helpers.data()
    model.fit(
        x,
        y,
        epochs=5,
        batch_size=16,
        callbacks=[watch, dsd.DSDCallback(PHASES, verbose=0)],
        verbose=0,
    )
    assert watch.batches == 20
    assert watch.moved == 0
    assert all(np.isfinite(weight).all() for weight in model.get_weights()[:1])
    if name != "Adafactor":  # it writes its one slot anew in each step
        assert watch.stale == 0
