"""Rule 7: from every state of a model, `strip` leads to every documented way out.

A way out works as it does for a plain model, and what comes out holds the same weights
and trains on.
"""

import copy
import functools
import pickle

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from tests import helpers

TENSORFLOW = keras.backend.backend() == "tensorflow"
X, Y = helpers.data(samples=32)


def made(track=False, compiled="after", optimizer="adam"):
    model = helpers.mlp()
    if compiled == "before":
        model.compile(optimizer, "mse", run_eagerly=True)
        model.fit(X, Y, verbose=0)
    dsd.make_prunable(model)
    if track:
        dsd.strip(model)
        dsd.make_prunable(model, track_gradients=True)
    if compiled == "after":
        model.compile(optimizer, "mse", run_eagerly=True)
    return model


def trained(*plan, loaded=False, **options):
    model = made(**options)
    plan = list(plan)
    model.fit(
        X,
        Y,
        epochs=sum(phase.epochs for phase in plan),
        batch_size=16,
        callbacks=[dsd.DSDCallback(plan, verbose=0)],
        verbose=0,
    )
    if loaded:
        model = pickle.loads(pickle.dumps(model))
        model.fit(X, Y, verbose=0)
    return model


SPARSE = dsd.phases.Sparse(1, sparsity=0.5)
REWIND = dsd.phases.Redense(1, restore="rewind")
RIGL = dsd.phases.Sparse(1, sparsity=0.5, regrowth="rigl", update_every=1)
MUON = functools.partial(keras.optimizers.Muon, exclude_layers=["dense_1"])
EMA = functools.partial(keras.optimizers.SGD, 0.01, momentum=0.9, use_ema=True)

STATES = {
    "tracked, never trained": lambda: made(track=True),
    "compiled before": lambda: made(compiled="before"),
    "sparse, compiled before": lambda: trained(SPARSE, compiled="before"),
    "sparse, loaded": lambda: trained(SPARSE, loaded=True),
    "redense": lambda: trained(SPARSE, REWIND),
    "rigl, loaded": lambda: trained(RIGL, track=True, loaded=True),
    "guarded": lambda: trained(SPARSE, optimizer=MUON()),
    "averaged": lambda: trained(SPARSE, optimizer=EMA()),
}


def whole(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def legacy(model, folder):
    model.save(folder / "model.h5")
    return keras.models.load_model(folder / "model.h5", compile=False)


def weights(model, folder):
    model.save_weights(folder / "model.weights.h5")
    other = helpers.mlp()
    other.load_weights(folder / "model.weights.h5")
    return other


def clone(model, folder):
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    return other


def exported(model, folder):
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch has no SavedModel")
    import tensorflow as tf

    model.export(folder / "model", verbose=False)
    served = tf.saved_model.load(folder / "model")
    return lambda x, training: served.serve(x)


def saved_by_tensorflow(model, folder):
    if not TENSORFLOW:
        pytest.skip("TensorFlow's alone")
    import tensorflow as tf

    tf.saved_model.save(model, folder / "model")
    return model


def checkpoint(model, folder):
    if not TENSORFLOW:
        pytest.skip("TensorFlow's alone")
    import tensorflow as tf

    path = tf.train.Checkpoint(model=model).save(folder / "model")
    other = helpers.mlp()
    tf.train.Checkpoint(model=other).restore(path).expect_partial()
    return other


def trained_on(model, folder):
    """Trains, and takes the weights back."""
    before = model.get_weights()
    if not model.compiled:
        model.compile("adam", "mse", run_eagerly=True)
    model.fit(X, Y, verbose=0)
    assert any((w != b).any() for w, b in zip(model.get_weights(), before, strict=True))
    model.set_weights(before)
    return model


WAYS = {
    "keras": whole,
    "weights": weights,
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "clone": clone,
    "export": exported,
    "saved_model": saved_by_tensorflow,
    "checkpoint": checkpoint,
    "train on": trained_on,
    "legacy": legacy,  # the last: Keras takes the optimizer out of the compile config
}


# The state in which a model carries most goes every way, the others the ways that ask
# most of a model: its config, and its slots.
PAIRS = [
    (state, way)
    for state in STATES
    for way in (WAYS if state == "rigl, loaded" else ("keras", "train on"))
]


@functools.cache
def stripped_model(state):
    """Returns a model that the ways out share, none of which changes it for good."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    return dsd.strip(STATES[state]())


@pytest.mark.parametrize(("state", "way"), PAIRS)
def test_a_stripped_model_goes_every_way_out(state, way, tmp_path):
    stripped = stripped_model(state)
    outputs = helpers.values([stripped(X, training=False)])[0]
    other = WAYS[way](stripped, tmp_path)
    found = helpers.values([other(X, training=False)])[0]
    # Programs of other runtimes may round in another way.
    np.testing.assert_allclose(found, outputs, rtol=1e-5, atol=1e-6)
    assert "dsd" not in str(stripped.get_config()).lower()
