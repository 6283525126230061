"""Rates times factors: floats, schedules, several optimizers, what can't be scaled."""

import json

import keras
import numpy as np
import pytest

from keras_dsd.optimizers.learning_rates import RATES, PhaseLearningRate, Rates


def decay(rate=0.1):
    return keras.optimizers.schedules.ExponentialDecay(rate, 10, 0.5)


def rate_of(optimizer):
    return float(np.array(keras.ops.convert_to_numpy(optimizer.learning_rate)))


@pytest.mark.parametrize("rate", [0.02, decay], ids=["float", "schedule"])
def test_a_factor_is_of_the_first_rate(rate):
    optimizer = keras.optimizers.SGD(rate() if callable(rate) else rate)
    first = rate_of(optimizer)
    rates = Rates(optimizer)
    rates.check()
    read = rates.read()
    for factor in (0.5, 0.1, 3.0, 1.0):
        rates.apply(factor, read)
        assert rate_of(optimizer) == pytest.approx(first * factor)


def test_a_schedule_is_given_back_itself():
    schedule = decay()
    optimizer = keras.optimizers.Adam(schedule)
    rates = Rates(optimizer)
    read = rates.read()
    assert rates.traced_factors() == ()
    rates.apply(0.5, read)
    rates.apply(0.25, read)
    assert rates.traced_factors() == (0.25,)
    rates.unwrap()
    assert optimizer._learning_rate is schedule
    assert rates.traced_factors() == ()


def test_what_was_restored_gets_the_factor_of_its_phase():
    optimizer = keras.optimizers.Adam(decay())
    rates = Rates(optimizer)
    rates.rewrap(1.0)
    assert rates.traced_factors() == ()
    rates.rewrap(0.1)
    assert rates.traced_factors() == (0.1,)
    rates.rewrap(1.0)
    assert rates.traced_factors() == (1.0,)
    # A number was restored with the optimizer's variables.
    plain = keras.optimizers.Adam(0.03)
    Rates(plain).rewrap(0.1)
    assert rate_of(plain) == pytest.approx(0.03)


def test_within_a_loss_scale_optimizer():
    inner = keras.optimizers.Adam(0.01)
    rates = Rates(keras.optimizers.LossScaleOptimizer(inner))
    rates.check()
    rates.apply(0.5, rates.read())
    assert rate_of(inner) == pytest.approx(0.005)


def test_read_pads_and_marks_schedules():
    read = Rates(keras.optimizers.SGD(0.5)).read()
    assert len(read) == RATES
    assert read[0] == 0.5 and np.isnan(read[1:]).all()
    assert np.isnan(Rates(keras.optimizers.SGD(decay())).read()).all()


def test_a_callable_rate_can_not_be_scaled():
    optimizer = keras.optimizers.SGD(lambda: 0.1)
    with pytest.raises(ValueError, match="Received: learning_rate="):
        Rates(optimizer).check()


def test_as_a_schedule_of_its_own():
    rate = PhaseLearningRate(decay(), factor=0.5)
    plain = decay()
    for step in (0, 3, 10, 100):
        assert float(rate(step)) == pytest.approx(0.5 * float(plain(step)))
    stored = json.dumps(keras.saving.serialize_keras_object(rate))
    again = keras.saving.deserialize_keras_object(json.loads(stored))
    assert again.get_config() == rate.get_config()
    assert float(again(7)) == float(rate(7))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0.1,), TypeError),
        ((None,), TypeError),
        ((lambda step: 0.1,), TypeError),
        ((decay(), 0), ValueError),
        ((decay(), -1.0), ValueError),
        ((decay(), float("nan")), ValueError),
        ((decay(), float("inf")), ValueError),
        ((decay(), "low"), TypeError),
        ((decay(), True), TypeError),
    ],
)
def test_refused(arguments, error):
    with pytest.raises(error, match="Received: "):
        PhaseLearningRate(*arguments)
