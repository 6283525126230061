"""The digest of what is written into a file: damage is noticed and named."""

import h5py
import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion, digest
from tests import helpers

pytestmark = pytest.mark.portable


def arrays():
    return {"mask_0": np.array([[True, False]]), "position": np.arange(3, dtype="i4")}


def test_known_value():
    """What one release writes the next one reads."""
    found = bytes(digest.of(arrays())).hex()
    assert found == KNOWN


KNOWN = "fb8fc9e9aab622a3053967effb55a981ab8caef7e5002d96c122f15e19c49d8b"


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(mask_0=~a["mask_0"]),
        lambda a: a.update(mask_0=a["mask_0"].T),
        lambda a: a.update(mask_1=a.pop("mask_0")),
        lambda a: a.update(position=a["position"].astype("u4")),
        lambda a: a.pop("position"),
    ],
)
def test_any_change_shows(change):
    changed = arrays()
    change(changed)
    with pytest.raises(ValueError, match=r"'dense' is not what was written.*of file"):
        digest.check(changed, digest.of(arrays()), "dense", "file")
    digest.check(changed, digest.of(changed), "dense")


@pytest.fixture(scope="module")
def trained():
    """Returns a model that has everything which is written beside the weights."""
    model = dsd.make_prunable(helpers.mlp(), track_gradients=True)
    model.compile("sgd", "mse")
    x, y = helpers.data()
    sparse = dsd.phases.Sparse(
        2, sparsity=0.5, regrowth="rigl", update_every=1, schedule="one_shot"
    )
    plan = [sparse, dsd.phases.Redense(1, restore="rewind")]
    callback = dsd.DSDCallback(plan, verbose=0)
    with pytest.warns(UserWarning, match="will not be trained"):
        model.fit(x, y, epochs=2, batch_size=16, verbose=0, callbacks=[callback])
    return model


KINDS = ("mask_0", "position", "rewind_0", "explored_0", "gradient_0")


@pytest.mark.parametrize("name", KINDS)
def test_a_flipped_bit_of_each_kind_is_refused(name, trained, tmp_path):
    """With the layer, and the file; before anything of the layer has changed."""
    path = tmp_path / "model.weights.h5"
    trained.save_weights(path)
    with h5py.File(path, "r+") as file:
        group = file["layers/dense_1/pruning_state/vars"]
        assert set(group) >= {*KINDS, digest.NAME}
        values = group[name][()]
        flat = values.reshape(-1).view("u1")
        flat[0] ^= 1
        group[name][...] = values
    state = conversion.states(trained)[1]
    before = helpers.values(state.variables)
    with pytest.raises(ValueError, match="is damaged") as caught:
        trained.load_weights(path)
    layer = trained.layers[1].path
    assert f"masks of layer '{layer}'" in str(caught.value)
    assert str(path) in str(caught.value)
    for one, other in zip(before, helpers.values(state.variables), strict=True):
        np.testing.assert_array_equal(one, other)


def test_in_a_model_file(trained, tmp_path):
    """Whatever reads the archive: here it is written whole, with other weights."""
    path = tmp_path / "model.keras"
    state = conversion.states(trained)[0]
    write = state.save_own_variables

    def damaged(store):
        write(store)
        mask = store["mask_0"]
        del store["mask_0"]
        store["mask_0"] = ~mask

    object.__setattr__(state, "save_own_variables", damaged)
    try:
        trained.save(path)
    finally:
        object.__delattr__(state, "save_own_variables")
    with pytest.raises(ValueError, match=r"masks of layer '.*dense"):
        keras.models.load_model(path)


def test_loads_again(trained, tmp_path):
    for name in ("model.weights.h5", "model.keras"):
        (trained.save_weights if "weights" in name else trained.save)(tmp_path / name)
    trained.load_weights(tmp_path / "model.weights.h5")
    other = keras.models.load_model(tmp_path / "model.keras")
    for one, two in zip(
        conversion.states(trained), conversion.states(other), strict=True
    ):
        for a, b in zip(one.variables, two.variables, strict=True):
            np.testing.assert_array_equal(*helpers.values([a, b]))
