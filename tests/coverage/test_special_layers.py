"""Layers that are skipped, refused, changed by the user, or not Keras's own."""

import keras
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd import wrapping
from tests import helpers
from tests.coverage import cases


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
    pruned = [weight.path for weight in wrapping.pruned_weights(model)]
    assert [path.split("/")[-2] for path in pruned] == ["head"]
    kept = [why for path, why in reasons(model).items() if path not in pruned]
    assert kept and set(kept) == {ELEMENTWISE[name]}


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
    assert len(wrapping.pruned_weights(model)) == 1
