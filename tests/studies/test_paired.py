"""Differences by seed: intervals, tests, Holm, and how many seeds would be needed."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from scipy import stats

from keras_dsd.studies import paired

pytestmark = pytest.mark.one_backend

numbers = st.floats(-1, 1).filter(lambda value: value == 0 or abs(value) > 1e-6)


def zeros(count):
    return [0.0] * count


def test_interval_and_t_are_scipys(rng):
    new = rng.normal(0.3, 1, 9)
    found = paired.pair(zeros(9), new)
    expected = stats.ttest_1samp(new, 0)
    assert (found.low, found.high) == pytest.approx(
        tuple(expected.confidence_interval(0.95))
    )
    assert found.p >= expected.pvalue - 1e-12


@pytest.mark.parametrize("count", [2, 5, 6, 12])
def test_the_exact_test_is_the_floor_of_p(count):
    """Where t is sure, 2/2^n is all that n seeds allow."""
    clear = paired.pair(zeros(count), [1 + index * 1e-3 for index in range(count)])
    assert clear.p == pytest.approx(2 / 2**count)


def test_both_tests_must_agree():
    # One large difference of many: no flip of small ones matters, t sees a wide spread.
    outlier = paired.pair(zeros(12), [0.01] * 11 + [5.0])
    assert outlier.p == pytest.approx(stats.ttest_1samp([0.01] * 11 + [5.0], 0).pvalue)
    # Skewed the other way: t is below what the flips allow.
    values = [1.0, 1.0001, 1.0002, 1.0]
    assert stats.ttest_1samp(values, 0).pvalue < 1e-9
    assert paired.pair(zeros(4), values).p == pytest.approx(0.125)


@hypothesis.given(st.lists(numbers, min_size=2, max_size=8))
@hypothesis.settings(max_examples=40)
def test_signs_do_not_matter_to_p(values):
    one = paired.pair(zeros(len(values)), values)
    other = paired.pair(values, zeros(len(values)))
    assert one.p == pytest.approx(other.p)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert 0 <= one.p <= 1


def test_resolution_is_the_least_spread():
    same = paired.pair([0.9] * 3, [0.9] * 3, resolution=0.001)
    assert same.mean == 0
    assert same.spread == 0.001
    assert same.high == pytest.approx(stats.t.ppf(0.975, 2) * 0.001 / math.sqrt(3))
    assert same.p == 1


def test_many_seeds_are_drawn_the_same_each_time(rng):
    new = rng.normal(0.2, 1, 40)
    assert paired.pair(zeros(40), new) == paired.pair(zeros(40), new)


def test_holm_by_hand():
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )
    assert paired.holm([]) == []
    assert paired.holm([0.5, 0.9]) == [1.0, 1.0]


def test_equivalence_needs_margin_and_seeds(rng):
    near = paired.pair(zeros(10), rng.normal(0, 0.1, 10))
    assert paired.equivalence(near, 1.0) < 0.01
    assert paired.equivalence(near, 0.01) > 0.05
    few = paired.pair(zeros(4), [0.01, -0.01, 0.02, 0.0])
    assert paired.equivalence(few, 1.0) == pytest.approx(1 / 16)
    edge = paired.smallest_margin(near)
    t_only = stats.ttest_1samp(np.array(near.differences), edge).pvalue / 2
    other = stats.ttest_1samp(np.array(near.differences), -edge).pvalue / 2
    assert max(t_only, other) == pytest.approx(0.05)


def test_seeds_needed_have_the_power():
    needed = paired.seeds_needed(0.5, 1.0)
    assert needed == 34  # of any table of the paired t-test: d = 0.5, power 0.8
    assert paired.seeds_needed(0.5, 1.0, methods=5) > needed
    assert paired.seeds_needed(100.0, 1.0) == 6
    assert paired.seeds_needed(1e-6, 1.0) is None
    assert paired.seeds_needed(0.0, 1.0) is None
    assert paired.seeds_needed(0.0, 0.0) is None


def test_one_seed_says_nothing():
    one = paired.pair([0.5], [0.9])
    assert (one.spread, one.low, one.high, one.p) == (None, None, None, 1.0)
    assert paired.equivalence(one, 9.0) == 1.0
    assert paired.smallest_margin(one) == math.inf


@pytest.mark.parametrize(
    ("old", "new"), [([], []), ([1.0], [1.0, 2.0]), ([math.nan], [1.0])]
)
def test_bad_input(old, new):
    with pytest.raises(ValueError, match="Received: "):
        paired.pair(old, new)


@pytest.mark.parametrize("seeds", [1, 5, 20])
def test_several_metrics_are_as_each_alone(seeds, rng):
    olds = rng.normal(size=(3, seeds))
    news = olds + rng.normal(0.5, 0.3, size=(3, seeds))
    each = [
        paired.pair(old, new, resolution=0.1)
        for old, new in zip(olds, news, strict=True)
    ]
    assert paired.pair_each(olds, news, [0.1] * 3) == each
    assert paired.pair_each([], [], []) == []
