"""NumPy and the backend's programs come to the same masks, weights and slots."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import backend
from keras_dsd.layers import conversion
from keras_dsd.training import arithmetic
from tests import helpers

PLANS = {
    "dsd": [
        dsd.phases.Sparse(2, sparsity=0.6, schedule="linear", distribution="global"),
        dsd.phases.Redense(1, restore="rewind"),
        dsd.phases.Sparse(1, sparsity=0.3),
        dsd.phases.Redense(1, restore="random"),
    ],
    "regrowth": [
        dsd.phases.Sparse(2, sparsity=0.5, regrowth="rigl", update_every=3),
        dsd.phases.Sparse(
            2, sparsity=0.7, regrowth=dsd.regrowth.GraNet(), update_every=3
        ),
        dsd.phases.Sparse(
            2, sparsity=0.5, regrowth=dsd.regrowth.MEST(soft_bound=0.1), update_every=3
        ),
        dsd.phases.Sparse(1, sparsity=0.5, regrowth="snfs", update_every=3),
        dsd.phases.Sparse(
            3,
            sparsity=0.4,
            regrowth=dsd.regrowth.MEST(growth="gradient", gradient_factor=0.3),
            update_every=1,
        ),
    ],
}


def trained(plan):
    keras.utils.set_random_seed(1)
    # Named, for random draws depend on the weights' paths.
    layers = [keras.layers.Dense(n, name=f"dense_of_{n}") for n in (24, 20, 5)]
    model = keras.Sequential([keras.Input((12,)), *layers], name="model")
    dsd.make_prunable(model, track_gradients=True)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 12)), rng.standard_normal((64, 5))
    epochs = sum(phase.epochs for phase in plan)
    callback = dsd.DSDCallback(plan, verbose=0)
    fit = model.fit(x, y, 16, epochs, verbose=0, shuffle=False, callbacks=[callback])
    variables = [*model.variables, *model.optimizer.variables]
    return fit.history, [(v.name, keras.ops.convert_to_numpy(v)) for v in variables]


@pytest.mark.parametrize("name", PLANS)
def test_both_come_to_the_same_bits(name, monkeypatch):
    history, values = trained(PLANS[name])
    helpers.reckon_as_large_models(monkeypatch)
    wanted_history, wanted = trained(PLANS[name])
    assert history == wanted_history
    for (name, value), (_, other) in zip(values, wanted, strict=True):
        np.testing.assert_array_equal(value, other, err_msg=name)


@pytest.mark.parametrize(
    ("units", "dtype", "expected"),
    [
        (32, "float32", arithmetic.ByNumPy),
        (32, "bfloat16", arithmetic.ByBackend),
        (1 << 17, "float32", arithmetic.ByBackend),
    ],
)
def test_numpy_is_for_small_models(units, dtype, expected, monkeypatch):
    monkeypatch.setattr(backend._module, "is_near", lambda variable: True)
    layer = keras.layers.Dense(units, dtype=dtype)
    model = dsd.make_prunable(keras.Sequential([keras.Input((8,)), layer]))
    assert arithmetic.of(conversion.pruned_weights(model)) is expected
