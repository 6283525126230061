"""Configs of prunable layers are configs of their classes, and say what is prunable."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd.layers import conversion, layer_configs
from tests.coverage import cases


class Terse(layers.Dense):
    """Writes a config without a dtype, and reads what it wrote."""

    def get_config(self):
        return {"name": self.name, "units": self.units}


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(4, dtype="mixed_float16"),
        lambda: layers.LSTM(3, dtype="bfloat16"),
        lambda: layers.MultiHeadAttention(2, 3),
    ],
)
def test_the_plain_class_reads_it(make):
    plain, layer = make(), dsd.Prunable(make(), sparsity=0.25, pattern="2:4")
    again = type(plain).from_config({**layer.get_config(), "name": plain.name})
    assert type(again) is type(plain)
    assert again.get_config() == plain.get_config()


@pytest.mark.parametrize("make", [lambda: layers.Dense(4), lambda: Terse(4)])
def test_the_class_of_the_layer_reads_all_of_it(make):
    layer = dsd.Prunable(make(), sparsity=0.25, pattern="2:4", track_gradients=True)
    stored = json.loads(json.dumps(layer.get_config()))
    with keras.saving.custom_object_scope({"Terse": Terse}):
        again = type(layer).from_config(stored)
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    again.build((None, 8))
    (weight,) = conversion.pruned_weights(again)
    assert (weight.sparsity, str(weight.pattern)) == (0.25, "NM(n=2, m=4)")
    assert weight.gradient is not None


def test_a_config_with_another_dtype_makes_a_prunable_layer():
    layer = dsd.Prunable(layers.Dense(4))
    again = type(layer).from_config({**layer.get_config(), "dtype": "float16"})
    assert isinstance(again, dsd.Prunable) and again.compute_dtype == "float16"
    again.build((None, 8))
    assert len(conversion.pruned_weights(again)) == 1


def test_a_class_is_named_as_keras_names_its_objects():
    for layer in (layers.Dense(4), Terse(4)):
        expected = keras.saving.serialize_keras_object(layer)
        found = dsd.Prunable(layer).get_config()
        options = found.get("dtype", found)[layer_configs.KEY]["layer"]
        assert options == {key: expected[key] for key in options}


PRUNABLE = sorted(set(cases.classes()) & set(cases.CASES) - {"JaxLayer"})


@pytest.mark.parametrize("name", PRUNABLE)
def test_every_layer_of_keras_is_read_by_its_class(name):
    """Made prunable, built or not, its config makes the plain layer that it was."""
    make, _ = cases.CASES[name]
    layer = make()
    if isinstance(layer, (layers.Bidirectional, layers.TimeDistributed)):
        pytest.skip("not prunable by itself")
    expected, plain = layer.get_config(), type(layer)
    made = dsd.Prunable(layer)
    again = plain.from_config(made.get_config())
    assert type(again) is plain
    assert again.get_config() == expected


def test_an_unbuilt_layer_is_pickled():
    import pickle

    layer = dsd.Prunable(layers.Dense(3), sparsity=0.5)
    again = pickle.loads(pickle.dumps(layer))
    assert again.get_config() == layer.get_config()
    again(np.ones((2, 4), "float32"))
    assert len(conversion.pruned_weights(again)) == 1
