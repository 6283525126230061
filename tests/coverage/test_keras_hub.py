"""Backbones of KerasHub, small, where it is installed: `pip install keras-hub`."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers
from tests.coverage import guarantees

hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed")

TEXT = {"vocabulary_size": 20, "num_layers": 2}
BACKBONES = {
    "BertBackbone": {
        **TEXT,
        "num_heads": 2,
        "hidden_dim": 8,
        "intermediate_dim": 12,
        "max_sequence_length": 6,
    },
    "GPT2Backbone": {
        **TEXT,
        "num_heads": 2,
        "hidden_dim": 8,
        "intermediate_dim": 12,
        "max_sequence_length": 6,
    },
    "LlamaBackbone": {
        **TEXT,
        "num_query_heads": 2,
        "num_key_value_heads": 1,
        "hidden_dim": 8,
        "intermediate_dim": 12,
    },
    "MixtralBackbone": {
        **TEXT,
        "num_query_heads": 2,
        "num_key_value_heads": 1,
        "hidden_dim": 8,
        "intermediate_dim": 12,
        "num_experts": 2,
        "top_k": 1,
    },
    "T5Backbone": {**TEXT, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 12},
    "ViTBackbone": {
        "image_shape": (8, 8, 3),
        "patch_size": 4,
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 8,
        "mlp_dim": 12,
    },
}


def inputs_of(model):
    """Returns random inputs by the names that the model gives them."""
    rng = np.random.default_rng(0)

    def one(spec):
        shape = [4, *(6 if size is None else size for size in spec.shape[1:])]
        if "int" not in spec.dtype:
            return rng.uniform(size=shape).astype("float32")
        below = 2 if "segment" in spec.name else 20
        if "mask" in spec.name:
            return np.ones(shape, "int32")
        return rng.integers(0, below, shape).astype("int32")

    return keras.tree.map_structure(one, model.input)


@pytest.mark.parametrize("name", BACKBONES)
def test_wrapped_trained_saved_and_stripped(name, tmp_path):
    model = getattr(hub.models, name)(**BACKBONES[name])
    x = inputs_of(model)
    before, outputs = guarantees.outside(model), guarantees.predict(model, x)
    dsd.make_prunable(model)
    guarantees.assert_equal(guarantees.predict(model, x), outputs)
    model.compile("adam", "mse", run_eagerly=True)
    guarantees.fit(model, x, [dsd.phases.Sparse(1, sparsity=0.5)])
    pruned = conversion.pruned_weights(model)
    assert pruned
    for mask in helpers.masks_of(model):
        assert np.count_nonzero(~mask) == mask.size // 2
    outputs = guarantees.predict(model, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    guarantees.assert_equal(guarantees.predict(dsd.strip(loaded), x), outputs)
    dsd.strip(model)
    assert guarantees.outside(model) == before
    guarantees.assert_equal(guarantees.predict(model, x), outputs)
