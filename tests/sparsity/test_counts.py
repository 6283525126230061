from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dsd.sparsity import counts
from tests import reference_vectors

pytestmark = pytest.mark.portable

SIZES = st.integers(0, 10**9)
SPARSITIES = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize("case", reference_vectors.params("count"))
def test_zeros_of_the_reference(case):
    got = [counts.zeros(size, s) for size, s in case["inputs"]["pairs"]]
    assert got == case["expected"]["zeros"]


@given(SIZES, st.integers(0, 9999))
def test_a_written_decimal_is_meant_exactly(size, digits):
    assert counts.zeros(size, float(f"0.{digits:04d}")) == size * digits // 10**4


@given(SIZES, SPARSITIES)
def test_zeros_is_a_floor_that_leaves_something(size, sparsity):
    zeros = counts.zeros(size, sparsity)
    assert type(zeros) is int
    assert zeros <= counts.as_fraction(sparsity) * size < zeros + 1
    assert zeros < size or size == 0


@given(SIZES, SPARSITIES, SPARSITIES)
def test_more_sparsity_never_means_fewer_zeros(size, a, b):
    low, high = sorted((a, b))
    assert counts.zeros(size, low) <= counts.zeros(size, high)


@pytest.mark.parametrize("kind", [float, np.float16, np.float32, np.float64])
def test_each_float_type_means_its_own_shortest_decimal(kind):
    assert counts.as_fraction(kind(0.29)) == Fraction(29, 100)


def test_fractions_and_integers_stay_exact():
    assert counts.zeros(3, Fraction(2, 3)) == 2
    assert counts.zeros(7, 0) == 0


def test_equal_numbers_of_two_types_are_two_decimals():
    # 0.29 as float32 is a little less than 29/100 once it is widened.
    assert counts.zeros(100, float(np.float32(0.29))) == 28
    assert counts.zeros(100, np.float32(0.29)) == 29
