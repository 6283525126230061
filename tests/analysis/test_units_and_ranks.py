"""`analysis.dead_neurons`, `effective_rank` and `weight_norms`, against NumPy."""

import json

import keras
import numpy as np
import pytest

from keras_dsd import analysis
from tests import helpers


def with_dead_units():
    """Returns a model with units that are dead, each in its own way."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 5)),
            keras.layers.Conv2D(4, 3),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            helpers.mlp(inputs=64),
            keras.layers.Dense(3),
        ]
    )
    convolution, dense = model.layers[0], model.layers[-1]
    kernel, bias = helpers.values(convolution.weights)
    kernel[..., 1], bias[1] = 0, -1  # after the ReLU always 0
    kernel[..., 2], bias[2] = 0, 2  # always 2
    convolution.set_weights([kernel, bias])
    kernel, bias = helpers.values(dense.weights)
    kernel[0] = 0
    dense.set_weights([kernel, bias])
    return model


def test_dead_neurons(rng):
    model = with_dead_units()
    before = helpers.values(model.variables)
    x = rng.standard_normal((20, 6, 6, 5)).astype("float32")
    found = analysis.dead_neurons(model, (x, x), batch_size=8)
    for old, new in zip(before, helpers.values(model.variables), strict=True):
        assert np.array_equal(old, new)
    convolution, relu, dense = found.layers
    assert (convolution.zero, convolution.constant) == ([], [1, 2])
    assert (relu.zero, relu.constant, relu.units) == ([1], [2], 4)
    assert (dense.zero, dense.constant) == ([], [])
    assert list(found.skipped.values()) == ["a model: look at it by itself"]
    assert [row.no_incoming for row in found.weights] == [[1, 2], [], [], []]
    assert [row.no_outgoing for row in found.weights] == [[], [], [], [0]]
    assert found.items == 20
    assert "Not looked at: sequential" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["layers"][1]["zero"] == [1]
    assert len(found.plot().axes[0].patches) == 6


@pytest.mark.one_backend
def test_a_unit_that_one_item_wakes_is_not_dead():
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(2, activation="relu")]
    )
    model.set_weights([np.array([[1, -1]]), np.zeros(2)])
    x = np.array([[1.0]] * 9 + [[-1.0]])
    assert analysis.dead_neurons(model, (x[:9], x[:9]), batch_size=3).layers[
        0
    ].zero == [1]
    assert analysis.dead_neurons(model, (x, x), batch_size=3).layers[0].zero == []


@pytest.mark.one_backend
def test_all_calls_of_a_layer_in_this_model_count():
    shared = keras.layers.Dense(2, activation="relu", use_bias=False)
    shared(keras.Input((2,)))  # of no model
    inputs = keras.Input((2,))
    counted = keras.layers.Embedding(3, 4)(keras.ops.cast(inputs, "int32"))
    model = keras.Model(inputs, [shared(shared(inputs)), counted])
    shared.set_weights([np.array([[-1, 1], [0, 0]])])
    x = np.ones((3, 2))
    dense, _ = analysis.dead_neurons(model, (x, x)).layers
    # Of the first call unit 1 is always 1, of the second always 0.
    assert (dense.zero, dense.constant) == ([0], [])


def test_effective_rank(rng):
    model = helpers.mlp()
    values = [
        rng.standard_normal((12, 2)) @ rng.standard_normal((2, 16)),
        np.eye(16, 4),
    ]
    kernels = [one for one in model.weights if one.name == "kernel"]
    for kernel, value in zip(kernels, values, strict=True):
        kernel.assign(value.astype("float32"))
    low, full = analysis.effective_rank(model).rows
    singular = np.linalg.svd(helpers.values(kernels)[0].astype("float64"))[1]
    shares = singular / singular.sum()
    assert low.effective == pytest.approx(np.prod(shares**-shares))
    assert low.effective < 2.001
    assert low.stable == pytest.approx((singular**2).sum() / singular[0] ** 2)
    assert (low.shape, low.most) == ((12, 16), 12)
    assert (full.effective, full.stable, full.most) == (pytest.approx(4), 4.0, 4)
    kernels[0].assign(np.zeros((12, 16)))
    found = analysis.effective_rank(model)
    assert (found.rows[0].effective, found.rows[0].stable) == (0.0, 0.0)
    assert "12x16" in str(found)
    assert len(found.plot().axes[0].patches) == 4
    assert found.to_dict()["rows"][0]["most"] == 12


@pytest.mark.one_backend
def test_weight_norms():
    model = helpers.mlp()
    values = helpers.values(model.weights)
    values[0][:6] = 0
    model.set_weights(values)
    norms = analysis.weight_norms(model)
    assert [row.path for row in norms.rows] == [one.path for one in model.weights]
    kernel = norms.rows[0]
    assert (kernel.size, kernel.nonzero) == (192, 96)
    assert kernel.norm == pytest.approx(np.linalg.norm(values[0]))
    assert kernel.rms == pytest.approx(np.sqrt(np.mean(values[0][6:] ** 2)))
    assert kernel.largest == np.abs(values[0]).max()
    assert norms.rows[1].rms == 0
    everything = np.concatenate([one.ravel() for one in values])
    assert norms.total == pytest.approx(np.linalg.norm(everything))
    assert "All together" in str(norms)
    assert len(norms.plot().axes[0].patches) == 4
    assert norms.to_dict()["total"] == norms.total


@pytest.mark.one_backend
def test_bad_input():
    x = np.ones((8, 12))
    plain = keras.Sequential([keras.Input((3,)), keras.layers.ReLU()])
    unbuilt = keras.Sequential([keras.layers.Dense(3)])

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    own = Own()
    own(x)
    for function in (analysis.weight_norms, analysis.effective_rank):
        for model in (3, unbuilt, plain):
            with pytest.raises((TypeError, ValueError), match="Received: model"):
                function(model)
    for model, data, received in (
        (plain, (x, x), "Received: model="),
        (own, (x, x), "Received: model="),
        (helpers.mlp(), (x[:, :3], x), "Received: a batch of x of shape"),
        (helpers.mlp(), (x[:0], x[:0]), "Received: data without items"),
        (helpers.mlp(), None, "Received: data of type"),
    ):
        with pytest.raises((TypeError, ValueError), match=received):
            analysis.dead_neurons(model, data)
    model = helpers.mlp()
    model.weights[0].assign(np.full((12, 16), np.inf))
    with pytest.raises(ValueError, match=r"Received: .*kernel with NaN or infinity"):
        analysis.effective_rank(model)
