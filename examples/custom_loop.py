"""A training loop of your own, without `fit`, on any of the three backends.

`DSDCallback` is driven by a `keras.callbacks.CallbackList`, as `fit` drives it. Takes
some seconds. Needs scikit-learn for the data:

    pip install "/path/to/checkout[demo]"
    python custom_loop.py
"""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_dsd as dsd

EPOCHS, BATCH = 12, 32

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
x_train, x_test, y_train, y_test = train_test_split(
    x, y, test_size=0.5, stratify=y, random_state=0
)
model = keras.Sequential(
    [
        keras.Input((64,)),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ]
)
model = dsd.make_prunable(model, track_gradients=True)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
# The callback finds the optimizer in the model; the loop may use it from there too.
model.compile(optimizer=keras.optimizers.Adam(1e-3))
optimizer = model.optimizer

plan = [
    dsd.phases.Dense(4),
    dsd.phases.Sparse(4, sparsity=0.5, regrowth="rigl", update_every=10),
    dsd.phases.Redense(4, lr_factor=0.1),
]
steps = len(x_train) // BATCH
dsd_callback = dsd.DSDCallback(plan)
callbacks = keras.callbacks.CallbackList(
    [dsd_callback], add_history=True, model=model, epochs=EPOCHS, steps=steps
)

# One step for each backend, `step(batch, labels)`. A compiled one takes
# `dsd_callback.trace_key` too, as a constant: where that is new, it is traced anew.
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def compiled_step(batch, labels, trace_key):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(batch, training=True)) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    def step(batch, labels):
        batch, labels = tf.constant(batch), tf.constant(labels)
        return compiled_step(batch, labels, dsd_callback.trace_key)

elif keras.backend.backend() == "torch":
    import torch

    def step(batch, labels):
        model.zero_grad()
        loss = loss_of(labels, model(batch, training=True)) + sum(model.losses)
        loss.backward()
        gradients = [weight.value.grad for weight in model.trainable_weights]
        with torch.no_grad():
            optimizer.apply(gradients, model.trainable_weights)
        return loss.detach()

else:
    import functools

    import jax

    def loss_and_updates(trained, others, batch, labels):
        outputs, others, losses = model.stateless_call(
            trained, others, batch, training=True, return_losses=True
        )
        return loss_of(labels, outputs) + sum(losses), others

    # The gradients and the optimizer's update belong into one compiled function.
    @functools.partial(jax.jit, static_argnums=3)
    def compiled_step(state, batch, labels, trace_key):
        trained, others, slots = state
        gradient_of = jax.value_and_grad(loss_and_updates, has_aux=True)
        (loss, others), gradients = gradient_of(trained, others, batch, labels)
        trained, slots = optimizer.stateless_apply(slots, gradients, trained)
        return loss, (trained, others, slots)

    def step(batch, labels):
        # Masks and learning rates are variables, which the callback may have written
        # since the last step, and which it reads after this one.
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
        )
        state = jax.tree.map(lambda variable: variable.value, variables)
        loss, state = compiled_step(state, batch, labels, dsd_callback.trace_key)
        jax.tree.map(lambda variable, value: variable.assign(value), variables, state)
        return loss


rng = np.random.default_rng(0)
callbacks.on_train_begin()
for epoch in range(EPOCHS):
    callbacks.on_epoch_begin(epoch)
    order, total = rng.permutation(len(x_train)), 0.0
    for number in range(steps):
        rows = order[number * BATCH : (number + 1) * BATCH]
        callbacks.on_train_batch_begin(number)
        total += float(step(x_train[rows], y_train[rows]))
        callbacks.on_train_batch_end(number)
    callbacks.on_epoch_end(epoch, {"loss": total / steps})
    logs = {name: values[-1] for name, values in model.history.history.items()}
    print(f"epoch {epoch + 1}: loss {logs['loss']:.4f}, sparsity {logs['sparsity']:g}")
    if model.stop_training:
        break
callbacks.on_train_end()

model = dsd.strip(model)
found = keras.ops.convert_to_numpy(model(x_test)).argmax(axis=1)
print(f"test accuracy: {np.mean(found == y_test):.4f}")
