"""`analysis.sharpness` and `gradient_flow`, against dense derivatives by NumPy."""

import json

import keras
import numpy as np
import pytest

import keras_dsd
from keras_dsd import analysis, phases
from keras_dsd.analysis._shared import evaluation
from keras_dsd.analysis.on_data.loss_derivatives import LossDerivatives
from tests import helpers
from tests.analysis.test_sensitivity import assert_same, compiled, everything

PENALTY = 0.1


def tiny(is_sparse):
    """Returns a model of 23 weights, half of the kernels' held at zero if sparse."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(
                3, "tanh", kernel_regularizer=keras.regularizers.L2(PENALTY)
            ),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(2),
        ]
    )
    callbacks = []
    if is_sparse:
        keras_dsd.make_prunable(model, track_gradients=True)
        plan = [phases.Sparse(1, sparsity=0.5)]
        callbacks = [keras_dsd.DSDCallback(plan, verbose=0)]
    compiled(model).fit(*few(), verbose=0, callbacks=callbacks)
    return model


def few():
    return helpers.data(inputs=4, outputs=2, samples=10)


def loss(vector, x, y):
    """Returns the loss of `tiny` by NumPy, of all its weights in one vector."""
    kernel, bias, last, shift = np.split(vector, np.cumsum([12, 3, 6]))
    hidden = np.tanh(x @ kernel.reshape(4, 3) + bias)
    found = hidden @ last.reshape(3, 2) + shift
    return np.mean((found - y) ** 2) + PENALTY * np.sum(kernel**2)


def by_differences(model, function=loss, step=1e-4):
    """Returns (gradient, Hessian) of the loss at a model's weights, by NumPy."""
    x, y = (one.astype("float64") for one in few())
    weights = [w for w in model.trainable_weights if not w.overwrite_with_gradient]
    at = np.concatenate([one.ravel() for one in helpers.values(weights)])
    at = at.astype("float64")
    units = step * np.eye(at.size)

    def rise(*moves):
        return function(at + sum(moves), x, y)

    gradient = [(rise(one) - rise(-one)) / (2 * step) for one in units]
    hessian = [
        [
            (rise(a, b) - rise(a, -b) - rise(-a, b) + rise(-a, -b)) / (4 * step**2)
            for b in units
        ]
        for a in units
    ]
    return np.array(gradient), np.array(hessian)


def active(model):
    """Returns which of the weights in the vector are not held at zero."""
    first, last = helpers.masks_of(model)
    ones = np.ones(3, bool), np.ones(2, bool)
    return np.concatenate([first.ravel(), ones[0], last.ravel(), ones[1]])


@pytest.mark.parametrize("is_sparse", [False, True])
def test_sharpness_is_that_of_the_dense_hessian(is_sparse):
    model, data = tiny(is_sparse), few()
    _, hessian = by_differences(model)
    if is_sparse:
        lives = active(model)
        assert lives.sum() == 14
        hessian = hessian[np.ix_(lives, lives)]
    before = everything(model)
    found = analysis.sharpness(model, data, tolerance=1e-3, batch_size=4, verbose=0)
    assert_same(before, everything(model))
    assert found.converged
    assert found.eigenvalue == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-4)
    assert found.residual <= 1e-3 * found.eigenvalue
    assert (found.weights, found.items) == (len(hessian), 10)
    assert found.vector_bytes == 4 * 23 * 4
    short = {"steps": 1, "iterations": 1, "batch_size": 4, "verbose": 0}
    once = analysis.sharpness(model, data, **short)
    assert (once.converged, once.items) == (False, 4)
    assert "NOT converged after 1 iterations" in str(once)


def test_the_largest_eigenvalue_where_another_is_of_larger_magnitude():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(loss=lambda y, found: -keras.ops.square(y - found))
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    found = analysis.sharpness(model, (x, np.ones((2, 1))), tolerance=1e-3, verbose=0)
    wanted = np.linalg.eigvalsh(-x.T @ x)
    assert found.converged
    assert found.dominant == pytest.approx(wanted[0], rel=1e-3)
    assert found.eigenvalue == pytest.approx(wanted[1], abs=1e-3 * -wanted[0])
    assert "of largest magnitude is -29.87" in str(found)


def test_gradient_flow_is_that_of_the_dense_gradient():
    model = tiny(is_sparse=True)
    gradient, _ = by_differences(model)
    masks = helpers.masks_of(model)
    before = everything(model)
    flow = analysis.gradient_flow(model, few(), batch_size=4)
    assert_same(before, everything(model))
    for row, place, mask in zip(
        flow.rows, (slice(0, 12), slice(15, 21)), masks, strict=True
    ):
        dense = gradient[place]
        assert (row.size, row.active) == (mask.size, mask.sum())
        assert row.dense_norm == pytest.approx(np.linalg.norm(dense), rel=1e-4)
        assert row.active_norm == pytest.approx(
            np.linalg.norm(dense[mask.ravel()]), rel=1e-4
        )
        assert row.share < 1
    assert flow.items == 10
    assert flow.total.active == sum(row.active for row in flow.rows)
    assert "all together" in str(flow)
    assert len(flow.plot().axes[0].patches) == 4
    assert json.loads(json.dumps(flow.to_dict()))["items"] == 10


def many_layers():
    """Returns a model of layers whose second derivatives may be hard to come by."""
    words = keras.Input((4,), dtype="int32")
    x = keras.layers.Embedding(11, 8, "normal")(words)
    x = keras.layers.MultiHeadAttention(2, 4)(x, x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(words, keras.layers.Dense(3, "softmax")(x))


def test_products_with_the_hessian_of_many_layers(rng):
    model = many_layers()
    model.compile(loss="sparse_categorical_crossentropy")
    data = rng.integers(0, 11, (8, 4)), rng.integers(0, 3, (8,))
    weights = model.trainable_weights
    batches = list(evaluation.batches(data))
    model.test_on_batch(*data)
    derivatives = LossDerivatives(model, weights)
    vectors = [
        rng.standard_normal(tuple(one.shape)).astype("float32") for one in weights
    ]
    tensors = list(map(keras.ops.convert_to_tensor, vectors))
    found = helpers.values(derivatives.hessian_product(tensors, batches))
    values, step = helpers.values(weights), 1e-3

    def moved(by):
        for weight, value, vector in zip(weights, values, vectors, strict=True):
            weight.assign(value + by * vector)
        return helpers.values(derivatives.gradient(batches)[0])

    ends = zip(moved(step), moved(-step), strict=True)
    wanted = [(one - other) / (2 * step) for one, other in ends]
    pairs = zip(found, wanted, strict=True)
    error = np.linalg.norm([np.linalg.norm(a - b) for a, b in pairs])
    assert error < 0.01 * np.linalg.norm([np.linalg.norm(one) for one in wanted])


@pytest.mark.one_backend
def test_bad_input():
    x, y = helpers.data()
    model = compiled(helpers.mlp())
    frozen = compiled(helpers.mlp())
    frozen.trainable = False
    for changes, received in (
        ({"model": 3}, "Received: model of type int"),
        ({"model": helpers.mlp()}, "Received: model="),
        ({"model": frozen}, "Received: model="),
        ({"data": iter([(x, y)])}, "Received: data of type"),
        ({"data": (x, y[:, :3])}, "Received: a batch"),
        ({"data": (x[:0], y[:0])}, "Received: data without items"),
        ({"steps": 0}, "Received: steps=0"),
        ({"iterations": 0}, "Received: iterations=0"),
        ({"tolerance": 0.0}, "Received: tolerance=0.0"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"verbose": "no"}, "Received: verbose='no'"),
    ):
        arguments = {"model": model, "data": (x, y), "verbose": 0, **changes}
        with pytest.raises((TypeError, ValueError), match=received):
            analysis.sharpness(**arguments)
    with pytest.raises(ValueError, match=r"make_prunable.*Received: model="):
        analysis.gradient_flow(model, (x, y))
    model.weights[2].assign(np.full((16, 4), np.nan))
    with pytest.raises(ValueError, match=r"not finite.*Received: a product"):
        analysis.sharpness(model, (x, y), verbose=0)
