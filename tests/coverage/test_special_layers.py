"""Layers that are skipped, refused, changed by the user, or not Keras's own."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers
from tests.coverage import cases, guarantees


def reasons(model):
    return {row.path: row.reason for row in dsd.sparsity_report(model).rows}


ELEMENTWISE = {
    "LayerNormalization": "normalization",
    "PReLU": "slopes of an activation",
    "RMSNormalization": "normalization",
    "STFTSpectrogram": "Fourier transform",
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_weights_that_are_no_connections_stay_dense_by_default(name):
    make, x = cases.CASES[name]
    model = keras.Sequential([keras.Input(x[0].shape[1:]), make()])
    model.add(layers.Flatten())
    model.add(layers.Dense(3, name="head"))
    dsd.make_prunable(model)
    pruned = [weight.path for weight in conversion.pruned_weights(model)]
    assert [path.split("/")[-2] for path in pruned] == ["head"]
    kept = [why for path, why in reasons(model).items() if path not in pruned]
    assert kept and set(kept) == {ELEMENTWISE[name]}


def test_what_is_a_convolution_of_the_picture():
    """Channels are those that are read: of all groups, of the transposed kernel too."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.Conv2D(8, 3, groups=4, name="first"),
            layers.Conv2D(8, 3, groups=8, name="grouped"),
            layers.Conv2DTranspose(3, 3, name="painter"),
            layers.Conv2DTranspose(6, 3, name="reader"),
            layers.EinsumDense("bhwc,hwcd->bd", 5, name="einsum"),
        ],
        name="net",
    )
    dsd.make_prunable(model)
    assert reasons(model) == {
        "net/first/kernel": "depthwise convolution",
        "net/grouped/kernel": "depthwise convolution",
        "net/painter/kernel": None,
        "net/reader/kernel": "convolution of the picture (3 channels)",
        "net/einsum/kernel": None,
    }


def dense(layer):
    return keras.Sequential(
        [keras.Input((8,)), layer, layers.Dense(4, name="head")], name="net"
    )


def test_a_module_of_pytorch_is_skipped_with_a_reason():
    """Its call reads the module's own parameters, so no mask would be seen."""
    if keras.backend.backend() != "torch":
        pytest.skip("needs the PyTorch backend")
    import torch

    model = dense(layers.TorchModuleWrapper(torch.nn.Linear(8, 6)))
    model(cases.floats(4, 8))
    dsd.make_prunable(model)
    assert list(reasons(model).values()) == ["held by a PyTorch module", None]
    with pytest.raises(ValueError, match="no weight to prune"):
        dsd.Prunable(layers.TorchModuleWrapper(torch.nn.Linear(8, 6)))


def test_a_saved_model_is_skipped_with_a_reason(tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras has TFSMLayer on TensorFlow only")
    helpers.mlp(8, 8).export(tmp_path / "saved", verbose=False)
    model = dense(layers.TFSMLayer(str(tmp_path / "saved")))
    dsd.make_prunable(model)
    assert set(reasons(model).values()) == {"held by a SavedModel", None}
    assert len(conversion.pruned_weights(model)) == 1


def test_quantized_layers_are_skipped_with_a_reason(tmp_path):
    model = dense(layers.Dense(6, name="first"))
    model.layers[0].quantize("int8")
    guarantees.check(
        model, [cases.floats(16, 8)], wrap=dsd.make_prunable, path=tmp_path
    )
    assert reasons(model)["net/first/kernel"] == "dtype int8"
    dsd.make_prunable(model)
    assert len(conversion.pruned_weights(model)) == 1
    with pytest.raises(ValueError, match="dtype int8"):
        dsd.make_prunable(dsd.strip(model), strict=True)


def test_float8_layers_are_pruned_as_others(tmp_path):
    model = dense(layers.Dense(6, name="first"))
    model.layers[0].quantize("float8")
    guarantees.check(model, [cases.floats(16, 8)], path=tmp_path)


def test_a_wrapped_model_is_not_quantized_in_silence():
    model = dsd.make_prunable(dense(layers.Dense(6)))
    with pytest.raises(ValueError, match=r"strip\(model\).*mode='int8'"):
        model.quantize("int8")
    with pytest.raises(NotImplementedError):  # Keras's own, of subclasses
        model.layers[0].quantize("int8")
    assert all(layer.quantization_mode is None for layer in model.layers)
    x = [cases.floats(16, 8)]
    model.compile("adam", "mse", run_eagerly=True)
    guarantees.fit(model, x, [dsd.phases.Sparse(1, sparsity=0.5)])
    masks = helpers.masks_of(model)
    dsd.strip(model).quantize("int8")
    for layer, mask in zip(model.layers, masks, strict=True):
        kernel = helpers.values([layer.kernel])[0]
        assert layer.quantization_mode == "int8"
        assert not kernel[~mask].any() and kernel.any()


def test_lora_before_wrapping(tmp_path):
    """The base is frozen, so it is skipped; the update's factors are weights."""
    model = dense(layers.Dense(6, name="first"))
    first = model.layers[0]
    first.enable_lora(2)
    first.lora_kernel_b.assign(cases.floats(2, 6))
    x = [cases.floats(16, 8)]
    dsd.make_prunable(model)
    assert reasons(model)["net/first/kernel"] == "not trainable"
    assert len(conversion.pruned_weights(model)) == 3
    base = helpers.values([first._kernel])[0]
    model.compile("adam", "mse", run_eagerly=True)
    guarantees.fit(model, x, [dsd.phases.Sparse(1, sparsity=0.5)])
    for weight, mask in zip(
        conversion.pruned_weights(model), helpers.masks_of(model), strict=True
    ):
        assert np.count_nonzero(~mask) == mask.size // 2
        assert not helpers.values([weight.variable])[0][~mask].any()
    np.testing.assert_array_equal(helpers.values([first._kernel])[0], base)
    outputs = guarantees.predict(model, x)
    # Keras merges the update into the kernel that it saves, which rounds.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        guarantees.predict(loaded, x)[0], outputs[0], rtol=1e-5, atol=1e-6
    )
    guarantees.assert_equal(guarantees.predict(dsd.strip(model), x), outputs)
    assert first.lora_enabled and type(first) is layers.Dense


def test_lora_after_wrapping_saves_and_strips(tmp_path):
    model = dsd.make_prunable(dense(layers.Dense(6, name="first")))
    x = [cases.floats(16, 8)]
    model.compile("adam", "mse", run_eagerly=True)
    guarantees.fit(model, x, [dsd.phases.Sparse(1, sparsity=0.5)])
    model.layers[0].enable_lora(2)
    model.compile("adam", "mse", run_eagerly=True)
    guarantees.fit(model, x, [dsd.phases.Sparse(1, sparsity=0.5)] * 2, initial_epoch=1)
    outputs = guarantees.predict(model, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        guarantees.predict(loaded, x)[0], outputs[0], rtol=1e-5, atol=1e-6
    )
    guarantees.assert_equal(guarantees.predict(dsd.strip(model), x), outputs)
