"""Rule 5: outside of sparse phases training is plain Keras: same bits, no mask read."""

import contextlib

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9, weight_decay=0.01),
    "adam": lambda: keras.optimizers.Adam(clipnorm=0.1, use_ema=True),
}


def model_of(name="model"):
    """Returns a model with all that draws, counts or adds a loss while it trains."""
    return keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(16, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Reshape((4, 4)),
            layers.LSTM(5, dropout=0.2, recurrent_constraint="max_norm"),
            layers.Dense(4),
        ],
        name=name,
    )


def fit(model, optimizer, epochs, callbacks=(), **options):
    x, y = helpers.data()
    model.compile(optimizer, "mse", **options)
    return model.fit(
        x,
        y,
        batch_size=24,
        epochs=epochs,
        validation_split=0.25,
        callbacks=list(callbacks),
        verbose=0,
    )


def assert_same_bits(ours, plain):
    assert [v.path for v in ours] == [v.path for v in plain]
    for one, other in zip(ours, plain, strict=True):
        np.testing.assert_array_equal(
            helpers.values([one])[0], helpers.values([other])[0], err_msg=one.path
        )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_bit_identical(name):
    """Also the random draws: nothing here takes one from Keras's generators."""
    histories, models = [], []
    for wrap in (False, True):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(7)
        model = model_of()
        callbacks = []
        if wrap:
            dsd.make_prunable(model)
            phases = [dsd.phases.Dense(2), dsd.phases.Dense(1)]
            callbacks = [dsd.DSDCallback(phases, verbose=0)]
        history = fit(model, OPTIMIZERS[name](), 3, callbacks, metrics=["mae"])
        histories.append(history.history)
        models.append(model)
    plain, ours = models
    for key, values in histories[0].items():
        assert histories[1][key] == values, key
    assert_same_bits(ours.optimizer.variables, plain.optimizer.variables)
    assert_same_bits(dsd.strip(ours).variables, plain.variables)


def plain_model():
    """Nothing that draws: a second run can start in the middle of the first."""
    return keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(16, activation="relu", kernel_regularizer="l1"),
            layers.BatchNormalization(),
            layers.Dense(4),
        ],
        name="model",
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_after_a_sparse_phase_too(name):
    """A re-dense phase is what plain Keras does from that state on."""
    x, y = helpers.data()
    model = dsd.make_prunable(plain_model())
    model.compile(OPTIMIZERS[name](), "mse")
    start = {}

    def remember(epoch, logs):
        if epoch == 2:
            start["optimizer"] = helpers.values(model.optimizer.variables)
            start["model"] = {v.path: helpers.values([v])[0] for v in model.variables}

    phases = [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(1, sparsity=0.5),
        dsd.phases.Redense(2),
    ]
    model.fit(
        x,
        y,
        batch_size=16,
        epochs=4,
        shuffle=False,
        callbacks=[
            dsd.DSDCallback(phases, verbose=0),
            keras.callbacks.LambdaCallback(on_epoch_begin=remember),
        ],
        verbose=0,
    )
    keras.utils.clear_session(free_memory=False)
    plain = plain_model()
    plain.compile(OPTIMIZERS[name](), "mse")
    plain.optimizer.build(plain.trainable_variables)
    for variable in plain.variables:
        variable.assign(start["model"][variable.path])
    for variable, value in zip(
        plain.optimizer.variables, start["optimizer"], strict=True
    ):
        variable.assign(value)
    # The phase's factor acts after `on_epoch_begin`, and `fit` gives the rate back.
    rate = float(keras.ops.convert_to_numpy(plain.optimizer.learning_rate))
    plain.optimizer.learning_rate = rate * 0.1
    plain.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    plain.optimizer.learning_rate = rate
    assert_same_bits(model.optimizer.variables, plain.optimizer.variables)
    assert_same_bits(dsd.strip(model).variables, plain.variables)


class Spy:
    """Counts the variables that are read while a training step is traced or run."""

    def __init__(self, monkeypatch):
        self.watching = False
        self.read = set()
        value = keras.Variable.value.fget

        def spy(variable):
            if self.watching:
                self.read.add(id(variable))
            return value(variable)

        monkeypatch.setattr(keras.Variable, "value", property(spy))

    @contextlib.contextmanager
    def watch(self):
        self.watching = True
        try:
            yield
        finally:
            self.watching = False

    def read_masks(self, model):
        return [id(w.mask) in self.read for w in conversion.pruned_weights(model)]


class Watched(keras.Sequential):
    """Turns the spy on for as long as its `train_step` runs."""

    spy = None

    def train_step(self, *args, **kwargs):
        with self.spy.watch():
            return super().train_step(*args, **kwargs)


def reads_by_epoch(model, phases, spy):
    """Returns, for each epoch, which masks its training step reads.

    A step is traced in the first epoch of its phase only, except on torch.
    """
    reads = []
    begin = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: spy.read.clear(),
        on_epoch_end=lambda epoch, logs: reads.append(spy.read_masks(model)),
    )
    model.spy = spy
    x, y = helpers.data()
    model.compile(keras.optimizers.Adam(use_ema=True), "mse")
    epochs = sum(phase.epochs for phase in phases)
    callbacks = [begin, dsd.DSDCallback(phases, verbose=0)]
    model.fit(x, y, epochs=epochs, callbacks=callbacks, verbose=0)
    return reads


def watched(**options):
    first = {"kernel_regularizer": "l2", "kernel_constraint": "max_norm", **options}
    return Watched(
        [
            keras.Input((12,)),
            layers.Dense(8, **first),
            layers.Dense(8),
            layers.Dense(4),
        ]
    )


def test_no_mask_is_read_outside_of_sparse_phases(monkeypatch):
    model = dsd.make_prunable(watched())
    reads = reads_by_epoch(
        model,
        [
            dsd.phases.Dense(1),
            dsd.phases.Sparse(1, sparsity=0.5),
            dsd.phases.Redense(1, lr_factor=None),
        ],
        Spy(monkeypatch),
    )
    assert reads == [[False] * 3, [True] * 3, [False] * 3]


@pytest.mark.parametrize("held_by", ["layer", "distribution", "phase"])
def test_layers_held_dense_read_no_mask(monkeypatch, held_by):
    model = watched()
    if held_by == "layer":
        dsd.Prunable(model.layers[1], sparsity=0)
    dsd.make_prunable(model)
    dense = {"layer": "uniform", "distribution": {"dense_1/": 0.0}, "phase": "uniform"}
    sparsity = 0.0 if held_by == "phase" else 0.5
    phase = dsd.phases.Sparse(1, sparsity=sparsity, distribution=dense[held_by])
    (reads,) = reads_by_epoch(model, [phase], Spy(monkeypatch))
    assert reads == [held_by != "phase", False, held_by != "phase"]


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch does not trace")
def test_one_trace_for_each_set_of_masked_layers():
    traces = []

    @keras.saving.register_keras_serializable("tests")
    class Counts(layers.Dense):
        def call(self, inputs, training=False):
            if training:
                traces.append(1)
            return super().call(inputs)

    model = keras.Sequential([keras.Input((12,)), Counts(8), layers.Dense(4)])
    dsd.make_prunable(model)
    traces.clear()
    seen = []
    sparse, redense = dsd.phases.Sparse, dsd.phases.Redense
    phases = [
        dsd.phases.Dense(2),
        sparse(2, sparsity=0.5),
        redense(2),
        sparse(2, sparsity=0.7, schedule="linear"),
        redense(2, restore="random"),
        sparse(1, sparsity=0.5, distribution={"counts/": 0.0}),
        dsd.phases.Dense(1),
        sparse(1, sparsity=0.1),
    ]
    x, y = helpers.data()
    model.compile("adam", "mse")
    count = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(len(traces))
    )
    epochs = sum(phase.epochs for phase in phases)
    model.fit(
        x,
        y,
        epochs=epochs,
        batch_size=16,
        callbacks=[dsd.DSDCallback(phases, verbose=0), count],
        verbose=0,
    )
    one = seen[0]  # Keras may call a layer twice while it traces
    assert one >= 1
    expected = [1] * 2 + [2] * 8 + [3] + [3] * 2
    assert [number / one for number in seen] == expected
