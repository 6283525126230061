"""Verdicts: never stronger than the numbers, and right as often as they say."""

import numpy as np
import pytest

from keras_dsd.studies import verdicts

pytestmark = pytest.mark.one_backend

ACCURACY = verdicts.Metric("accuracy", True, 100, " points")
LOSS = verdicts.Metric("loss", False)


def by_seed(values):
    return dict(enumerate(values))


def verdict(values, metric=LOSS, **arguments):
    old = by_seed([0.5] * len(values))
    new = by_seed([0.5 + value for value in values])
    return verdicts.judge(metric, old, {"dsd": new}, **arguments)["dsd"]


CLEAR = [0.1, 0.11, 0.12, 0.1, 0.09, 0.1, 0.11, 0.1]


def test_direction_is_the_metrics():
    assert verdict(CLEAR, LOSS).outcome == "worse"
    assert verdict(CLEAR, ACCURACY).outcome == "better"
    assert verdict([-value for value in CLEAR], LOSS).outcome == "better"


def test_words_have_the_numbers():
    text = verdict(CLEAR, ACCURACY).text
    assert text.startswith("dsd is better than conventional: accuracy +10.38 points")
    assert "8 seeds" in text
    assert "p = 0.0078" in text


def test_five_seeds_can_show_nothing():
    found = verdict(CLEAR[:5], ACCURACY)
    assert found.outcome == "not shown"
    assert found.low > 0  # the t-interval alone would have said yes
    assert "With 5 seeds none could be: the exact test needs 6" in found.text


def test_one_seed_and_none():
    assert verdict(CLEAR[:1]).text.startswith("Nothing can be concluded from one seed")
    found = verdicts.judge(LOSS, {0: 1.0}, {"dsd": {1: 1.0}})["dsd"]
    assert (found.outcome, found.count, found.difference) == ("nothing", 0, None)
    assert "2 seeds left out" in found.text


def test_no_difference_says_how_many_seeds_would_do():
    found = verdict([0.1, -0.1, 0.12, -0.05, 0.02, -0.07, 0.1, -0.02])
    assert found.outcome == "not shown"
    assert f"about {found.seeds_needed} seeds would be needed" in found.text


def test_same_within_a_margin():
    noise = [0.001, -0.001, 0.002, -0.002, 0.001, 0.0, -0.001, 0.001]
    assert verdict(noise).outcome == "not shown"
    found = verdict(noise, margin=0.01)
    assert found.outcome == "same"
    assert "the same within ± 0.01" in found.text
    assert verdict(CLEAR, margin=1.0).text.endswith("smaller than the margin of 1.")


def test_holm_over_the_methods():
    old = by_seed([0.5] * 8)
    clear = by_seed([0.5 + value for value in CLEAR])
    one = verdicts.judge(LOSS, old, {"a": clear})["a"]
    nine = verdicts.judge(LOSS, old, {name: clear for name in "abcdefghi"})["a"]
    assert (one.outcome, nine.outcome) == ("worse", "not shown")
    assert nine.p == pytest.approx(9 * one.p)


@pytest.mark.parametrize("effect", [0.0, 0.02])
def test_wrong_in_at_most_five_percent(effect):
    rng, wrong, covered = np.random.default_rng(1), 0, 0
    for _ in range(200):
        old = by_seed(rng.normal(0.9, 0.02, 8))
        new = {
            seed: value + effect + rng.normal(0, 0.015) for seed, value in old.items()
        }
        found = verdicts.judge(ACCURACY, old, {"dsd": new}, margin=0.015)["dsd"]
        covered += found.low <= effect <= found.high
        wrong += found.outcome in (("worse", "same") if effect else ("better", "worse"))
    assert wrong <= 10
    assert covered >= 186


def test_margin_is_checked():
    with pytest.raises(ValueError, match="Received: margin=0"):
        verdict(CLEAR, margin=0)
