"""Every layer of `keras.layers`, found at run time, alone and within others."""

import keras
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion, eligibility
from tests.coverage import cases, guarantees

CLASSES = cases.classes()
PRUNABLE = [name for name in CLASSES if name in cases.CASES]


def made(name):
    if name == "JaxLayer":
        pytest.importorskip("jax", reason="JAX is not installed")
        if keras.backend.backend() == "torch":
            pytest.skip("Keras has no JaxLayer on PyTorch")
    make, x = cases.CASES[name]
    return make(), x


@pytest.mark.parametrize("name", PRUNABLE)
def test_alone(name, tmp_path):
    layer, x = made(name)
    guarantees.check(guarantees.functional(layer, x), x, path=tmp_path)


@pytest.mark.parametrize("name", PRUNABLE)
def test_by_hand_before_it_is_built(name):
    """The weights have the paths and values that they would have had, and the masks."""
    layer, x = made(name)
    if eligibility.lists_its_layers(layer):
        with pytest.raises(ValueError, match="that lists them"):
            dsd.Prunable(layer)
        return
    plain = guarantees.functional(layer, x)
    expected = guarantees.predict(plain, x)
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    layer = made(name)[0]
    model = guarantees.functional(dsd.Prunable(layer, sparsity=0.25), x)
    assert [weight.path for weight in guarantees.own_weights(model)] == [
        weight.path for weight in plain.weights
    ]
    guarantees.assert_equal(guarantees.predict(model, x), expected)
    assert {weight.sparsity for weight in conversion.pruned_weights(model)} == {0.25}
    dsd.strip(model)
    assert guarantees.outside(model)[0] == guarantees.outside(plain)[0]
    assert model.get_config() == plain.get_config()


@pytest.mark.parametrize(
    "name", [n for n in CLASSES if n not in cases.CASES and n not in cases.ELSEWHERE]
)
def test_no_layer_is_forgotten(name):
    """A layer with something to prune, new in Keras, is to be added to the table."""
    try:
        found = cases.found_by_trial(CLASSES[name])
    except Exception as error:
        pytest.fail(
            f"Nobody knows whether keras.layers.{name} has weights to prune, for it "
            f"can't be made ({error}). Add it to CASES, or how it is made to ARGUMENTS "
            "or OPTIONS in tests/coverage/cases.py."
        )
    assert not found, (
        f"keras.layers.{name} has weights to prune, of shapes {sorted(found)}, and no "
        "test. Add it to CASES in tests/coverage/cases.py."
    )
