"""Rule 7: `strip` gives back the model that was, and files cross between both forms."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers, zoo

ROOT = pathlib.Path(__file__).parents[2]


def everything(model):
    return {
        "class": type(model),
        "config": model.get_config(),
        "layers": [(type(layer), layer.name) for layer in model.layers],
        "weights": [(weight.path, id(weight)) for weight in model.weights],
        "variables": [(variable.path, id(variable)) for variable in model.variables],
        "trainable": [variable.path for variable in model.trainable_variables],
        "attributes": [
            {key: id(value) for key, value in vars(layer).items() if plain(value)}
            for layer in model.layers
        ],
    }


def plain(value):
    return isinstance(value, (keras.Variable, keras.layers.Layer, str, int))


def config(model):
    """Returns the config as files hold it: a tuple comes back as a list."""
    return json.loads(json.dumps(model.get_config()))


def fit_sparse(model, x, sparsity=0.5):
    model.compile("adam", "mse", run_eagerly=True)  # one step: not worth compiling
    y = np.zeros(model.predict(x, verbose=0).shape, "float32")
    phases = [dsd.phases.Sparse(1, sparsity=sparsity)]
    model.fit(x, y, callbacks=[dsd.DSDCallback(phases, verbose=0)], verbose=0)
    return y


def predict(model, x):
    return np.array(keras.ops.convert_to_numpy(model(x, training=False)))


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("name", zoo.MODELS)
def test_the_model_is_what_it_was(name, trained):
    model, x = zoo.MODELS[name]()
    before = everything(model)
    wrapped = dsd.make_prunable(model)
    if trained:
        fit_sparse(model, x)
    outputs = predict(model, x)
    assert dsd.strip(wrapped) is model
    after = everything(model)
    if trained:  # the trainer has attributes of its own now
        before.pop("attributes"), after.pop("attributes")
    assert after == before
    assert not conversion.prunable_layers(model)
    np.testing.assert_array_equal(predict(model, x), outputs)


@pytest.mark.parametrize("name", ["sequential", "recurrent", "subclassed"])
def test_constraints_and_regularizers_are_the_users_own(name):
    model, x = zoo.MODELS[name]()
    kernels = [w for w in model.trainable_weights if len(w.shape) == 2]
    limits = [keras.constraints.MaxNorm(3.0) for _ in kernels]
    for kernel, limit in zip(kernels, limits, strict=True):
        kernel.constraint = limit
    regularizers = [kernel.regularizer for kernel in kernels]
    dsd.make_prunable(model)
    fit_sparse(model, x)
    dsd.strip(model)
    assert [kernel.constraint for kernel in kernels] == limits
    assert [kernel.regularizer for kernel in kernels] == regularizers


def test_a_stripped_model_trains_as_a_plain_one():
    """Nothing holds the zeros any longer, and the optimizer needs nothing new."""
    x, y = helpers.data()
    model = dsd.make_prunable(helpers.mlp())
    fit_sparse(model, x)
    zeros = ~helpers.masks_of(model)[0]
    optimizer = model.optimizer
    steps = int(optimizer.iterations)
    dsd.strip(model)
    assert not helpers.values([model.layers[0].kernel])[0][zeros].any()
    model.fit(x, y, epochs=2, verbose=0)
    assert model.optimizer is optimizer
    assert int(optimizer.iterations) == steps + 4
    moved = helpers.values([model.layers[0].kernel])[0][zeros]
    assert np.count_nonzero(moved) > 0.8 * moved.size


def test_wrap_strip_wrap_again():
    model = helpers.mlp()
    x, _ = helpers.data()
    config = model.get_config()
    for sparsity in (0.5, 0.25):
        dsd.make_prunable(model)
        assert all(mask.all() for mask in helpers.masks_of(model))
        fit_sparse(model, x, sparsity)
        report = dsd.sparsity_report(model)
        # Weights that were zero before may be so still, for want of a gradient.
        assert report.masked == sparsity * report.prunable
        dsd.strip(model)
        assert model.get_config() == config


@pytest.mark.parametrize("name", zoo.MODELS)
def test_files_of_before_and_after(name, tmp_path):
    """A file of the plain model, one of the stripped: each loads into the other."""
    model, x = zoo.MODELS[name]()
    outputs = predict(model, x)
    model.save(tmp_path / "before.keras")
    model.save_weights(tmp_path / "before.weights.h5")
    dsd.make_prunable(model)
    fit_sparse(model, x)
    trained = predict(model, x)
    dsd.strip(model)
    model.save(tmp_path / "after.keras")
    model.save_weights(tmp_path / "after.weights.h5")

    loaded = keras.models.load_model(tmp_path / "after.keras")
    np.testing.assert_array_equal(predict(loaded, x), trained)
    loaded = keras.models.load_model(tmp_path / "before.keras")
    np.testing.assert_array_equal(predict(loaded, x), outputs)
    assert config(loaded) == config(model)
    model.load_weights(tmp_path / "before.weights.h5")
    np.testing.assert_array_equal(predict(model, x), outputs)
    keras.utils.clear_session(free_memory=False)
    other, _ = zoo.MODELS[name]()
    other.load_weights(tmp_path / "after.weights.h5")
    np.testing.assert_array_equal(predict(other, x), trained)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_files_cross_between_plain_and_wrapped(name, tmp_path):
    """Plain into wrapped; wrapped into wrapped, masks and all; wrapped into plain."""
    model, x = zoo.MODELS[name]()
    plain, wrapped = tmp_path / "plain.weights.h5", tmp_path / "wrapped.weights.h5"
    model.save_weights(plain)
    outputs = predict(model, x)
    dsd.make_prunable(model)
    y = fit_sparse(model, x)
    trained, masks = predict(model, x), helpers.masks_of(model)
    model.save_weights(wrapped)
    model.save(tmp_path / "wrapped.keras")

    keras.utils.clear_session(free_memory=False)
    other, _ = zoo.MODELS[name]()
    dsd.make_prunable(other)
    other.load_weights(plain)
    np.testing.assert_array_equal(predict(other, x), outputs)
    assert all(mask.all() for mask in helpers.masks_of(other))
    other.load_weights(wrapped)
    assert_same_pruned(other, model)
    np.testing.assert_array_equal(predict(other, x), trained)

    dsd.strip(other)
    stripped = tmp_path / "stripped.weights.h5"
    other.save_weights(stripped)
    keras.utils.clear_session(free_memory=False)
    third, _ = zoo.MODELS[name]()
    third.load_weights(stripped)
    np.testing.assert_array_equal(predict(third, x), trained)

    # Saved whole within a sparse phase: loads wrapped, masked, and trains on as such.
    loaded = keras.models.load_model(tmp_path / "wrapped.keras")
    assert_same_pruned(loaded, model)
    np.testing.assert_array_equal(predict(loaded, x), trained)
    # Without the callback: the zeros are kept by what was loaded alone.
    loaded.fit(x, y, epochs=2, verbose=0)
    for mask, weight in zip(masks, conversion.pruned_weights(loaded), strict=True):
        assert not helpers.values([weight.variable])[0][~mask].any()
    assert config(dsd.strip(loaded)) == config(third)


def assert_same_pruned(one, other):
    names = [
        [layer.name for layer in conversion.prunable_layers(model)]
        for model in (one, other)
    ]
    assert names[0] == names[1]
    for masks in zip(helpers.masks_of(one), helpers.masks_of(other), strict=True):
        np.testing.assert_array_equal(*masks)
    assert all(state.in_force for state in conversion.states(one))


FRESH = """
import sys
import keras, numpy as np
folder, names = sys.argv[1], sys.argv[2:]
keras.models.load_model(f"{folder}/stripped.keras")
assert "keras_dsd" not in sys.modules
import keras_dsd
from tests import helpers, zoo
for name in names:
    model = keras.models.load_model(f"{folder}/{name}.keras")
    kept = dict(np.load(f"{folder}/{name}.npz"))
    x, outputs = kept.pop("x"), kept.pop("outputs")
    now = keras.ops.convert_to_numpy(model(x, training=False))
    np.testing.assert_array_equal(now, outputs)
    masks = helpers.masks_of(model)
    assert len(masks) == len(kept) > 0
    for number, mask in enumerate(masks):
        np.testing.assert_array_equal(mask, kept[f"mask_{number}"])
    zeros = sum(np.count_nonzero(~mask) for mask in masks)
    model.fit(x, outputs, verbose=0)
    report = keras_dsd.sparsity_report(model)
    assert report.masked == zeros and report.zeros >= zeros > 0
    keras_dsd.strip(model)
print("all loaded")
"""


def test_files_load_in_a_fresh_process(tmp_path):
    """The stripped model's without this library, the wrapped one's once imported."""
    names = ["sequential", "nested", "attention", "subclassed"]
    for name in names:
        keras.utils.clear_session(free_memory=False)
        model, x = zoo.MODELS[name]()
        dsd.make_prunable(model)
        fit_sparse(model, x)
        model.save(tmp_path / f"{name}.keras")
        masks = {f"mask_{n}": mask for n, mask in enumerate(helpers.masks_of(model))}
        np.savez(tmp_path / f"{name}.npz", x=x, outputs=predict(model, x), **masks)
        if name == "sequential":
            dsd.strip(model).save(tmp_path / "stripped.keras")
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(tmp_path), *names],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all loaded" in done.stdout


def test_optimizer_state_crosses_with_the_file(tmp_path):
    """The stripped model's file holds the optimizer of a plain one, no more."""
    x, y = helpers.data()
    model = dsd.make_prunable(helpers.mlp())
    fit_sparse(model, x)
    dsd.strip(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.optimizer.build(loaded.trainable_variables)
    for one, two in zip(
        loaded.optimizer.variables, model.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(*helpers.values([one, two]))
    model.reset_metrics()  # `train_on_batch` goes on from what `fit` has counted
    one, two = (m.train_on_batch(x, y) for m in (loaded, model))
    np.testing.assert_array_equal(one, two)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="SavedModel is TensorFlow's"
)
@pytest.mark.parametrize(
    "name, wrapped",
    [("sequential", True), ("sequential", False), ("attention", False)],
)
def test_saved_model(name, wrapped, tmp_path):
    """Exported stripped or, in a sparse phase, wrapped: it serves the same numbers."""
    import tensorflow as tf

    model, x = zoo.MODELS[name]()
    model.export(tmp_path / "before", verbose=False)
    dsd.make_prunable(model)
    fit_sparse(model, x)
    outputs = predict(model, x)
    if not wrapped:
        dsd.strip(model)
    model.export(tmp_path / "after", verbose=False)
    before, after = (
        tf.saved_model.load(tmp_path / folder) for folder in ("before", "after")
    )
    np.testing.assert_allclose(after.serve(x).numpy(), outputs, rtol=1e-5, atol=1e-6)
    if not wrapped:
        shapes = [
            [(v.name, v.shape) for v in served.variables] for served in (before, after)
        ]
        assert shapes[0] == shapes[1]


def test_shared_and_nested_masks_are_taken_off_once():
    inner = dsd.Prunable(keras.layers.Dense(6))
    shared = keras.layers.Dense(6)
    inputs = keras.Input((6,))
    model = keras.Model(inputs, shared(inner(shared(inputs))))
    dsd.make_prunable(model)
    assert len(conversion.prunable_layers(model)) == 2
    dsd.strip(model)
    assert type(inner) is keras.layers.Dense
    assert type(shared) is keras.layers.Dense


def test_strip_takes_a_layer_too():
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    config = layer.get_config()
    dsd.Prunable(layer, sparsity=0.5)
    assert dsd.strip(layer) is layer
    assert layer.get_config() == config
    assert type(layer) is keras.layers.Dense


@pytest.mark.parametrize("kind", ["number", "schedule"])
def test_a_checkpoint_of_a_running_fit_is_stripped_too(kind, tmp_path):
    """Also its learning rate is the user's own, without a phase's factor."""
    decay = keras.optimizers.schedules.ExponentialDecay(0.01, 4, 0.5)
    model = dsd.make_prunable(helpers.mlp())
    rate = 0.01 if kind == "number" else decay
    model.compile(keras.optimizers.Adam(rate), "mse", run_eagerly=True)
    x, y = helpers.data()
    saver = keras.callbacks.ModelCheckpoint(tmp_path / "running.keras")
    callbacks = [dsd.DSDCallback(dsd.phases.dsd(3), verbose=0), saver]
    model.fit(x, y, epochs=3, callbacks=callbacks, verbose=0)
    loaded = dsd.strip(keras.models.load_model(tmp_path / "running.keras"))
    found = loaded.optimizer.get_config()["learning_rate"]
    if kind == "number":
        assert found == pytest.approx(0.01)
        return
    assert found["class_name"] == "ExponentialDecay"
    assert found["config"] == decay.get_config()
