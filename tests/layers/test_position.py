"""Where a run stands, as a vector of integers and back."""

import dataclasses
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_dsd.layers.position import Position
from keras_dsd.optimizers.learning_rates import RATES

INTEGERS = [f.name for f in dataclasses.fields(Position) if f.type in (int, "int")]


def same(one, other):
    return np.array_equal(
        np.array([*dataclasses.astuple(one)[:-2], *one.rates, one.factor]),
        np.array([*dataclasses.astuple(other)[:-2], *other.rates, other.factor]),
        equal_nan=True,
    )


def test_a_new_one():
    array = Position().to_array()
    assert array.dtype == np.int32 and array.ndim == 1
    assert array.shape == (Position.SIZE,)
    assert same(Position.from_array(array), Position())


float32 = st.floats(width=32)


@given(
    st.lists(
        st.integers(-(2**31), 2**31 - 1),
        min_size=len(INTEGERS),
        max_size=len(INTEGERS),
    ),
    float32,
    float32,
    st.lists(float32, min_size=RATES, max_size=RATES),
)
def test_there_and_back(integers, best, factor, rates):
    fields = dict(zip(INTEGERS, integers, strict=True))
    position = Position(**fields, best=best, rates=tuple(rates), factor=factor)
    array = position.to_array()
    again = Position.from_array(array)
    assert same(again, position)
    np.testing.assert_array_equal(again.to_array(), array)


def test_every_field_has_a_place_of_its_own():
    start = Position().to_array()
    seen = []
    for name in INTEGERS:
        array = dataclasses.replace(Position(), **{name: 77}).to_array()
        (place,) = np.flatnonzero(array != start)
        seen.append(place)
    rates = tuple(range(1, RATES + 1))
    array = Position(best=0.5, rates=rates, factor=0.5).to_array()
    seen += np.flatnonzero(array != start).tolist()
    assert sorted(seen) == list(range(Position.SIZE))


def test_a_loss_that_grows_without_bound_is_kept():
    for best in (math.inf, -math.inf, 3.4e38, 1e-45):
        again = Position.from_array(Position(best=best).to_array())
        assert again.best == float(np.float32(best))
