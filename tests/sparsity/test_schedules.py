import dataclasses
import json
import re
import sys

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dsd import schedules
from tests import reference_vectors

pytestmark = pytest.mark.one_backend

SPARSITIES = st.floats(0, 1, exclude_max=True)
TIMES = st.one_of(st.integers(0, 10**6), st.floats(0, 1e6))
RAMPS = [schedules.Linear, schedules.Cubic, schedules.Cosine]
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.just(10**400),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=2),
    st.lists(st.integers(), max_size=1),
)


@st.composite
def ramps(draw):
    begin, end = sorted((draw(TIMES), draw(TIMES)))
    return draw(st.sampled_from(RAMPS))(
        final=draw(SPARSITIES), initial=draw(SPARSITIES), begin=begin, end=end
    )


ONE_SHOTS = st.builds(schedules.OneShot, SPARSITIES, initial=SPARSITIES, at=TIMES)
CONSTANTS = st.builds(schedules.Constant, SPARSITIES)
SCHEDULES = st.one_of(ramps(), ONE_SHOTS, CONSTANTS)


def refuses(function, *args, **kwargs):
    """Whether the call is refused in the one way allowed; False where it returns."""
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError) as error:
        assert re.search(r"Received: .+$", str(error), re.DOTALL)
        return True
    return False


def is_time(value):
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


@pytest.mark.parametrize("case", reference_vectors.params("cubic"))
def test_cubic_of_the_reference(case):
    given_, expected = case["inputs"], case["expected"]
    schedule = schedules.Cubic(
        final=given_["s_f"],
        initial=given_["s_i"],
        begin=given_["t0"],
        end=given_["t1"],
    )
    got = [schedule(t) for t in given_["t"]]
    assert got == pytest.approx(expected["s"], abs=1e-9, rel=0)
    exact = dict(zip(given_["t"], zip(got, expected["s"], strict=True), strict=True))
    for t in expected["exactly_equal_at"]:
        assert exact[t][0] == exact[t][1]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (schedules.Linear, [0.2, 0.35, 0.5, 0.65, 0.8]),
        (schedules.Cubic, [0.2, 0.546875, 0.725, 0.790625, 0.8]),
        (schedules.Cosine, [0.2, 0.5 - 0.3 / 2**0.5, 0.5, 0.5 + 0.3 / 2**0.5, 0.8]),
    ],
)
def test_the_ramps_follow_their_formulas(kind, expected):
    schedule = kind(final=0.8, initial=0.2, begin=100, end=500)
    assert [schedule(t) for t in range(100, 501, 100)] == pytest.approx(expected)


@given(ramps(), st.one_of(TIMES, st.floats(-1e6, 0)))
def test_a_ramp_holds_its_ends_bit_for_bit(schedule, t):
    if t >= schedule.end:
        assert schedule(t) == schedule.final
    elif t <= schedule.begin:
        assert schedule(t) == schedule.initial
    assert schedule(schedule.end) == schedule.final
    if schedule.begin < schedule.end:
        assert schedule(schedule.begin) == schedule.initial


@given(SCHEDULES, TIMES)
def test_a_schedule_stays_between_its_ends(schedule, t):
    initial = getattr(schedule, "initial", schedule.final)
    low, high = sorted((initial, schedule.final))
    assert type(schedule(t)) is float
    assert low <= schedule(t) <= high


@pytest.mark.parametrize("kind", RAMPS)
def test_rounding_does_not_step_over_an_end(kind):
    # 0.5 + (0.1 - 0.5) * 1 is 0.09999999999999998: one zero fewer among 10 weights.
    assert kind(final=0.5, initial=0.1, end=1e9)(1e-9) == 0.1


@given(SCHEDULES, TIMES, TIMES)
def test_a_schedule_never_turns_back(schedule, a, b):
    first, second = sorted((a, b))
    rising = schedule.final >= getattr(schedule, "initial", schedule.final)
    low, high = (first, second) if rising else (second, first)
    # The cosine of the platform's library may be off by its last bit.
    slack = 1e-15 if isinstance(schedule, schedules.Cosine) else 0
    assert schedule(low) <= schedule(high) + slack


@given(st.sampled_from(RAMPS), SPARSITIES, SPARSITIES, TIMES)
def test_a_ramp_without_length_is_a_jump(kind, final, initial, at):
    schedule = kind(final=final, initial=initial, begin=at, end=at)
    jump = schedules.OneShot(final, initial=initial, at=at)
    for t in (at - 1, at, at + 1):
        assert schedule(t) == jump(t) == (final if t >= at else initial)


@given(SPARSITIES, st.one_of(TIMES, st.floats(-1e6, 0)))
def test_constant_is_constant(final, t):
    assert schedules.Constant(final=final)(t) == final


def test_cubic_prunes_early_and_linear_evenly():
    cubic, linear = (k(final=0.5, end=10) for k in (schedules.Cubic, schedules.Linear))
    assert all(cubic(t) > linear(t) for t in range(1, 10))


def test_the_defaults_start_dense_at_time_0():
    assert schedules.OneShot(0.3)(0) == 0.3
    assert schedules.OneShot(0.3)(-1) == 0.0
    assert schedules.Linear(0.3, end=2)(0) == 0.0


@given(ANYTHING)
def test_sparsities_are_checked(value):
    good = type(value) in (int, float) and 0 <= value < 1
    assert refuses(schedules.Constant, value) == (not good)
    assert refuses(schedules.OneShot, 0.5, initial=value) == (not good)
    for kind in RAMPS:
        assert refuses(kind, value, end=1) == (not good)
        assert refuses(kind, 0.5, initial=value, end=1) == (not good)


@given(ANYTHING)
def test_times_are_checked(value):
    assert refuses(schedules.OneShot, 0.5, at=value) == (
        not (is_time(value) and value >= 0)
    )
    for kind in RAMPS:
        assert refuses(kind, 0.5, end=value) == (not (is_time(value) and value >= 0))
        in_range = is_time(value) and 0 <= value <= 1
        assert refuses(kind, 0.5, begin=value, end=1) == (not in_range)


@given(SCHEDULES, ANYTHING)
def test_the_time_of_a_call_is_checked(schedule, t):
    assert refuses(schedule, t) == (not is_time(t))


def test_an_end_before_the_beginning_is_refused():
    with pytest.raises(ValueError, match=r"Received: begin=3, end=2$"):
        schedules.Cubic(final=0.5, begin=3, end=2)


def test_a_ramp_needs_an_end():
    with pytest.raises(TypeError, match="end"):
        schedules.Cubic(final=0.5)


@given(SCHEDULES)
def test_a_schedule_survives_a_file(schedule):
    stored = json.dumps(keras.saving.serialize_keras_object(schedule))
    loaded = keras.saving.deserialize_keras_object(json.loads(stored))
    assert loaded == schedule
    assert type(loaded) is type(schedule)
    assert hash(loaded) == hash(schedule)


def test_numpy_numbers_become_the_decimals_that_were_written():
    schedule = schedules.Cubic(
        final=np.float32(0.29), begin=np.int64(1), end=np.int8(2)
    )
    assert json.dumps(schedule.get_config()) == (
        '{"final": 0.29, "initial": 0.0, "begin": 1, "end": 2}'
    )
    assert schedule(np.int64(2)) == 0.29
    assert schedule(np.float32(1.5)) == schedule(1.5)


def test_schedules_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedules.Constant(0.5).final = 0.1


@pytest.mark.parametrize(("name", "kind"), schedules.BY_NAME.items())
def test_a_name_is_its_class_in_snake_case(name, kind):
    assert schedules.named(name) is kind
    assert name == re.sub("(?<!^)([A-Z])", r"_\1", kind.__name__).lower()


@pytest.mark.parametrize("name", ["Cubic", "", None, 3, ["cubic"]])
def test_an_unknown_name_is_refused_with_the_list(name):
    with pytest.raises((TypeError, ValueError), match=r"'one_shot'\]\. Received: "):
        schedules.named(name)
