"""Weights whose optimizer keeps zeros are not projected, until something moves them."""

import contextlib

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from keras_dsd.layers.guards import KeepZeros
from keras_dsd.optimizers import slots as optimizer_slots
from tests import helpers

SPARSE = [dsd.phases.Sparse(3, sparsity=0.5)]


class Guards(keras.callbacks.Callback):
    """Records after every batch how many weights are projected."""

    def __init__(self):
        super().__init__()
        self.numbers = []

    def on_train_batch_end(self, batch, logs=None):
        weights = conversion.pruned_weights(self.model)
        self.numbers.append(
            sum(isinstance(w.variable.constraint, KeepZeros) for w in weights)
        )


def train(model, optimizer, *callbacks):
    dsd.make_prunable(model)
    model.compile(optimizer, "mse")
    x, y = helpers.data()
    callbacks = [*callbacks, dsd.DSDCallback(SPARSE, verbose=0)]
    model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=callbacks)


def made(name, **options):
    return getattr(keras.optimizers, name)(**options)


@pytest.mark.parametrize("name", sorted(helpers.all_optimizers()))
def test_who_keeps_zeros(name):
    """Never both without a guard and moved; rule 2 tries each optimizer at length."""
    guards, watch = Guards(), helpers.Watch()
    train(helpers.mlp(), made(name), guards, watch)
    known = helpers.all_optimizers()[name] in optimizer_slots._KEEP_ZEROS
    assert set(guards.numbers) == ({0} if known else {2})
    assert watch.moved == 0


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: made("Adam", use_ema=True),
        lambda: type("Adam", (keras.optimizers.Adam,), {})(),
        lambda: keras.optimizers.LossScaleOptimizer(made("Muon")),
    ],
    ids=["average", "derived", "within"],
)
def test_who_is_not_trusted(optimizer):
    guards = Guards()
    train(helpers.mlp(), optimizer(), guards)
    assert set(guards.numbers) == {2}


def test_loss_scale_is_looked_through():
    guards = Guards()
    train(helpers.mlp(), keras.optimizers.LossScaleOptimizer(made("SGD")), guards)
    assert set(guards.numbers) == {0}


def test_a_constraint_of_ones_own_is_guarded():
    guards = Guards()
    train(helpers.mlp(kernel_constraint="max_norm"), made("SGD"), guards)
    assert set(guards.numbers) == {1}  # of two weights


class Penalised(keras.Sequential):
    """Its loss reads weights outside of any layer's call."""

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        kernel = keras.ops.convert_to_tensor(self.layers[0].kernel)
        return loss + keras.ops.sum((kernel - 0.5) ** 2)


def test_gradients_past_the_call():
    """Found after the first batch; from then on in every step, in one more trace."""
    watch, guards = helpers.Watch(), Guards()
    model = Penalised(helpers.mlp().layers)
    model.build((None, 12))
    dsd.make_prunable(model)
    model.compile(made("Adam"), "mse")
    x, y = helpers.data()
    callbacks = [dsd.DSDCallback(SPARSE, verbose=0), watch, guards]
    with pytest.warns(UserWarning, match="Something has moved pruned weights"):
        model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=callbacks)
    assert watch.batches == 12
    assert watch.moved == 0
    assert guards.numbers == [2] * 12


class Spoiler(keras.callbacks.Callback):
    """Writes weights in the middle of an epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            for weight in conversion.pruned_weights(self.model):
                weight.variable.assign(np.ones(weight.shape))


def test_what_comes_later_is_found_at_the_end_of_the_epoch():
    ends = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(
            [
                np.count_nonzero(value[~mask])
                for value, mask in zip(
                    helpers.values(
                        w.variable for w in conversion.pruned_weights(model)
                    ),
                    helpers.masks_of(model),
                    strict=True,
                )
            ]
        )
    )
    model = dsd.make_prunable(helpers.mlp())
    model.compile("sgd", "mse")
    x, y = helpers.data()
    callbacks = [Spoiler(), dsd.DSDCallback(SPARSE, verbose=0), note]
    with pytest.warns(UserWarning, match="Something has moved pruned weights"):
        model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=callbacks)
    assert ends == [[0, 0]] * 3


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="memory that JAX donates")
def test_a_tracked_gradient_overwrites_its_own_memory():
    """Else JAX gives it a momentum's, and both are copied in every step.

    A barrier would do so too, and hold up what could run meanwhile.
    """
    import jax

    from keras_dsd import backend

    def step(old, new):
        return backend.in_place_of(old, new * 2)

    array = np.ones((64, 64), "float32")
    given = jax.jit(step, donate_argnums=0).lower(array, array)
    program = given.compile()
    assert program.memory_analysis().alias_size_in_bytes == array.nbytes
    assert "barrier" not in given.as_text()
    assert "dynamic-update-slice" not in program.as_text()


class TrainsAnother(keras.callbacks.Callback):
    """Trains, beside the model, one that has a layer in common with it."""

    def __init__(self, other, x, y):
        super().__init__()
        self.other, self.x, self.y = other, x, y

    def on_train_batch_end(self, batch, logs=None):
        _ = self.model  # on JAX that brings the shared weights up to date
        self.other.train_on_batch(self.x, self.y)


@pytest.mark.parametrize("name", ["Adam", "Muon"])
def test_a_layer_shared_with_a_model_that_trains_by_itself(name):
    """Its step was traced before masks came: zeros are set back as epochs end."""
    x, y = helpers.data()
    shared = keras.layers.Dense(8)
    inputs = keras.Input((x.shape[1],))
    one = keras.Model(inputs, keras.layers.Dense(y.shape[1])(shared(inputs)))
    two = keras.Model(inputs, keras.layers.Dense(y.shape[1])(shared(inputs)))
    dsd.make_prunable(one)
    one.compile(made(name), "mse")
    two.compile(made("SGD", learning_rate=0.1), "mse")
    two.train_on_batch(x, y)
    zeros = []

    def count(epoch, logs):
        kernel = keras.ops.convert_to_numpy(shared.kernel)
        zeros.append((float(np.mean(kernel == 0)), logs["sparsity"]))

    callbacks = [
        dsd.DSDCallback(SPARSE, verbose=0),
        TrainsAnother(two, x, y),
        keras.callbacks.LambdaCallback(on_epoch_end=count),
    ]
    # On PyTorch nothing is traced: the other model's calls read the weight masked too.
    told = (
        contextlib.nullcontext()
        if keras.backend.backend() == "torch"
        else pytest.warns(UserWarning, match="as each epoch ends, not before")
    )
    with told:
        one.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=callbacks)
    assert zeros == [(0.5, 0.5)] * 3


def interrupt(batch, logs):
    raise KeyboardInterrupt


@pytest.mark.parametrize("is_interrupted", [False, True], ids=["ended", "interrupted"])
@pytest.mark.parametrize("first", ["Adam", "Muon"])
@pytest.mark.parametrize("then", ["Muon", "SGD"])
def test_compiled_anew_with_another_optimizer(first, then, is_interrupted):
    """Zeros hold in plain `fit` too, whether or not the new optimizer keeps them."""
    model = helpers.mlp()
    if is_interrupted:
        stop = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(model, made(first), stop)
    else:
        train(model, made(first))
    model.compile(made(then), "mse")
    x, y = helpers.data()
    model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    assert dsd.sparsity_report(model).sparsity == 0.5
