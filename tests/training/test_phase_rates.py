"""Learning rates of phases, beside all else that sets rates, and after `fit`."""

import keras
import numpy as np
import pytest
from keras import callbacks as kc
from keras import optimizers

import keras_dsd as dsd
from keras_dsd import phases

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
Y = np.ones((32, 2), "float32")


class Look(keras.callbacks.Callback):
    """The rate that the last step of each epoch was made with."""

    def __init__(self):
        super().__init__()
        self.rates = []

    def on_epoch_begin(self, epoch, logs=None):
        self.rates.append(None)

    def on_train_batch_end(self, batch, logs=None):
        self.rates[-1] = rate_of(self.model)


def rate_of(model):
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def new(rate=0.1, optimizer=optimizers.SGD):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    model = dsd.make_prunable(model)
    model.compile(optimizer(rate), "mse")
    return model


def fit(model, plan, before=(), after=(), **options):
    """Returns the rate of each epoch, and the logs."""
    look = Look()
    options = {"epochs": sum(phase.epochs for phase in plan), **options}
    own = [*before, dsd.DSDCallback(plan, verbose=0), *after, look]
    history = model.fit(X, Y, batch_size=8, verbose=0, callbacks=own, **options)
    return look.rates, history.history


def plan():
    return [phases.Sparse(1, sparsity=0.5, lr_factor=0.5), phases.Redense(2)]


@pytest.mark.parametrize("kind", ["number", "schedule"])
def test_three_times_the_same_run_has_three_times_the_same_rates(kind):
    schedule = optimizers.schedules.PiecewiseConstantDecay([1000], [0.1, 0.1])
    model = new(0.1 if kind == "number" else schedule)
    for _ in range(3):
        rates, _ = fit(model, plan())
        np.testing.assert_allclose(rates, [0.05, 0.01, 0.01], rtol=1e-6)
        assert rate_of(model) == np.float32(0.1)


class Die(keras.callbacks.Callback):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("then", ["fit", "strip"])
@pytest.mark.parametrize("kind", ["number", "schedule"])
def test_after_an_interrupt_the_rate_is_given_back(error, then, kind):
    schedule = optimizers.schedules.PiecewiseConstantDecay([1000], [0.1, 0.1])
    model = new(0.1 if kind == "number" else schedule)
    with pytest.raises(error):
        fit(model, plan(), after=[Die(error)])
    if then == "fit":
        np.testing.assert_allclose(fit(model, plan())[0], [0.05, 0.01, 0.01], rtol=1e-6)
    else:
        dsd.strip(model)
    assert rate_of(model) == np.float32(0.1)


SCHEDULERS = {
    "absolute": (
        lambda: kc.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        [0.1 * 0.5, 0.05 * 0.1, 0.1 / 3 * 0.1],
    ),
    "relative": (
        lambda: kc.LearningRateScheduler(lambda epoch, rate: rate / 2),
        [0.05 * 0.5, 0.025 * 0.1, 0.0125 * 0.1],
    ),
    "plateau": (
        lambda: kc.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=100.0),
        [0.1 * 0.5, 0.1 * 0.1, 0.05 * 0.1],
    ),
    "tensorboard": (None, [0.1 * 0.5, 0.1 * 0.1, 0.1 * 0.1]),
}


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_factor_is_of_the_rate_that_a_callback_sets(name, place, tmp_path):
    make, expected = SCHEDULERS[name]
    if make is None:
        if keras.backend.backend() != "tensorflow":
            pytest.skip("Keras's TensorBoard needs TensorFlow")
        make = lambda: kc.TensorBoard(tmp_path)  # noqa: E731
    rates, logs = fit(new(), plan(), **{place: [make()]})
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    if name != "tensorboard":  # what is logged is what the epoch was trained with
        np.testing.assert_allclose(logs["learning_rate"], expected, rtol=1e-6)


class SetInEveryStep(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.3


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_callback_that_sets_the_rate_in_every_step_is_told_of(place):
    model = new()
    with pytest.warns(UserWarning, match="sets the learning rate in every step"):
        rates, _ = fit(model, plan(), **{place: [SetInEveryStep()]})
    np.testing.assert_allclose(rates, [0.3] * 3, rtol=1e-6)
    assert rate_of(model) == pytest.approx(0.3)


def test_a_newly_compiled_optimizer_has_its_own_first_rate():
    model = new()
    fit(model, plan(), epochs=2, initial_epoch=0)
    model.compile(optimizers.SGD(0.5), "mse")
    rates, _ = fit(model, plan(), initial_epoch=2)
    np.testing.assert_allclose(rates, [0.05], rtol=1e-6)
    assert rate_of(model) == pytest.approx(0.5)


@pytest.mark.parametrize("when", ["epoch", "step"])
@pytest.mark.parametrize("with_optimizer", [True, False])
def test_resumed_within_redense(when, with_optimizer, tmp_path):
    """A file of within the phase, or of within its epoch; with an optimizer or not."""
    freq = "epoch" if when == "epoch" else 1
    saver = kc.ModelCheckpoint(tmp_path / "m.keras", save_freq=freq)
    with pytest.raises(RuntimeError):
        fit(new(), plan(), after=[saver, DieIn(2)])
    model = keras.models.load_model(tmp_path / "m.keras", compile=with_optimizer)
    if not with_optimizer:
        model.compile(optimizers.SGD(0.1), "mse")
    rates, _ = fit(model, plan(), initial_epoch=2)
    np.testing.assert_allclose(rates, [0.01], rtol=1e-6)
    assert rate_of(model) == pytest.approx(0.1)


class DieIn(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.last, self.epoch = epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.last and batch == 1:
            raise RuntimeError


class NoConfig(optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1


@pytest.mark.parametrize("optimizer", [optimizers.SGD, optimizers.Adam])
def test_a_schedule_without_a_config_trains(optimizer):
    schedule = NoConfig()
    model = new(schedule, optimizer)
    rates, logs = fit(model, plan())
    np.testing.assert_allclose(rates, [0.05, 0.01, 0.01], rtol=1e-6)
    assert logs["sparsity"][0] == pytest.approx(0.5)
    fit(model, [phases.Sparse(1, sparsity=0.5)])
    assert rate_of(model) == pytest.approx(0.1)
