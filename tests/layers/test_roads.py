"""The roads by which weights get from one model to another, and what then holds.

The table of `docs/how_it_works.md`, row by row: whether masks travel, whether zeros are
still there after a plain `fit`, and that `sparsity_report` tells what the weights are.
"""

import copy
import pickle

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers

SPARSE = [dsd.phases.Sparse(1, sparsity=0.5)]


def new():
    model = dsd.make_prunable(helpers.mlp())
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def fit(model, plan=(), **options):
    x, y = helpers.data()
    callbacks = [dsd.DSDCallback(plan, verbose=0)] if plan else []
    return model.fit(x, y, verbose=0, callbacks=callbacks, **options).history


def model_file(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def weights_file(model, folder):
    model.save_weights(folder / "model.weights.h5")
    other = new()
    other.load_weights(folder / "model.weights.h5")
    return other


def checkpoint(model, folder):
    tf = pytest.importorskip("tensorflow")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("variables of TensorFlow alone")
    path = tf.train.Checkpoint(model=model).save(folder / "model")
    other = new()
    other.optimizer.build(other.trainable_variables)
    tf.train.Checkpoint(model=other).restore(path).assert_existing_objects_matched()
    return other


def arrays(model, folder):
    other = new()
    other.set_weights(model.get_weights())
    return other


def clone(model, folder):
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    other.compile("adam", "mse")
    return other


def legacy_model_file(model, folder):
    keras.config.enable_unsafe_deserialization()
    model.save(folder / "model.h5")
    other = keras.models.load_model(folder / "model.h5", compile=False)
    other.compile("adam", "mse")
    return other


def legacy_weights_file(model, folder):
    model.save(folder / "model.h5")
    other = new()
    other.load_weights(folder / "model.h5")
    return other


ROADS = {  # name: (road, whether masks travel, whether they are in force at once)
    "keras": (model_file, True, True),
    "weights.h5": (weights_file, True, True),
    "pickle": (lambda model, folder: pickle.loads(pickle.dumps(model)), True, True),
    "deepcopy": (lambda model, folder: copy.deepcopy(model), True, True),
    "checkpoint": (checkpoint, True, False),
    "set_weights": (arrays, False, False),
    "clone_model": (clone, False, False),
    "legacy model": (legacy_model_file, False, False),
    "legacy weights": (legacy_weights_file, False, False),
}


def zeros(model):
    return [
        int(np.count_nonzero(helpers.values([weight.variable])[0] == 0))
        for weight in conversion.pruned_weights(model)
    ]


def tells_the_truth(model, masked):
    """Asserts that the report counts the zeros of the weights, and what holds them."""
    report = dsd.sparsity_report(model)
    assert report.prunable_zeros == sum(zeros(model)) == report.sparsity * 256
    assert report.masked == masked
    return report


@pytest.mark.parametrize("road", ROADS)
def test_roads(road, tmp_path):
    travel, masks_travel, in_force = ROADS[road]
    model = new()
    fit(model, SPARSE)
    tells_the_truth(model, masked=128)
    other = travel(model, tmp_path)
    assert zeros(other) == [96, 32]
    tells_the_truth(other, masked=128 if in_force else 0)
    for one, two in zip(helpers.masks_of(other), helpers.masks_of(model), strict=True):
        assert (one == two).all() if masks_travel else one.all()
    fit(other, epochs=2)
    assert zeros(other) == ([96, 32] if in_force else [0, 0])
    tells_the_truth(other, masked=128 if in_force else 0)


@pytest.mark.parametrize("road", ROADS)
def test_zeros_are_held_after_any_road(road, tmp_path):
    """By one call, or by going on with the sparse phase."""
    model = new()
    fit(model, SPARSE)
    other = ROADS[road][0](model, tmp_path)
    fit(dsd.hold_zeros(other), epochs=2)
    tells_the_truth(other, masked=128)
    for one, two in zip(helpers.masks_of(other), helpers.masks_of(model), strict=True):
        np.testing.assert_array_equal(one, two)
    other = ROADS[road][0](model, tmp_path)
    history = fit(other, SPARSE, epochs=1)
    assert history["sparsity"] == [0.5]
    for one, two in zip(helpers.masks_of(other), helpers.masks_of(model), strict=True):
        np.testing.assert_array_equal(one, two)
    tells_the_truth(other, masked=128)


def test_after_redense():
    """Masks that were in force once hold nothing, wherever their weights go."""
    model = new()
    fit(model, [*SPARSE, dsd.phases.Redense(1)], epochs=2)
    assert not any(zeros(model))
    tells_the_truth(model, masked=0)
    other = arrays(model, None)
    tells_the_truth(other, masked=0)
    fit(other)
    tells_the_truth(other, masked=0)


def test_dense_weights_into_a_sparse_model():
    """What masks would have is not what the report tells."""
    model = new()
    fit(model, SPARSE)
    model.set_weights(helpers.mlp().get_weights())
    tells_the_truth(model, masked=0)
