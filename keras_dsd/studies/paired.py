"""What the accuracies of two methods allow to say. Knows numbers only."""

import dataclasses
import math
import statistics

from scipy import stats

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What can be said of DSD against conventional training.

    Args:
        outcome: "wins", "loses", "no difference", or "undecided" with one seed.
        difference: mean accuracy of DSD minus the conventional one, a fraction.
        low: lower end of the interval in which that mean lies, `None` with one seed.
        high: its upper end.
        text: the same in words.
    """

    outcome: str
    difference: float
    low: float | None
    high: float | None
    text: str


def judge(conventional, dsd, *, test_samples):
    """Compares two methods that were run with the same seeds.

    A method is said to win only if the 95 % t-interval of the mean paired difference
    leaves out 0. Accuracies come in steps of one test sample, so differences that vary
    by less (three times the same, say) are taken to vary by one.

    Args:
        conventional: list of accuracies, fractions, one for each seed.
        dsd: the same of DSD.
        test_samples: how many samples each accuracy was measured on.

    Returns:
        A `Verdict`.
    """
    differences = [new - old for old, new in zip(conventional, dsd, strict=True)]
    # A sum that rounding left beside 0 must not count as a difference.
    mean = round(statistics.fmean(differences), 12)
    seeds = len(differences)
    if seeds == 1:
        text = (
            f"Undecided. On this one seed DSD's accuracy is {_size(mean)}; one seed "
            "can't tell a difference from chance."
        )
        return Verdict("undecided", mean, None, None, text)
    spread = max(statistics.stdev(differences), 1 / test_samples)
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, df=seeds - 1)
    margin = float(quantile) * spread / math.sqrt(seeds)
    low, high = mean - margin, mean + margin
    outcome = "wins" if low > 0 else "loses" if high < 0 else "no difference"
    return Verdict(outcome, mean, low, high, _words(outcome, differences, low, high))


def _words(outcome, differences, low, high):
    mean, seeds = round(statistics.fmean(differences), 12), len(differences)
    better = sum(difference > 0 for difference in differences)
    worse = sum(difference < 0 for difference in differences)
    found = (
        f"DSD's accuracy is on average {_size(mean)} (higher on {better}, lower on "
        f"{worse} of {seeds} seeds). The {CONFIDENCE:.0%} interval of the mean paired "
        f"difference, {low * 100:+.2f} to {high * 100:+.2f} points, "
    )
    if outcome == "no difference":
        return (
            f"No difference beyond noise. {found}includes 0: DSD does not win here, "
            "nor can it be said to lose."
        )
    return (
        f"DSD {outcome}. {found}leaves out 0. That is {seeds} seeds on one data set, "
        "one split and one network: a hint, no proof."
    )


def _size(difference):
    if difference == 0:
        return "the same"
    points = abs(difference) * 100
    return f"{points:.2f} points {'higher' if difference > 0 else 'lower'}"
