"""Rule 6: a wrapped model predicts, names, orders and lists what the plain one does."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers, zoo


def flat(outputs):
    return [np.asarray(keras.ops.convert_to_numpy(o)) for o in [outputs]]


def everything(model, x):
    """Returns what a user sees of a model."""
    weights, layers = model.weights, model.layers
    return {
        "predict": flat(model.predict(x, verbose=0)),
        "call": flat(model(x, training=False)),
        "values": helpers.values(weights),
        "ids": [id(weight) for weight in weights],
        "paths": [weight.path for weight in weights],
        "trainable": [weight.path for weight in model.trainable_variables],
        "names": [layer.name for layer in layers],
        "classes": [type(layer).__name__ for layer in layers],
        "kinds": [
            all(isinstance(layer, kind) for kind in KINDS[type(layer).__name__])
            for layer in layers
        ],
        "each layer's": [[weight.path for weight in layer.weights] for layer in layers],
        "parameters": sum(value.size for value in helpers.values(weights)),
        "class": type(model).__name__,
        "model": isinstance(model, keras.Model),
    }


KINDS = {}


def assert_same(after, before, skip=()):
    for key in before.keys() - set(skip):
        if key in ("predict", "call", "values"):
            for one, other in zip(after[key], before[key], strict=True):
                np.testing.assert_array_equal(one, other, err_msg=key)
        else:
            assert after[key] == before[key], key


def look_at(name):
    model, x = zoo.MODELS[name]()
    KINDS.clear()
    KINDS.update({type(layer).__name__: type(layer).__mro__ for layer in model.layers})
    return model, x, everything(model, x)


@pytest.mark.portable
@pytest.mark.parametrize("name", zoo.MODELS)
def test_nothing_a_user_sees_changes(name):
    model, x, before = look_at(name)
    wrapped = dsd.make_prunable(model)
    assert wrapped is model
    assert conversion.pruned_weights(model)
    assert_same(everything(model, x), before)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_masks_in_force_change_no_prediction(name):
    """All-True masks: the masked read is an identity, in and out of training mode."""
    model, x, before = look_at(name)
    dsd.make_prunable(model)
    for state in conversion.states(model):
        state.enforce()
    assert_same(everything(model, x), before)
    for state in conversion.states(model):
        state.release()
    assert_same(everything(model, x), before)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_a_sparse_phase_predicts_with_the_weights_as_they_are(name):
    """The pruned model predicts what a plain one with those zeros does."""
    model, x, _ = look_at(name)
    dsd.make_prunable(model)
    model.compile("sgd", "mse", run_eagerly=True)
    y = np.zeros(model.predict(x, verbose=0).shape, "float32")
    phases = [dsd.phases.Sparse(1, sparsity=0.5)]
    model.fit(x, y, callbacks=[dsd.DSDCallback(phases, verbose=0)], verbose=0)
    for mask, weight in zip(
        helpers.masks_of(model), conversion.pruned_weights(model), strict=True
    ):
        assert np.count_nonzero(~mask) == mask.size // 2
        assert not helpers.values([weight.variable])[0][~mask].any()
    wrapped = flat(model.predict(x, verbose=0))
    keras.utils.clear_session(free_memory=False)
    plain, _ = zoo.MODELS[name]()
    plain.compile("sgd", "mse", run_eagerly=True)
    for one, other in zip(plain.weights, model.weights, strict=True):
        one.assign(other)
    np.testing.assert_array_equal(wrapped, flat(plain.predict(x, verbose=0)))


def test_losses_of_layers_and_regularizers_are_the_same():
    """A layer's own loss is neither lost nor counted twice, masks in force or not."""
    inputs = keras.Input((9,))
    x = zoo.Block(9)(inputs)
    x = keras.layers.Dense(
        4, kernel_regularizer="l2", activity_regularizer="l1", bias_regularizer="l2"
    )(x)
    model = keras.Model(inputs, x)
    data = np.random.default_rng(0).standard_normal((8, 9)).astype("float32")

    def losses():
        model(data)
        return [float(loss) for loss in model.losses]

    before = losses()
    dsd.make_prunable(model)
    assert losses() == before
    for state in conversion.states(model):
        state.enforce()
    assert losses() == before
    dsd.strip(model)
    assert losses() == before


def test_training_losses_under_all_true_masks_are_the_same():
    """`fit` at sparsity 0 learns what plain Keras learns, up to the last bit of a sum.

    Layers that prune nothing are not masked at all, so one weight does lose one value.
    """
    x, y = helpers.data(9, 4)
    losses = []
    for wrap in (False, True):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(7)
        model = keras.Sequential(
            [keras.Input((9,)), zoo.Block(9), keras.layers.Dense(4)]
        )
        smallest = helpers.values([model.layers[1].kernel])[0]
        smallest.flat[np.abs(smallest).argmin()] = 0.0
        model.layers[1].kernel.assign(smallest)
        callbacks = []
        if wrap:
            dsd.make_prunable(model)
            phases = [dsd.phases.Sparse(3, sparsity=1 / 36 + 1e-9)]
            callbacks = [dsd.DSDCallback(phases, verbose=0)]
        model.compile(keras.optimizers.SGD(1e-5), "mse")
        history = model.fit(x, y, epochs=3, callbacks=callbacks, verbose=0)
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)


def test_a_compiled_model_keeps_its_optimizer():
    x, y = helpers.data()
    model = helpers.mlp()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(x, y, verbose=0)
    optimizer = model.optimizer
    slots = helpers.values(optimizer.variables)
    dsd.make_prunable(model)
    assert model.optimizer is optimizer
    model.evaluate(x, y, verbose=0)
    for now, then in zip(helpers.values(optimizer.variables), slots, strict=True):
        np.testing.assert_array_equal(now, then)
    model.fit(x, y, verbose=0)
    assert int(optimizer.iterations) == 4


def test_attributes_that_are_set_and_got_by_hand():
    """The layer is the layer: what was set on it stays, what is set now is read."""
    layer = keras.layers.Dense(4, name="mine")
    layer.note = "kept"
    wrapped = dsd.Prunable(layer)
    assert wrapped is layer
    assert layer.note == "kept"
    layer.build((None, 3))
    layer.trainable = False
    assert layer.units == 4 and layer.name == "mine"
    assert not layer.trainable_variables
