"""Models with a `train_step` of their own keep it, and their layers are masked in it.

Written as Keras's guides write it for each backend.
"""

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers

FACTOR = 3.0  # what these steps do otherwise: they scale the loss


class OnTensorFlow:
    def train_step(self, data):
        import tensorflow as tf

        x, y = data
        with tf.GradientTape() as tape:
            loss = FACTOR * self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"own": loss}


class OnJAX:
    def compute_loss_and_updates(self, trainable, non_trainable, x, y):
        y_pred, non_trainable = self.stateless_call(
            trainable, non_trainable, x, training=True
        )
        return FACTOR * self.compute_loss(x, y, y_pred), non_trainable

    def train_step(self, state, data):
        import jax

        trainable, non_trainable, optimizer_variables, metrics = state
        x, y = data
        step = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (loss, non_trainable), gradients = step(trainable, non_trainable, x, y)
        trainable, optimizer_variables = self.optimizer.stateless_apply(
            optimizer_variables, gradients, trainable
        )
        state = trainable, non_trainable, optimizer_variables, metrics
        return {"own": loss}, state


class OnTorch:
    def train_step(self, data):
        import torch

        x, y = data
        self.zero_grad()
        loss = FACTOR * self.compute_loss(y=y, y_pred=self(x, training=True))
        loss.backward()
        trained = list(self.trainable_weights)
        gradients = [variable.value.grad for variable in trained]
        with torch.no_grad():
            self.optimizer.apply(gradients, trained)
        return {"own": loss.detach()}


OWN = {"tensorflow": OnTensorFlow, "jax": OnJAX, "torch": OnTorch}[
    keras.backend.backend()
]


class Functional(OWN, keras.Model):
    pass


class Subclassed(OWN, keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(16, activation="relu")
        self.head = layers.Dense(4)

    def call(self, x, training=False):
        return self.head(self.hidden(x))


def functional():
    inputs = keras.Input((12,))
    x = layers.Dense(16, activation="relu")(inputs)
    return Functional(inputs, layers.Dense(4)(x))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 12), "float32"))
    return model


PLANS = {
    "dsd": dsd.phases.dsd(epochs=3, sparsity=0.5),
    "rigl": dsd.phases.dst(epochs=3, method="rigl", sparsity=0.5, update_every=2),
}


@pytest.mark.parametrize("make", [functional, subclassed])
@pytest.mark.parametrize("plan", PLANS)
def test_it_is_kept_and_masked(make, plan):
    model = make()
    before = type(model), type(model).train_step
    dsd.make_prunable(model, track_gradients=plan == "rigl")
    assert type(model).train_step is before[1]
    model.compile("adam", "mse")
    watch = helpers.Watch()
    x, y = helpers.data()
    history = model.fit(
        x,
        y,
        epochs=3,
        batch_size=16,
        callbacks=[dsd.DSDCallback(PLANS[plan], verbose=0), watch],
        verbose=0,
    ).history
    assert len(history["own"]) == 3 and np.isfinite(history["own"]).all()
    expected = [0.0, 0.5, 0.0] if plan == "dsd" else [0.5] * 3
    assert history["sparsity"] == pytest.approx(expected, abs=0.005)
    assert (watch.moved, watch.stale) == (0, 0)
    assert len(conversion.pruned_weights(model)) == 2
    assert type(dsd.strip(model)) is before[0]


def test_its_dense_phases_are_its_own():
    """Without masks it trains as without this package, to the bit."""
    x, y = helpers.data()
    ends = []
    for wrapped in (False, True):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(7)
        model = functional()
        callbacks = []
        if wrapped:
            dsd.make_prunable(model)
            callbacks = [dsd.DSDCallback([dsd.phases.Dense(2)], verbose=0)]
        model.compile("adam", "mse")
        model.fit(x, y, epochs=2, callbacks=callbacks, verbose=0)
        ends.append(helpers.values(model.trainable_variables))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
