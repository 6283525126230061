"""Training loops without `fit`: `DSDCallback` driven by hand gives what `fit` gives."""

import functools

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from tests import helpers, zoo

BACKEND = keras.backend.backend()
BATCH = 16
loss_of = keras.losses.MeanSquaredError()


def tensorflow_step(model, traces):
    import tensorflow as tf

    @tf.function
    def compiled(x, y, trace_key):
        traces.append(trace_key)
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True)) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)

    return lambda x, y, key: compiled(tf.constant(x), tf.constant(y), key)


def torch_step(model, traces):
    import torch

    def step(x, y, trace_key):
        if trace_key not in traces:
            traces.append(trace_key)
        model.zero_grad()
        loss = loss_of(y, model(x, training=True)) + sum(model.losses)
        loss.backward()
        gradients = [weight.value.grad for weight in model.trainable_weights]
        with torch.no_grad():
            model.optimizer.apply(gradients, model.trainable_weights)

    return step


def jax_step(model, traces, compile_all=True):
    import jax

    def loss_and_updates(trained, others, x, y):
        outputs, others, losses = model.stateless_call(
            trained, others, x, training=True, return_losses=True
        )
        return loss_of(y, outputs) + sum(losses), others

    def gradients_of(trained, others, x, y):
        return jax.grad(loss_and_updates, has_aux=True)(trained, others, x, y)

    def all_of_it(state, x, y, trace_key):
        traces.append(trace_key)
        trained, others, slots = state
        gradients, others = compiled_gradients(trained, others, x, y)
        return compiled_apply(slots, gradients, trained), others

    compiled_gradients = jax.jit(gradients_of)
    compiled_apply = jax.jit(model.optimizer.stateless_apply)
    if compile_all:
        compiled_gradients = gradients_of
        compiled_apply = model.optimizer.stateless_apply
        all_of_it = jax.jit(all_of_it, static_argnums=3)

    def step(x, y, trace_key):
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        )
        state = jax.tree.map(lambda variable: variable.value, variables)
        (trained, slots), others = all_of_it(state, x, y, trace_key)
        state = trained, others, slots
        jax.tree.map(lambda variable, value: variable.assign(value), variables, state)

    return step


STEPS = {"tensorflow": tensorflow_step, "torch": torch_step, "jax": jax_step}


def model_of(optimizer):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(3)
    model = helpers.mlp(kernel_regularizer="l2", kernel_constraint="max_norm")
    model = dsd.make_prunable(model, track_gradients=True)
    model.compile(optimizer=optimizer(), loss="mse")
    return model


def by_hand(model, plan, make_step=STEPS[BACKEND]):
    """Trains in a loop of our own; returns the history and how often it was traced."""
    x, y = helpers.data()
    traces = []
    step = make_step(model, traces)
    callback = dsd.DSDCallback(plan, verbose=0)
    epochs = sum(phase.epochs for phase in plan)
    loop = keras.callbacks.CallbackList(
        [callback],
        add_history=True,
        model=model,
        epochs=epochs,
        steps=len(x) // BATCH,
    )
    assert callback.trace_key is None
    loop.on_train_begin()
    for epoch in range(epochs):
        loop.on_epoch_begin(epoch)
        for number, start in enumerate(range(0, len(x), BATCH)):
            loop.on_train_batch_begin(number)
            rows = slice(start, start + BATCH)
            step(x[rows], y[rows], callback.trace_key)
            loop.on_train_batch_end(number)
        loop.on_epoch_end(epoch, {})
    loop.on_train_end()
    return model.history.history, traces


PLANS = {
    "dsd": lambda: [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(2, sparsity=0.5, schedule="cubic", update_every=3),
        dsd.phases.Redense(1, restore="rewind"),
        dsd.phases.Sparse(1, sparsity=0.25),
    ],
    "rigl": lambda: [
        dsd.phases.Sparse(3, sparsity=0.5, regrowth="rigl", update_every=2),
        dsd.phases.Redense(1),
    ],
}
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "schedule": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5), momentum=0.9
    ),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", PLANS)
def test_the_same_as_fit(name, optimizer):
    plan = PLANS[name]()
    fitted = model_of(OPTIMIZERS[optimizer])
    x, y = helpers.data()
    seen = fitted.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=sum(phase.epochs for phase in plan),
        shuffle=False,
        verbose=0,
        callbacks=[dsd.DSDCallback(plan, verbose=0)],
    ).history
    own = model_of(OPTIMIZERS[optimizer])
    history, traces = by_hand(own, plan)
    for key, values in history.items():
        assert seen[key] == values
    # A step holds whether layers are masked, and the factor of a schedule.
    has_factor = (optimizer, name) == ("schedule", "dsd")
    assert len(traces) == (4 if has_factor else 2)
    for mask, other in zip(
        helpers.masks_of(own), helpers.masks_of(fitted), strict=True
    ):
        np.testing.assert_array_equal(mask, other)
    for weight, other in zip(
        helpers.values(dsd.strip(own).weights),
        helpers.values(dsd.strip(fitted).weights),
        strict=True,
    ):
        np.testing.assert_allclose(weight, other, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(BACKEND != "jax", reason="elsewhere an update sees all variables")
def test_on_jax_gradients_and_update_belong_together():
    step = functools.partial(jax_step, compile_all=False)
    plan = [dsd.phases.Sparse(1, sparsity=0.5)]
    with pytest.raises(RuntimeError, match=r"one compiled function.*Received: "):
        by_hand(model_of(OPTIMIZERS["sgd"]), plan, step)


@pytest.mark.skipif(BACKEND != "torch", reason="only torch lists variables itself")
@pytest.mark.parametrize("name", zoo.MODELS)
def test_torch_finds_all_that_is_trained(name):
    """`zero_grad`, and an optimizer of PyTorch's own, go by `model.parameters()`."""
    model, _ = zoo.MODELS[name]()
    before = [(name, id(value)) for name, value in model.named_parameters()]
    dsd.make_prunable(model, track_gradients=True)
    found = {id(parameter) for parameter in model.parameters()}
    assert all(id(v.value) in found for v in model.trainable_variables)
    dsd.strip(model)
    after = [(name, id(value)) for name, value in model.named_parameters()]
    assert after == before
