"""Rule 3: the optimizer sees the gradient of the sparse model, zero where pruned."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import backend
from keras_dsd.layers.gradients import masked_read
from tests import helpers


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("clip", [{}, {"global_clipnorm": 0.01}, {"clipnorm": 0.01}])
def test_gradient_that_arrives(clip, compiled):
    """One step equals the step on a model whose pruned inputs have no effect at all."""
    if compiled and keras.backend.backend() == "torch":
        pytest.skip("Keras compiles PyTorch's steps with tools that are not here")
    x, y = helpers.data()
    model = dsd.make_prunable(helpers.mlp())
    start = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1, **clip), "mse", jit_compile=compiled)
    phases = [dsd.phases.Sparse(1, sparsity=0.5)]
    model.fit(
        x, y, batch_size=64, verbose=0, callbacks=[dsd.DSDCallback(phases, verbose=0)]
    )
    masks = helpers.masks_of(model)
    trained = helpers.values(dsd.strip(model).trainable_variables)

    expected = reference_step(x, y, start, masks, clip)
    for got, want in zip(trained, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its graphs")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradients_are_chosen_in_place_unless_xla_compiles(jit_compile):
    import tensorflow as tf

    function = tf.function(backend.masked_gradient, jit_compile=jit_compile)
    mask = tf.constant([True, False, True])
    args = tf.constant([1.0, np.nan, np.inf]), mask, tf.constant([3.0, 0.0, 4.0])
    assert function(*args).numpy().tolist() == [1.0, 0.0, np.inf]
    graph = function.get_concrete_function(*args).graph
    found = {operation.type for operation in graph.get_operations()}
    assert ("Select" in found) != jit_compile
    assert ("SelectV2" in found) == jit_compile


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


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_laying_a_mask(dtype):
    """Zeros are +0.0 even over NaN, infinity and negative numbers, in any layout."""
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless told so")
    values = np.array([[1.5, -2.0, np.nan], [-0.0, np.inf, -3.0]])
    mask = np.array([[True, False, False], [False, False, True]])
    value = keras.ops.transpose(keras.ops.cast(values.T, dtype))
    found = backend.masked(value, keras.ops.convert_to_tensor(mask))
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    found = keras.ops.convert_to_numpy(keras.ops.cast(found, "float32"))
    np.testing.assert_array_equal(found, [[1.5, 0, 0], [0, 0, -3]])
    assert not np.signbit(found[~mask]).any()


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="written with torch")
def test_gradient_of_a_gradient():
    """A penalty on gradients sees the masks too."""
    import torch

    weight = torch.tensor([2.0, 3.0], requires_grad=True)
    mask = torch.tensor([True, False])
    read = masked_read(weight, mask)
    (gradient,) = torch.autograd.grad((read**3).sum(), weight, create_graph=True)
    assert gradient.tolist() == [12.0, 0.0]
    (again,) = torch.autograd.grad(gradient.sum(), weight)
    assert again.tolist() == [12.0, 0.0]
