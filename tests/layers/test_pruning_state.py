"""What a layer carries beside its weights: Keras keeps it, and counts it nowhere."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers

PLANS = {
    "untrained": [],
    "one mask": [dsd.phases.Sparse(1, sparsity=0.5)],
    "moving masks": [dsd.phases.Sparse(1, sparsity=0.5, regrowth="set")],
    "values to go back to": [
        dsd.phases.Sparse(1, sparsity=0.5),
        dsd.phases.Redense(1, restore="rewind"),
    ],
}


def trained(plan, model=None, **options):
    """Returns a prunable model, trained one batch an epoch by the phases of a plan."""
    model = dsd.make_prunable(helpers.mlp() if model is None else model, **options)
    model.compile("adam", "mse")
    if plan:
        fit(model, plan)
    return model


@pytest.mark.filterwarnings("ignore:No connection will ever move")
def fit(model, plan=(), epochs=None, callbacks=()):
    x, y = helpers.data()
    phases = [dsd.DSDCallback(plan, verbose=0)] if plan else []
    model.fit(
        x,
        y,
        batch_size=64,
        epochs=epochs or max(len(plan), 1),
        verbose=0,
        callbacks=[*phases, *callbacks],
    )


@pytest.mark.filterwarnings("ignore:No connection will ever move")
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_weights_are_those_of_the_plain_model(plan):
    plain, model = helpers.mlp(), trained(plan)
    assert [w.shape for w in model.weights] == [w.shape for w in plain.weights]
    assert model.count_params() == plain.count_params()
    assert len(model.non_trainable_weights) == 0
    lines: list = []
    model.summary(print_fn=lambda text, **_: lines.append(text))
    assert "Trainable params: 276 (1.08 KB)" in "\n".join(lines)
    state = conversion.states(model)[0]
    held = {id(variable) for variable in model.non_trainable_variables}
    assert {id(variable) for variable in state.variables} <= held
    arrays = model.get_weights()
    plain.set_weights(arrays)
    model.set_weights(plain.get_weights())


def test_tracked_gradients_are_what_remains():
    """Keras's trainers look for them among the trainable weights."""
    model = trained([], track_gradients=True)
    names = [w.name for w in model.weights]
    assert names == ["kernel", "bias", "gradient_0"] * 2


def test_averaging_by_hand():
    """As scripts of diffusion models and of deep Q-learning do it."""
    model, average = trained([]), helpers.mlp()
    average.set_weights(model.get_weights())
    before = helpers.values(average.weights)

    def follow(epoch, logs):
        for weight, mean in zip(model.weights, average.weights, strict=True):
            mean.assign(0.75 * mean + 0.25 * weight)

    follow = keras.callbacks.LambdaCallback(on_epoch_end=follow)
    fit(model, PLANS["one mask"], callbacks=[follow])
    after = helpers.values(average.weights)
    for old, new, weight in zip(before, after, model.get_weights(), strict=True):
        np.testing.assert_allclose(new, 0.75 * old + 0.25 * weight, rtol=1e-5)
    assert [int((~mask).sum()) for mask in helpers.masks_of(model)] == [96, 32]


class Net(keras.Model):
    """A subclassed model, which is prunable as a whole."""

    def __init__(self, **options):
        super().__init__(**options)
        self.body = keras.layers.Dense(16)
        self.head = keras.layers.Dense(4)

    def call(self, x):
        return self.head(self.body(x))


def test_layers_of_a_subclassed_model():
    net = Net()
    net(np.ones((2, 12), "float32"))
    model = trained(PLANS["one mask"], net)
    assert isinstance(model, dsd.Prunable)
    assert model.layers == [model.body, model.head]
    assert model.get_layer(index=-1) is model.head
    assert [int((~mask).sum()) for mask in helpers.masks_of(model)] == [96, 32]
    with pytest.raises(AttributeError):
        model.layers = []
    assert not hasattr(dsd.Prunable(keras.layers.Dense(3)), "layers")


def test_plain_legacy_weights_load(tmp_path):
    """Pretrained weights often are such files."""
    plain = helpers.mlp()
    plain.save_weights(tmp_path / "plain.weights.h5")
    keras.src.legacy.saving.legacy_h5_format.save_model_to_hdf5(
        plain, str(tmp_path / "plain.h5")
    )
    model = trained(PLANS["one mask"])
    fresh = trained([])
    for one in (model, fresh):
        one.load_weights(tmp_path / "plain.h5")
        for value, wanted in zip(one.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_array_equal(value, wanted)


def test_tensorboard_draws_weights(tmp_path):
    model = trained([])
    board = keras.callbacks.TensorBoard(
        tmp_path, histogram_freq=1, write_images=True, write_graph=False
    )
    fit(model, PLANS["one mask"], callbacks=[board])
    assert list(tmp_path.rglob("events*"))


def test_freezing_reaches_tracked_gradients():
    model = trained([], track_gradients=True)
    model.trainable = False
    assert model.trainable_variables == model.trainable_weights == []
    model.layers[0].trainable = True
    assert len(model.layers[0].trainable_variables) == 3


def test_what_a_run_keeps_is_named_after_its_layer():
    """PyTorch lists variables by their paths, each of which it holds once."""
    model = trained([])
    for state in conversion.states(model):
        state.keep_pruned_values()
        state.keep_explored()
        scope = state.pruned[0].mask.path.removesuffix("mask_0")
        assert all(variable.path.startswith(scope) for variable in state.variables)
    paths = [variable.path for variable in model.variables]
    assert len(set(paths)) == len(paths)
