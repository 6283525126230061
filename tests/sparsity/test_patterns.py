import dataclasses
import json
import re
from fractions import Fraction

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dsd import patterns

SIDES = st.integers(1, 10**6)
GROUPS = st.tuples(SIDES, SIDES).map(lambda pair: patterns.NM(*sorted(pair)))
BLOCKS = st.tuples(SIDES, SIDES).map(patterns.Block)
PATTERNS = st.one_of(st.just(patterns.Unstructured()), GROUPS, BLOCKS)
SHAPES = st.lists(st.integers(0, 64), max_size=4).map(tuple)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.one_of(st.integers(-1, 5), st.floats(), st.none()), max_size=3),
    st.tuples(st.integers(-1, 3), st.integers(-1, 3)),
    st.dictionaries(st.sampled_from(["class_name", "config", "a"]), st.integers()),
)


def refuses(function, *args):
    """Whether the call is refused in the one way allowed; False where it returns."""
    try:
        function(*args)
    except (TypeError, ValueError) as error:
        assert re.search(r"Received: .+$", str(error), re.DOTALL)
        return True
    return False


@given(ANYTHING, ANYTHING)
def test_nm_takes_integers_with_n_up_to_m_and_nothing_else(n, m):
    whole = type(n) is int and type(m) is int
    assert refuses(patterns.NM, n, m) == (not (whole and 1 <= n <= m))


@given(ANYTHING)
def test_block_takes_two_positive_integers_and_nothing_else(shape):
    pair = isinstance(shape, (tuple, list)) and len(shape) == 2
    fits = pair and all(type(side) is int and side >= 1 for side in shape)
    assert refuses(patterns.Block, shape) == (not fits)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: patterns.NM(3, 2), ValueError, "Received: n=3, m=2"),
        (lambda: patterns.NM(0, 2), ValueError, "Received: n=0"),
        (lambda: patterns.NM(True, 2), TypeError, "Received: n=True"),
        (lambda: patterns.NM(1, 2.0), TypeError, "Received: m=2.0"),
        (lambda: patterns.Block(4), TypeError, "Received: shape=4"),
        (lambda: patterns.Block((4, 0)), ValueError, "Received: shape=0"),
        (lambda: patterns.Block((4, True)), TypeError, "Received: shape=True"),
        (lambda: patterns.get("4:2"), ValueError, "Received: n=4, m=2"),
        (lambda: patterns.get("2:4:8"), ValueError, "pattern='2:4:8'"),
        (lambda: patterns.get(patterns.NM), TypeError, "NM'>"),
        (lambda: patterns.get({"a": 1}), ValueError, "pattern={'a': 1}"),
    ],
)
def test_a_message_ends_in_what_was_received(build, error, message):
    with pytest.raises(error, match=re.escape(message) + "$"):
        build()


@given(GROUPS)
def test_nm_fixes_the_sparsity(pattern):
    assert pattern.sparsity == 1 - Fraction(pattern.n, pattern.m)
    assert 0 <= pattern.sparsity < 1


@pytest.mark.parametrize("pattern", [patterns.Unstructured(), patterns.Block((4, 4))])
def test_other_patterns_leave_the_sparsity_open(pattern):
    assert pattern.sparsity is None


@given(PATTERNS, SHAPES)
def test_check_refuses_exactly_the_shapes_that_do_not_fit(pattern, shape):
    fits = pattern == patterns.Unstructured() or len(shape) >= 2
    if isinstance(pattern, patterns.NM):
        fits = fits and shape[-2] % pattern.m == 0
    assert refuses(pattern.check, shape, "dense/kernel") == (not fits)


def test_nm_reads_axis_minus_2():
    assert refuses(patterns.NM(2, 4).check, (8, 6, 8), "w")
    assert not refuses(patterns.NM(2, 4).check, (3, 8, 6), "w")


def test_a_misfit_is_named_by_its_path():
    with pytest.raises(ValueError, match=r"path='fc/kernel', shape=\(6, 8\)$"):
        patterns.NM(2, 4).check((6, 8), "fc/kernel")


@given(PATTERNS, ANYTHING)
def test_check_refuses_what_is_no_shape(pattern, shape):
    is_shape = isinstance(shape, (tuple, list)) and all(
        isinstance(side, int) for side in shape
    )
    if not is_shape:
        with pytest.raises(TypeError, match="Received: path='w', shape="):
            pattern.check(shape, "w")


@given(PATTERNS)
def test_a_pattern_survives_a_file(pattern):
    stored = json.dumps(keras.saving.serialize_keras_object(pattern))
    loaded = keras.saving.deserialize_keras_object(json.loads(stored))
    assert loaded == pattern
    assert hash(loaded) == hash(pattern)
    assert patterns.get(json.loads(stored)) == pattern


def test_numpy_integers_become_json():
    pattern = patterns.NM(np.int64(2), np.int32(4))
    assert json.dumps(pattern.get_config()) == '{"n": 2, "m": 4}'


@given(GROUPS, BLOCKS)
def test_get_reads_the_short_names(group, block):
    assert patterns.get(f"{group.n}:{group.m}") == group
    assert patterns.get("{}x{}".format(*block.shape)) == block


@given(PATTERNS)
def test_get_returns_a_pattern_as_it_is(pattern):
    assert patterns.get(pattern) is pattern


@pytest.mark.parametrize("identifier", [None, "unstructured"])
def test_unstructured_is_the_default(identifier):
    assert patterns.get(identifier) == patterns.Unstructured()


@given(ANYTHING)
def test_get_refuses_everything_else(identifier):
    if identifier is not None:
        assert refuses(patterns.get, identifier)


def test_get_refuses_a_stored_object_that_is_no_pattern():
    layer = keras.saving.serialize_keras_object(keras.layers.Dense(1))
    assert refuses(patterns.get, layer)


@pytest.mark.parametrize("identifier", [np.zeros(2), ":4", "2:", "x", "-1x4", "2 : 4"])
def test_get_refuses_near_misses(identifier):
    assert refuses(patterns.get, identifier)


def test_patterns_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        patterns.NM(2, 4).n = 1
