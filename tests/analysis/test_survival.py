"""`analysis.survival`: against lifetimes counted one by one, and SciPy's estimate."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib import pyplot as plt
from scipy import stats

from keras_dsd import analysis
from tests.analysis.test_overlap import runs

pytestmark = pytest.mark.one_backend


def lives(masks):
    """Yields (moment at which it grew, age, whether it died) of each connection."""
    for row in np.array(masks).reshape(len(masks), -1).T:
        grown = None
        for now, alive in enumerate([*row, None]):
            if alive and grown is None:
                grown = now
            elif not alive and grown is not None:
                # At the end it is only known to have reached the last moment.
                yield grown, now - grown - (alive is None), alive is not None
                grown = None


@settings(max_examples=60)
@given(runs(at_least=3))
def test_counts_and_curve_are_those_of_lifetimes(moments):
    found = analysis.survival(moments)
    total = len(moments)
    for path in [None, "a", "b"]:
        known = [
            one
            for key in ([path] if path else "ab")
            for one in lives([moment[key] for moment in moments])
        ]
        counts = found.counts(path)
        for grown in range(total):
            for age in range(total):
                if grown + age >= total:
                    assert np.isnan(counts[grown, age])
                    continue
                wanted = sum(
                    start == grown and (lived > age or (lived == age and not died))
                    for start, lived, died in known
                )
                assert counts[grown, age] == wanted
        later = [one for one in known if one[0] > 0]
        ages, survival = found.curve(path)
        if not later:
            assert not len(ages)
            continue
        wanted = stats.ecdf(
            stats.CensoredData(
                uncensored=[lived for _, lived, died in later if died],
                right=[lived for _, lived, died in later if not died],
            )
        ).sf
        np.testing.assert_allclose(survival, wanted.evaluate(ages), atol=1e-12)
        assert ages[-1] == max(lived for _, lived, _ in later)
        risk = [sum(lived >= age for _, lived, _ in later) for age in ages]
        assert found.at_risk(path).tolist() == risk


def test_those_of_the_first_moment_are_apart():
    moments = [
        {"a": np.array(one, bool)}
        for one in ([1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 0, 0, 1, 0])
    ]
    found = analysis.survival(moments)
    assert found.of_first()[1].tolist() == [1.0, 0.75, 0.25]
    assert found.curve()[0].tolist() == [0]
    none = analysis.survival(moments[:2])
    assert none.curve()[0].tolist() == []


def test_it_is_drawn_and_written(rng):
    masks = [{"a": rng.random(99) < 0.5, "b": rng.random(9) < 0.5} for _ in range(6)]
    for found in (analysis.survival(masks), analysis.survival(masks[:1] * 2)):
        assert len(found.plot().axes[0].lines) == 4
        _, ax = plt.subplots()
        assert found.plot(ax=ax) is ax.figure
        json.dumps(found.to_dict(), allow_nan=False)
    plt.close("all")


def test_bad_input():
    masks = {"a": np.ones(3, bool)}
    with pytest.raises(ValueError, match=r"Received: moments with 1$"):
        analysis.survival([masks])
    with pytest.raises(ValueError, match=r"Known: \['a'\]\. Received: path='b'$"):
        analysis.survival([masks, masks]).counts("b")
