"""`DSDCallback` in `fit`: every option does what it says, under every way to run."""

import copy
import pickle

import keras
import numpy as np
import pytest
from keras import layers, optimizers

import keras_dsd as dsd
from keras_dsd import phases
from keras_dsd.layers import conversion
from tests import helpers

TORCH = keras.backend.backend() == "torch"


def train(plan, model=None, epochs=None, optimizer="sgd", callbacks=(), **options):
    """Wraps and trains a model; returns it and the history."""
    model = dsd.make_prunable(helpers.mlp() if model is None else model)
    if not model.compiled:
        model.compile(optimizer, "mse", **options)
    x, y = helpers.data()
    epochs = sum(phase.epochs for phase in plan) if epochs is None else epochs
    run = model.fit(
        x,
        y,
        batch_size=16,
        epochs=epochs,
        verbose=0,
        callbacks=[dsd.DSDCallback(plan, verbose=0), *callbacks],
    )
    return model, run.history


def zeros(model):
    return [int(np.count_nonzero(~mask)) for mask in helpers.masks_of(model)]


def test_logs_are_the_same_floats_every_epoch(tmp_path):
    path = tmp_path / "log.csv"
    plan = phases.dsd(epochs=3, sparsity=0.5)
    _, history = train(plan, callbacks=[keras.callbacks.CSVLogger(str(path))])
    assert history["sparsity"] == [0.0, 0.5, 0.0]
    assert history["dsd_phase"] == [0.0, 1.0, 2.0]
    assert all(type(value) is float for value in history["sparsity"])
    head, *lines = path.read_text().splitlines()
    assert head.split(",")[1:3] == ["dsd_phase", "loss"]
    assert len(lines) == 3


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("schedule", ["cubic", "linear", "cosine"])
def test_ramp_over_epochs_ends_exactly(schedule, jit_compile):
    if TORCH and jit_compile:
        pytest.skip("torch.compile needs a compiler at run time")
    plan = [phases.Sparse(8, sparsity=0.5, schedule=schedule)]
    model, history = train(plan, jit_compile=jit_compile)
    sparsity = history["sparsity"]
    assert sparsity == sorted(sparsity)
    assert sparsity[0] == 0.0
    assert sparsity[5] < 0.5
    assert sparsity[6:] == [0.5, 0.5]
    assert zeros(model) == [96, 32]


@pytest.mark.parametrize("steps_per_execution", [1, 2, 3])
@pytest.mark.parametrize("accumulation", [None, 2])
def test_ramp_over_steps_ends_exactly(steps_per_execution, accumulation):
    if TORCH and steps_per_execution > 1:
        pytest.skip("Keras's torch backend has no steps_per_execution")
    plan = [phases.Sparse(4, sparsity=0.5, schedule="cubic", update_every=3)]
    model, history = train(
        plan,
        optimizer=optimizers.SGD(0.1, gradient_accumulation_steps=accumulation),
        steps_per_execution=steps_per_execution,
    )
    sparsity = history["sparsity"]
    # The updates of 16 steps, or 8 with accumulation, are due at 0, 3, 6...
    assert sparsity == sorted(sparsity)
    assert sparsity[0] < sparsity[2]
    assert sparsity[-1] == 0.5
    assert zeros(model) == [96, 32]


def test_a_ramp_goes_on_from_the_phase_before():
    plan = [
        phases.Sparse(1, sparsity=0.25),
        phases.Sparse(4, sparsity=0.5, schedule="linear"),
    ]
    _, history = train(plan)
    assert history["sparsity"][:2] == [0.25, 0.25]
    assert history["sparsity"][-1] == 0.5


def test_own_schedule_is_called_with_epochs():
    times = []

    def schedule(t):
        times.append(t)
        return 0.25 if t < 1 else 0.5

    _, history = train([phases.Sparse(3, sparsity=0.5, schedule=schedule)])
    assert history["sparsity"] == [0.25, 0.5, 0.5]
    assert set(times) == {0, 1, 2}


def test_n_m_holds_in_every_group():
    model, history = train([phases.Sparse(2, pattern="2:4")])
    assert history["sparsity"] == [0.5, 0.5]
    for mask in helpers.masks_of(model):
        groups = mask.reshape(mask.shape[0] // 4, 4, mask.shape[1])
        assert (groups.sum(axis=1) == 2).all()


def test_blocks_are_whole():
    model, _ = train([phases.Sparse(1, sparsity=0.5, pattern="4x2")])
    for mask in helpers.masks_of(model):
        rows, columns = mask.shape
        blocks = mask.reshape(rows // 4, 4, columns // 2, 2).sum(axis=(1, 3))
        assert set(np.unique(blocks)) == {0, 8}
        assert np.count_nonzero(blocks == 0) == blocks.size // 2


def test_global_ranks_all_weights_together():
    model = helpers.mlp()
    model.layers[0].kernel.assign(0.01 * np.ones((12, 16)))
    model.layers[1].kernel.assign(np.ones((16, 4)))
    model, _ = train([phases.Sparse(1, sparsity=0.5, distribution="global")], model)
    assert zeros(model) == [128, 0]  # half of all 256, from the small ones


@pytest.mark.parametrize("distribution", ["er", "erk"])
def test_er_meets_the_total(distribution):
    model, history = train([phases.Sparse(1, sparsity=0.5, distribution=distribution)])
    assert abs(sum(zeros(model)) - 128) < len(zeros(model))
    assert zeros(model)[0] / 192 > zeros(model)[1] / 64
    assert history["sparsity"] == [sum(zeros(model)) / 256]


def test_sparsity_by_path():
    plan = [phases.Sparse(1, sparsity=0.5, distribution={"dense_1": 0.25})]
    assert zeros(train(plan)[0]) == [96, 16]


def test_a_layers_own_target_comes_first():
    model = keras.Sequential(
        [
            keras.Input((12,)),
            dsd.Prunable(layers.Dense(16, activation="relu"), sparsity=0.75),
            dsd.Prunable(layers.Dense(8), sparsity=0),
            layers.Dense(4),
        ]
    )
    plan = [phases.Sparse(4, sparsity=0.5, schedule="linear")]
    model, history = train(plan, model)
    assert zeros(model) == [144, 0, 16]
    assert [state.in_force for state in conversion.states(model)] == [True, False, True]
    assert history["sparsity"][1] < history["sparsity"][-1]


def test_one_trace_for_each_set_of_masked_layers():
    class Count(layers.Layer):
        traces = 0

        def call(self, x, training=False):
            Count.traces += bool(training)
            return x

    model = keras.Sequential(
        [keras.Input((12,)), layers.Dense(16), Count(), layers.Dense(4)]
    )
    model = dsd.make_prunable(model)
    model.compile("sgd", "mse", jit_compile=False if TORCH else "auto")
    if TORCH:
        pytest.skip("nothing is traced")
    x, y = helpers.data()

    def traces(plan):
        Count.traces = 0
        callback = dsd.DSDCallback(plan, verbose=0)
        model.fit(
            x, y, epochs=len(plan), batch_size=16, verbose=0, callbacks=[callback]
        )
        return Count.traces

    once = traces([phases.Dense(1)])
    cycles = [phases.Sparse(1, sparsity=0.5), phases.Redense(1)] * 3
    assert traces([phases.Dense(1), *cycles]) == 2 * once


def test_learning_rate_follows_the_phases():
    rates = []

    class Read(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    plan = [
        phases.Dense(1),
        phases.Sparse(1, sparsity=0.5, lr_factor=0.5),
        phases.Redense(1),
        phases.Dense(1, lr_factor=None),
        phases.Dense(1, lr_factor=1.0),
    ]
    train(plan, optimizer=optimizers.SGD(0.25), callbacks=[Read()])
    np.testing.assert_allclose(rates, [0.25, 0.125, 0.025, 0.025, 0.25], rtol=1e-6)


def test_schedules_are_scaled_and_given_back():
    decay = optimizers.schedules.ExponentialDecay(1e-3, 4, 0.5)  # halves every epoch
    optimizer = optimizers.SGD(decay)
    steps = []

    class Read(keras.callbacks.Callback):
        """How far a bias whose gradient is 1 moves in the last step of each epoch."""

        def on_train_batch_begin(self, batch, logs=None):
            self.before = helpers.values(self.model.trainable_variables)[0]

        def on_epoch_end(self, epoch, logs=None):
            after = helpers.values(self.model.trainable_variables)[0]
            steps.append(float((self.before - after)[0]))

    class Slope(layers.Layer):
        def build(self, shape):
            self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")

        def call(self, x):
            return x + self.bias

    model = keras.Sequential([keras.Input((4,)), Slope(), layers.Dense(4)])
    model = dsd.make_prunable(model)
    model.layers[1].kernel.assign(np.eye(4))
    model.compile(optimizer, lambda y, p: keras.ops.mean(p, axis=-1))
    x = np.zeros((64, 4), "float32")
    plan = [phases.Dense(1), phases.Sparse(1, sparsity=0.0), phases.Redense(1)]
    model.fit(
        x,
        x,
        batch_size=16,
        epochs=3,
        verbose=0,
        callbacks=[dsd.DSDCallback(plan, verbose=0), Read()],
    )
    expected = [1e-3 * 0.5 ** (step / 4) for step in (3, 7, 11)]
    expected[-1] *= 0.1
    # The kernel's own drift changes the gradient a little.
    np.testing.assert_allclose(steps, expected, rtol=0.02)
    assert optimizer.get_config()["learning_rate"]["class_name"] == "ExponentialDecay"
    assert model.optimizer is optimizer


def test_a_multi_optimizer_is_scaled_throughout():
    if not hasattr(optimizers, "MultiOptimizer"):
        pytest.skip("this Keras has none")
    inner = {"a": optimizers.SGD(0.2), "b": optimizers.Adam(0.01)}
    optimizer = optimizers.MultiOptimizer(
        lambda variable: inner["b" if "dense_1" in variable.path else "a"]
    )
    rates = []

    def read(epoch, logs):
        rates.append([float(inner[name].learning_rate) for name in "ab"])

    watch = keras.callbacks.LambdaCallback(on_epoch_end=read)
    train(phases.dsd(epochs=3), optimizer=optimizer, callbacks=[watch])
    np.testing.assert_allclose(rates, [[0.2, 0.01]] * 2 + [[0.02, 0.001]], rtol=1e-6)
    read(None, None)
    np.testing.assert_allclose(rates[-1], [0.2, 0.01], rtol=1e-6)


def test_a_plateau_ends_phases_early_and_training_with_the_last():
    still = phases.Plateau("loss", patience=2, min_delta=100.0)
    plan = [
        phases.Dense(5, until=still),
        phases.Sparse(5, sparsity=0.5, until=still),
        phases.Redense(2),
    ]
    _, history = train(plan)
    # The first epoch of a phase is its best; two more do not beat it by 100.
    assert history["dsd_phase"] == [0, 0, 0, 1, 1, 1, 2, 2]


def test_a_plateau_waits_for_the_ramp():
    still = phases.Plateau("loss", patience=1, min_delta=100.0)
    plan = [phases.Sparse(8, sparsity=0.5, schedule="cubic", until=still)]
    _, history = train(plan)
    assert len(history["loss"]) == 8
    assert history["sparsity"][-1] == 0.5


def test_eager_and_compiled_runs_agree():
    plan = phases.dsd(epochs=3, sparsity=0.5)
    found = []
    for run_eagerly in (True, False):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(1)
        model, _ = train(plan, run_eagerly=run_eagerly)
        found.append(helpers.values(dsd.strip(model).weights))
    for eager, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(eager, compiled, rtol=1e-4, atol=1e-6)


def test_generators_of_unknown_length():
    x, y = helpers.data()

    def batches():
        while True:
            for start in range(0, 64, 16):
                yield x[start : start + 16], y[start : start + 16]

    model = dsd.make_prunable(helpers.mlp())
    model.compile("sgd", "mse")
    plan = phases.dsd(epochs=3, sparsity=0.5)
    callback = dsd.DSDCallback(plan, verbose=0)
    history = model.fit(
        batches(), steps_per_epoch=4, epochs=3, verbose=0, callbacks=[callback]
    )
    assert history.history["sparsity"] == [0.0, 0.5, 0.0]


def test_each_phase_is_announced(capsys):
    model = dsd.make_prunable(helpers.mlp())
    model.compile("sgd", "mse")
    x, y = helpers.data()
    callback = dsd.DSDCallback(phases.dsd(epochs=3, sparsity=0.5))
    model.fit(x, y, epochs=3, verbose=0, callbacks=[callback])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "DSD phase 1/3: Dense, 1 epoch",
        "DSD phase 2/3: Sparse, 1 epoch, sparsity 0.5",
        "DSD phase 3/3: Redense, 1 epoch, learning rate x 0.1",
    ]


@pytest.mark.parametrize(("epochs", "words"), [(2, "last 1 epochs"), (5, "2 epochs")])
def test_fit_of_another_length_warns_by_how_much(epochs, words):
    with pytest.warns(UserWarning, match=words):
        train(phases.dsd(epochs=3), epochs=epochs)


def test_weights_on_average_stay_sparse_to_the_end():
    plan = [phases.Dense(1), phases.Sparse(2, sparsity=0.5)]
    optimizer = optimizers.Adam(0.05, use_ema=True, ema_momentum=0.5)
    model, _ = train(plan, optimizer=optimizer)
    for weight, mask in zip(
        conversion.pruned_weights(model), helpers.masks_of(model), strict=True
    ):
        value = helpers.values([weight.variable])[0]
        assert (value[~mask] == 0).all()
        assert (value[mask] != 0).all()


def test_training_on_without_the_callback_keeps_the_zeros():
    model, _ = train([phases.Sparse(1, sparsity=0.5)], optimizer="adam")
    x, y = helpers.data()
    model.fit(x, y, epochs=2, verbose=0)
    for weight, mask in zip(
        conversion.pruned_weights(model), helpers.masks_of(model), strict=True
    ):
        assert (helpers.values([weight.variable])[0][~mask] == 0).all()


@pytest.mark.parametrize("terminate_first", [True, False])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_nothing_is_updated_once_training_is_stopping(every, terminate_first):
    """`TerminateOnNaN` ends `fit`, not an error, wherever it stands in the list."""
    model = dsd.make_prunable(helpers.mlp())
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = helpers.data()
    y[32:48] = np.nan  # in the third of four batches
    plan = [phases.Sparse(2, sparsity=0.5, regrowth="set", update_every=every)]
    callbacks = [dsd.DSDCallback(plan, verbose=0), keras.callbacks.TerminateOnNaN()]
    history = model.fit(
        x,
        y,
        batch_size=16,
        epochs=2,
        verbose=0,
        shuffle=False,
        callbacks=callbacks[::-1] if terminate_first else callbacks,
    ).history
    assert history["sparsity"] == [0.5]


def test_without_a_callback_that_ends_it_an_update_does():
    model = dsd.make_prunable(helpers.mlp())
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = helpers.data()
    y[16:32] = np.nan
    plan = [phases.Sparse(1, sparsity=0.5, regrowth="set", update_every=1)]
    callback = dsd.DSDCallback(plan, verbose=0)
    with pytest.raises(ValueError, match="not finite"):
        model.fit(x, y, batch_size=16, verbose=0, shuffle=False, callbacks=[callback])


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("regrowth", [None, "rigl"])
def test_a_copy_of_a_used_callback_is_as_new(copied, regrowth, tmp_path):
    """Cross-validation and tuners copy callbacks that they were given."""
    x, y = helpers.data()
    plan = [phases.Dense(1), phases.Sparse(1, sparsity=0.5, regrowth=regrowth)]

    def train_by(callback):
        keras.utils.set_random_seed(0)
        model = dsd.make_prunable(helpers.mlp(), track_gradients=True)
        model.compile("adam", "mse")
        model.fit(x, y, epochs=2, verbose=0, callbacks=[callback])
        return helpers.values(model.weights)

    used = dsd.DSDCallback(plan, seed=3, audit=tmp_path / "log", verbose=0)
    first = train_by(used)
    new = copied(used)
    assert (new.model, new.trace_key) == (None, None)
    assert used.model is not None
    assert (new.seed, new.verbose, new.timeline.phases) == (3, 0, plan)
    assert new.audit.path == used.audit.path
    for one, other in zip(first, train_by(new), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("restore", ["zero", "rewind", "random"])
def test_what_is_frozen_since_is_left_alone(restore):
    """Pruned, frozen, compiled again: no later phase writes into it."""
    plan = [phases.Sparse(1, sparsity=0.5), phases.Redense(1, restore=restore)]
    plan += [phases.Sparse(2, sparsity=0.75, schedule="linear")]
    with pytest.warns(UserWarning, match="will not be trained"):
        model, _ = train(plan, epochs=1, optimizer="adam")
    frozen, free = model.layers
    frozen.trainable = False
    model.compile("adam", "mse")
    held, others = helpers.values([frozen.kernel])[0], helpers.values([free.kernel])[0]
    x, y = helpers.data()
    model.fit(
        x,
        y,
        initial_epoch=1,
        epochs=4,
        verbose=0,
        callbacks=[dsd.DSDCallback(plan, verbose=0)],
    )
    np.testing.assert_array_equal(helpers.values([frozen.kernel])[0], held)
    assert (helpers.values([free.kernel])[0] != others).any()
