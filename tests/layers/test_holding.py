"""`hold_zeros`: zeros that came without masks stay where they are."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers


def sparse_kernel():
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((12, 16)).astype("float32")
    kernel[rng.random((12, 16)) < 0.3] = 0.0
    return kernel


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "muon"])
def test_zeros_of_weights_are_held(optimizer):
    """In layers that have any; another one trains as if it were plain."""
    model = dsd.make_prunable(helpers.mlp())
    model.compile(optimizer, "mse")
    x, y = helpers.data()
    model.fit(x, y, verbose=0)  # a step that is traced without masks, slots not fresh
    kernel = sparse_kernel()
    model.layers[0].kernel.assign(kernel)
    before = helpers.values([model.layers[1].kernel])[0]
    assert dsd.hold_zeros(model) is model
    model.fit(x, y, epochs=2, verbose=0)
    after, other = (helpers.values([layer.kernel])[0] for layer in model.layers)
    np.testing.assert_array_equal(after == 0, kernel == 0)
    assert (other != before).all()
    assert [state.in_force for state in conversion.states(model)] == [True, False]
    report = dsd.sparsity_report(model)
    assert report.masked == report.prunable_zeros == (kernel == 0).sum()


def test_until_a_dense_phase():
    model = dsd.make_prunable(helpers.mlp())
    model.compile("adam", "mse")
    model.layers[0].kernel.assign(sparse_kernel())
    dsd.hold_zeros(model)
    x, y = helpers.data()
    dense = dsd.DSDCallback([dsd.phases.Dense(1)], verbose=0)
    model.fit(x, y, verbose=0, callbacks=[dense])
    assert helpers.values([model.layers[0].kernel])[0].all()
    assert not any(state.in_force for state in conversion.states(model))


def test_bad_input():
    with pytest.raises(ValueError, match=r"make_prunable.*Received: model="):
        dsd.hold_zeros(helpers.mlp())
    with pytest.raises(TypeError, match="Received: model=3"):
        dsd.hold_zeros(3)
    unbuilt = dsd.make_prunable(keras.Sequential([keras.layers.Dense(3)]))
    with pytest.raises(ValueError, match="Received: 1 layers that are not built"):
        dsd.hold_zeros(unbuilt)
