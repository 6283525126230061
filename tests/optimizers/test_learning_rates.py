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
    for factor in (0.5, 0.1, 3.0, 1.0):
        rates.wrap(factor)
        rates.scale()
        assert rate_of(optimizer) == pytest.approx(first * factor)
        assert not rates.is_due
        rates.give_back()
    rates.unwrap()
    assert rate_of(optimizer) == first


def test_a_schedule_is_given_back_itself():
    schedule = decay()
    optimizer = keras.optimizers.Adam(schedule)
    rates = Rates(optimizer)
    assert rates.traced_factors() == ()
    rates.wrap(0.5)
    rates.wrap(0.25)
    assert rates.traced_factors() == (0.25,)
    rates.unwrap()
    assert optimizer._learning_rate is schedule
    assert rates.traced_factors() == ()


def test_what_was_restored_gets_the_factor_of_its_phase():
    optimizer = keras.optimizers.Adam(decay())
    rates = Rates(optimizer)
    rates.wrap(1.0)
    assert rates.traced_factors() == ()
    rates.wrap(0.1)
    assert rates.traced_factors() == (0.1,)
    rates.wrap(1.0)
    assert rates.traced_factors() == (1.0,)


def test_a_number_is_recovered_where_it_was_left_scaled():
    plain = keras.optimizers.Adam(0.03)
    rates = Rates(plain)
    rates.wrap(0.1)
    rates.scale()
    own = rates.own()
    for iterations, rate, expected in [
        (1, 0.003, 0.03),
        (0, 0.003, 0.003),  # a new one of that rate
        (1, 0.5, 0.5),
    ]:
        other = keras.optimizers.Adam(rate)
        other.iterations.assign(iterations)
        Rates(other).recover(own, 0.1)
        assert rate_of(other) == pytest.approx(expected)


@pytest.mark.parametrize("is_relative", [True, False])
def test_what_was_set_since_is_kept(is_relative):
    optimizer = keras.optimizers.SGD(0.5)
    rates = Rates(optimizer)
    rates.wrap(0.1)
    rates.scale()
    assert not rates.are_written()
    optimizer.learning_rate = 0.025
    assert rates.are_written()
    rates.give_back(is_relative)
    assert rate_of(optimizer) == pytest.approx(0.25 if is_relative else 0.025)


def test_within_a_loss_scale_optimizer():
    inner = keras.optimizers.Adam(0.01)
    rates = Rates(keras.optimizers.LossScaleOptimizer(inner))
    rates.check()
    rates.wrap(0.5)
    rates.scale()
    assert rate_of(inner) == pytest.approx(0.005)


@pytest.mark.parametrize("rate", [0.5, decay], ids=["float", "schedule"])
def test_own_rates_are_told_while_numbers_are_scaled(rate):
    rates = Rates(keras.optimizers.SGD(rate() if callable(rate) else rate))
    rates.wrap(0.1)
    assert np.isnan(rates.own()).all()
    rates.scale()
    own = rates.own()
    assert len(own) == RATES and np.isnan(own[1:]).all()
    assert np.isnan(own[0]) if callable(rate) else own[0] == 0.5


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
