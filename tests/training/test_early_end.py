"""Phases that end early, by metrics that are not in every epoch's logs."""

import warnings

import keras
import pytest

import keras_dsd as dsd
from keras_dsd import phases
from tests import helpers

STILL = {"patience": 2, "min_delta": 100.0}  # nothing improves, after the first


def train(plan, callbacks=(), **options):
    model = dsd.make_prunable(helpers.mlp())
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = helpers.data()
    return model.fit(
        x,
        y,
        batch_size=32,
        epochs=sum(phase.epochs for phase in plan),
        verbose=0,
        callbacks=[*callbacks, dsd.DSDCallback(plan, verbose=0)],
        **options,
    ).history


def test_epochs_without_the_metric_do_not_count():
    """Of epochs 1, 3, 5 the last is the second without improvement."""
    plan = [
        phases.Dense(9, until=phases.Plateau("val_loss", **STILL)),
        phases.Sparse(2, sparsity=0.5),
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="`Plateau`")
        warnings.filterwarnings("ignore", message="`fit` ends")
        history = train(plan, validation_data=helpers.data(), validation_freq=2)
    assert history["dsd_phase"] == [0.0] * 6 + [1.0] * 2
    assert len(history["val_loss"]) == 4


class Now(keras.callbacks.Callback):
    """Adds a metric to the logs of some epochs."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch in self.epochs:
            logs["own"] = 1.0


def test_a_metric_of_another_callback():
    plan = [phases.Dense(7, until=phases.Plateau("own", mode="min", **STILL))]
    with pytest.warns(UserWarning, match="`Plateau` watches 'own'"):
        history = train(plan, [Now([2, 3, 5])])
    assert len(history["loss"]) == 6


def test_a_metric_that_comes_in_a_later_phase():
    until = phases.Plateau("own", mode="min")
    plan = [phases.Dense(1, until=until), phases.Dense(2, until=until)]
    with pytest.warns(UserWarning, match="`Plateau` watches 'own'"):
        assert len(train(plan, [Now([2])])["loss"]) == 3


@pytest.mark.parametrize("monitor", ["val_loss", "accurracy"])
def test_a_metric_that_never_comes(monitor):
    """Warned of as soon as it looks like it, refused at the end."""
    plan = [
        phases.Dense(1, until=phases.Plateau(monitor, mode="max")),
        phases.Sparse(1, sparsity=0.5, until=phases.Plateau(monitor, mode="max")),
    ]
    with (
        pytest.warns(UserWarning, match=f"`Plateau` watches '{monitor}'"),
        pytest.raises(ValueError, match=f"Received: monitor='{monitor}'$"),
    ):
        train(plan)
