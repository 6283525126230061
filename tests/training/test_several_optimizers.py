"""Models that keep their own optimizers: each is tended, wherever it is found.

A GAN with a `train_step` as Keras's guides write it, and its optimizers built in the
first batch; on JAX, whose `fit` carries one optimizer's state, in a loop of its own.
"""

import copy

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from keras_dsd.optimizers import model_optimizers
from keras_dsd.optimizers import slots as optimizer_slots
from tests import helpers

BACKEND = keras.backend.backend()
RATES = {"d": 0.01, "g": 0.02}
loss_of = keras.losses.BinaryCrossentropy(from_logits=True)
ones, zeros = np.ones((16, 1), "float32"), np.zeros((16, 1), "float32")


def net(inputs, outputs):
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(12, activation="relu"),
            keras.layers.Dense(outputs),
        ]
    )


class GAN(keras.Model):
    """Learns from batches of (noise, real)."""

    def __init__(self, hides=False):
        super().__init__()
        self.generator, self.discriminator = net(4, 6), net(6, 1)
        self.built = True
        own = (
            keras.optimizers.Adam(RATES["d"]),
            keras.optimizers.SGD(RATES["g"], momentum=0.9),
        )
        self.own = lambda: own
        if not hides:
            self.d_optimizer, self.others = own[0], {"g": [own[1]]}

    def call(self, x):
        return self.generator(x)

    def train_step(self, data):
        return {"loss": STEPS[BACKEND](self, data[0], data[1])}

    def d_loss(self, noise, real):
        fake = self.discriminator(self.generator(noise))
        return loss_of(ones, self.discriminator(real)) + loss_of(zeros, fake)

    def g_loss(self, noise, real):
        return loss_of(ones, self.discriminator(self.generator(noise)))

    def parts(self):
        """Yields what one step does: (loss, the net that is trained, its optimizer)."""
        d_optimizer, g_optimizer = self.own()
        yield self.d_loss, self.discriminator, d_optimizer
        yield self.g_loss, self.generator, g_optimizer


def tensorflow_step(gan, noise, real):
    import tensorflow as tf

    for loss_and, trained, optimizer in gan.parts():
        with tf.GradientTape() as tape:
            loss = loss_and(noise, real)
        gradients = tape.gradient(loss, trained.trainable_weights)
        optimizer.apply(gradients, trained.trainable_weights)
    return loss


def torch_step(gan, noise, real):
    import torch

    for loss_and, trained, optimizer in gan.parts():
        gan.zero_grad()
        loss = loss_and(noise, real)
        loss.backward()
        gradients = [weight.value.grad for weight in trained.trainable_weights]
        with torch.no_grad():
            optimizer.apply(gradients, trained.trainable_weights)
    return loss.detach()


def jax_step(gan):
    import jax

    def variables():
        slots = [optimizer.variables for *_, optimizer in gan.parts()]
        return [gan.trainable_variables, gan.non_trainable_variables, *slots]

    def step(state, noise, real, trace_key):
        *held_state, d_slots, g_slots = state
        value_of = {
            id(variable): value
            for some, values in zip(variables(), held_state, strict=False)
            for variable, value in zip(some, values, strict=True)
        }
        slots = [d_slots, g_slots]
        for number, (loss_and, net, optimizer) in enumerate(gan.parts()):
            trained = net.trainable_variables

            def loss(values, loss_and=loss_and, trained=trained):
                mapping = {id(v): x for v, x in zip(trained, values, strict=True)}
                mapping = {**value_of, **mapping}
                everything = [v for some in variables()[:2] for v in some]
                scope = keras.StatelessScope([(v, mapping[id(v)]) for v in everything])
                with scope:
                    return loss_and(noise, real)

            now = [value_of[id(variable)] for variable in trained]
            gradients = jax.grad(loss)(now)
            now, slots[number] = optimizer.stateless_apply(
                slots[number], gradients, now
            )
            for variable, value in zip(trained, now, strict=True):
                value_of[id(variable)] = value
        new = [[value_of[id(v)] for v in some] for some in variables()[:2]]
        return [*new, *slots]

    compiled = jax.jit(step, static_argnums=3)

    def run(noise, real, trace_key):
        state = [[variable.value for variable in some] for some in variables()]
        for some, values in zip(
            variables(), compiled(state, noise, real, trace_key), strict=True
        ):
            for variable, value in zip(some, values, strict=True):
                variable.assign(value)

    return run


STEPS = {"tensorflow": tensorflow_step, "torch": torch_step}
rng = np.random.default_rng(0)
NOISE = rng.normal(size=(64, 4)).astype("float32")
REAL = rng.normal(size=(64, 6)).astype("float32")


def train(gan, callback, *more, epochs=4, initial_epoch=0):
    """Trains as `fit` does; returns the history."""
    callbacks = [callback, *more]
    if BACKEND != "jax":
        return gan.fit(
            NOISE,
            REAL,
            batch_size=16,
            epochs=epochs,
            initial_epoch=initial_epoch,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        ).history
    for _, trained, optimizer in gan.parts():
        if not optimizer.built:
            optimizer.build(trained.trainable_variables)
    step = jax_step(gan)
    loop = keras.callbacks.CallbackList(
        callbacks, add_history=True, model=gan, epochs=epochs, steps=4
    )
    loop.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        loop.on_epoch_begin(epoch)
        for batch in range(4):
            loop.on_train_batch_begin(batch)
            rows = slice(16 * batch, 16 * batch + 16)
            step(NOISE[rows], REAL[rows], callback.trace_key)
            loop.on_train_batch_end(batch)
        loop.on_epoch_end(epoch, {})
    loop.on_train_end()
    return gan.history.history


def made(hides=False, **options):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(5)
    gan = GAN(hides)
    for part in (gan.generator, gan.discriminator):  # whose calls its step makes
        dsd.make_prunable(part, **options)
    if BACKEND != "jax" or hides:
        gan.compile()  # and so it has an optimizer that it does not use
    return gan


class Look(keras.callbacks.Callback):
    """What pruned weights and their momenta hold, and rates, as each batch ends."""

    def __init__(self):
        super().__init__()
        self.moved = self.stale = 0
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        gan = self.model
        optimizers = gan.own()
        if batch == 3:
            rates = [optimizer.learning_rate for optimizer in optimizers]
            self.rates.append([float(rate) for rate in helpers.values(rates)])
        for weight in conversion.pruned_weights(gan):
            pruned = ~helpers.values([weight.mask])[0]
            self.moved += np.count_nonzero(helpers.values([weight.variable])[0][pruned])
            (slots,) = optimizer_slots.find(list(optimizers), [weight.variable])
            assert len(slots) >= 1
            for slot in slots:
                held_now = helpers.values([slot.variable])[0][pruned]
                self.stale += np.count_nonzero(held_now)


def plan():
    return [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(2, sparsity=0.5, schedule="cubic", update_every=3),
        dsd.phases.Redense(1),
    ]


@pytest.mark.parametrize("hides", [False, True], ids=["found", "named"])
def test_each_is_tended(hides):
    gan, look = made(hides), Look()
    # In the other order than the model's.
    named = list(gan.own())[::-1] if hides else None
    callback = dsd.DSDCallback(plan(), optimizers=named, verbose=0)
    history = train(gan, callback, look)
    assert history["sparsity"][0] == history["sparsity"][3] == 0
    assert history["sparsity"][2] == 0.5
    assert (look.moved, look.stale) == (0, 0)
    d, g = RATES["d"], RATES["g"]
    np.testing.assert_allclose(look.rates, [[d, g]] * 3 + [[d / 10, g / 10]], rtol=1e-6)
    after = [float(rate) for rate in helpers.values(o.learning_rate for o in gan.own())]
    np.testing.assert_allclose(after, [d, g], rtol=1e-6)


def test_in_sparse_phases_from_the_first_batch():
    """Masks come before an optimizer has slots, and hold when it has."""
    gan, look = made(), Look()
    phases = [dsd.phases.Sparse(2, sparsity=0.5)]
    history = train(gan, dsd.DSDCallback(phases, verbose=0), look, epochs=2)
    assert history["sparsity"] == [0.5, 0.5]
    assert (look.moved, look.stale) == (0, 0)
    states = conversion.states(gan)
    in_force = [state.in_force for state in states]
    assert in_force == [True] * 4


def test_connections_move():
    """The gradient of a weight is the one of the optimizer that trains it."""
    gan, look = made(track_gradients=True), Look()
    phases = dsd.phases.dst(3, method="rigl", sparsity=0.5, update_every=2)
    history = train(gan, dsd.DSDCallback(phases, verbose=0), look, epochs=3)
    assert (look.moved, look.stale) == (0, 0)
    assert history["sparsity"] == pytest.approx([0.5] * 3, abs=0.02)
    assert history["churn"][0] > 0
    for weight in conversion.pruned_weights(gan):
        is_pruned = not helpers.values([weight.mask])[0].all()
        assert np.any(helpers.values([weight.gradient])[0]) == is_pruned
    tracked = {id(weight.gradient) for weight in conversion.pruned_weights(gan)}
    dsd.strip(gan)
    for optimizer in gan.own():
        assert not tracked & {id(v) for v in optimizer._trainable_variables}


def test_a_run_goes_on(tmp_path):
    """Killed within `Redense`, whose rates are scaled: the same bits in the end."""
    phases = [
        dsd.phases.Sparse(1, sparsity=0.5, lr_factor=0.5),
        dsd.phases.Redense(2, restore="rewind"),
        dsd.phases.Sparse(1, sparsity=0.25),
    ]
    path = tmp_path / "gan.weights.h5"

    def save(epoch, logs):
        if epoch == 1:
            whole.save_weights(path)

    whole = made()
    note = keras.callbacks.LambdaCallback(on_epoch_end=save)
    train(whole, dsd.DSDCallback(phases, verbose=0), note)
    resumed = made()
    for _, trained, optimizer in resumed.parts():
        optimizer.build(trained.trainable_variables)
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: resumed.load_weights(path)
    )
    look = Look()
    callback = dsd.DSDCallback(phases, verbose=0)
    train(resumed, callback, load, look, initial_epoch=2)
    d, g = RATES["d"], RATES["g"]
    np.testing.assert_allclose(look.rates, [[d / 10, g / 10]] * 2, rtol=1e-6)
    ends = []
    for gan in (whole, resumed):
        slots = [variable for one in gan.own() for variable in one.variables]
        ends.append(helpers.values([*gan.trainable_variables, *slots]))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_strip_gives_the_rates_back_after_an_interrupt():
    gan = made(hides=True)

    def interrupt(batch, logs):
        raise KeyboardInterrupt

    stop = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
    phases = [dsd.phases.Sparse(1, sparsity=0.5, lr_factor=0.1)]
    callback = dsd.DSDCallback(phases, optimizers=list(gan.own()), verbose=0)
    with pytest.raises(KeyboardInterrupt):
        train(gan, callback, stop, epochs=1)
    gan.d_optimizer, gan.g_optimizer = gan.own()
    dsd.strip(gan)
    after = [float(rate) for rate in helpers.values(o.learning_rate for o in gan.own())]
    np.testing.assert_allclose(after, list(RATES.values()), rtol=1e-6)


def test_optimizers_that_nobody_knows_are_told():
    gan = made(hides=True)
    callback = dsd.DSDCallback([dsd.phases.Dense(1)], verbose=0)
    told = r"No optimizer that.*first epoch: optimizer \(RMSprop\)\. .*optimizers="
    with pytest.warns(UserWarning, match=told):
        train(gan, callback, epochs=1)


def test_several_are_told(capsys):
    gan = made()
    train(gan, dsd.DSDCallback([dsd.phases.Dense(1)]), epochs=1)
    line = capsys.readouterr().out.splitlines()[0]
    own = "d_optimizer (Adam), others['g'][0] (SGD)"
    compiled = "optimizer (RMSprop), " if BACKEND != "jax" else ""
    assert line == f"DSD optimizers: {compiled}{own}"


@pytest.mark.one_backend
def test_where_they_are_found():
    model, base = net(3, 2), net(2, 2)
    base.compile("sgd", "mse")
    inner, other, adam = (keras.optimizers.Adam() for _ in range(3))
    both = keras.Sequential([keras.Input((3,)), model, base])
    both.compile(keras.optimizers.LossScaleOptimizer(inner), "mse")
    both.actor, both.all = inner, {"critics": [other, (adam, adam)]}
    found = model_optimizers.of(both)
    assert list(found) == [
        "optimizer",
        "all['critics'][0]",
        "all['critics'][1][0]",
        f"{base.name}.optimizer",
    ]
    assert list(model_optimizers.chosen(both, [adam, inner])) == [
        "optimizer",
        "all['critics'][1][0]",
    ]


@pytest.mark.one_backend
def test_a_copy_has_the_same_optimizers():
    optimizers = [keras.optimizers.Adam(), keras.optimizers.SGD()]
    callback = dsd.DSDCallback(dsd.phases.dsd(3), optimizers=optimizers)
    other = copy.deepcopy(callback)
    assert [id(one) for one in other.optimizers] == [id(one) for one in optimizers]
    assert other.timeline is not callback.timeline


@pytest.mark.one_backend
@pytest.mark.parametrize("bad", ["adam", ["adam"], [None], [], "twice"])
def test_what_is_no_optimizer(bad):
    if bad == "twice":
        bad = [keras.optimizers.SGD()] * 2
    with pytest.raises((TypeError, ValueError), match=r"optimizers.*Received: "):
        dsd.DSDCallback(dsd.phases.dsd(3), optimizers=bad)


@pytest.mark.one_backend
def test_an_unbuilt_one_has_no_momenta_to_read():
    gan = made()
    phases = dsd.phases.dst(1, method="snfs", sparsity=0.5)
    dsd.make_prunable(model := net(4, 2), track_gradients=True)
    model.d_optimizer, model.e_optimizer = gan.own()
    callback = dsd.DSDCallback(phases, verbose=0)
    with pytest.raises(ValueError, match=r"build each optimizer.*Received: Adam, SGD"):
        callback.set_model(model)
