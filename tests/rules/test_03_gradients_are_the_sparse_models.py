"""Rule 3: the optimizer sees the gradient of the sparse model, zero where pruned."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from tests import helpers


@pytest.mark.parametrize("clip", [{}, {"global_clipnorm": 0.01}, {"clipnorm": 0.01}])
def test_gradient_that_arrives(clip):
    """One step equals the step on a model whose pruned inputs have no effect at all."""
    x, y = helpers.data()
    model = dsd.make_prunable(helpers.mlp())
    start = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1, **clip), "mse")
    phases = [dsd.phases.Sparse(1, sparsity=0.5)]
    model.fit(
        x, y, batch_size=64, verbose=0, callbacks=[dsd.DSDCallback(phases, verbose=0)]
    )
    masks = helpers.masks_of(model)
    trained = helpers.values(dsd.strip(model).trainable_variables)

    expected = reference_step(x, y, start, masks, clip)
    for got, want in zip(trained, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def reference_step(x, y, start, masks, clip):
    """One SGD step of the two-layer model, by hand, in NumPy."""
    plain = helpers.mlp()
    w1, b1, w2, b2 = (v.astype("float64") for v in start_trainables(start, plain))
    m1, m2 = masks
    w1, w2 = w1 * m1, w2 * m2
    hidden = np.maximum(x @ w1 + b1, 0)
    error = 2 * (hidden @ w2 + b2 - y) / y.size
    back = (error @ w2.T) * (hidden > 0)
    gradients = [x.T @ back * m1, back.sum(0), hidden.T @ error * m2, error.sum(0)]
    if "global_clipnorm" in clip:
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        gradients = [g * min(1, clip["global_clipnorm"] / norm) for g in gradients]
    if "clipnorm" in clip:
        gradients = [
            g * min(1, clip["clipnorm"] / np.sqrt((g**2).sum())) for g in gradients
        ]
    return [w - 0.1 * g for w, g in zip((w1, b1, w2, b2), gradients, strict=True)]


def start_trainables(start, plain):
    """Picks the plain model's weights from those of the wrapped model."""
    shapes = [tuple(v.shape) for v in plain.weights]
    floats = [w for w in start if w.dtype == np.float32]
    assert [w.shape for w in floats] == shapes
    return floats
