"""Two methods, run with the same seeds: what their difference is, and how sure.

Every seed gives one difference, so what the seeds have in common (easy data, a lucky
start) falls out. Two tests of the mean difference must agree: Student's t, which takes
the differences for normal, and the exact sign-flip test, which takes them only for
symmetric (Fisher 1935). Knows numbers only; `verdicts` puts them into words.
"""

import dataclasses
import functools
import math

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
POWER = 0.8  # with which `seeds_needed` would show a difference
EXACT = 14  # seeds up to which all 2^n flips are tried; beyond, as many are drawn
BATCH = 2**21  # numbers that are flipped at once: 16 MB
MOST_SEEDS = 10_000  # more than anybody will train


@dataclasses.dataclass(frozen=True)
class Paired:
    """The differences of two methods, one for each seed, and what follows from them.

    Args:
        differences: one number for each seed, in the metric's unit.
        spread: their standard deviation (n - 1), at least the metric's resolution;
            `None` with one seed.
        low: lower end of the 95 % t-interval of the mean; `None` with one seed.
        high: its upper end.
        p: the larger p-value of the two tests, two-sided.
    """

    differences: tuple
    spread: float | None
    low: float | None
    high: float | None
    p: float

    @property
    def count(self):
        """How many seeds."""
        return len(self.differences)

    @property
    def mean(self):
        """The mean difference; what rounding left beside 0 is 0."""
        return _mean(self.differences)


def pair(old, new, *, resolution=0.0):
    """Compares two methods that were run with the same seeds.

    Args:
        old: a metric of one method, a number for each seed.
        new: the same of the other, in the same order.
        resolution: the metric's smallest step, say one test sample of an accuracy: the
            differences are taken to vary by no less, for where they happen to be three
            times the same, they would seem to be known exactly. Defaults to 0.

    Returns:
        A `Paired` of `new` minus `old`.

    Raises:
        ValueError: there is no seed, or not as many of one as of the other, or a value
            is not finite.

    >>> from keras_dsd.studies import paired
    >>> paired.pair([0.90, 0.91, 0.89], [0.92, 0.92, 0.92]).mean
    0.02
    """
    return pair_each([old], [new], [resolution])[0]


def pair_each(olds, news, resolutions):
    """Returns a `Paired` of each of several metrics of the same seeds.

    As `pair` of each, but in one sweep of sign flips, for a hundred classes are many.

    Args:
        olds: list of `old`, as `pair` takes it.
        news: list of `new`.
        resolutions: list of the metrics' smallest steps.
    """
    rows = []
    for old, new in zip(olds, news, strict=True):
        if not len(old) or len(old) != len(new):
            raise ValueError(
                "Give one value for each seed, and as many for both methods. "
                f"Received: {len(old)} and {len(new)} values"
            )
        row = np.subtract(new, old, dtype="float64")
        if not np.isfinite(row).all():
            raise ValueError(f"A value is not finite. Received: {old!r} and {new!r}")
        rows.append(tuple(row.tolist()))
    if not rows or len(rows[0]) == 1:
        return [Paired(values, None, None, None, 1.0) for values in rows]
    found = []
    for values, resolution, flipped in zip(
        rows, resolutions, _flip_tests(tuple(rows)), strict=True
    ):
        spread = max(float(np.std(values, ddof=1)), resolution)
        error = spread / math.sqrt(len(values))
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
        mean = _mean(values)
        p = max(_t_test(mean, error, len(values)), flipped)
        found.append(Paired(values, spread, mean - reach, mean + reach, p))
    return found


def equivalence(paired, margin):
    """Returns the p-value of "the mean difference is not within -margin to margin".

    Two one-sided tests (Schuirmann 1987), each by Student's t and by sign flips, of
    which the largest p-value counts.

    Args:
        paired: a `Paired`.
        margin: number above 0, in the metric's unit.
    """
    if paired.spread is None:
        return 1.0
    error = paired.spread / math.sqrt(paired.count)
    differences = np.asarray(paired.differences)
    return max(
        max(
            _t_test(side * paired.mean + margin, error, paired.count, "greater"),
            *_flip_tests((tuple(side * differences + margin),), "greater"),
        )
        for side in (1, -1)
    )


def smallest_margin(paired):
    """Returns the smallest margin within which Student's t would show equality.

    The larger end, in size, of the 90 % interval; infinite with one seed.
    """
    if paired.spread is None:
        return math.inf
    error = paired.spread / math.sqrt(paired.count)
    return abs(paired.mean) + float(stats.t.ppf(CONFIDENCE, paired.count - 1)) * error


def holm(p_values):
    """Returns p-values adjusted for being several (Holm 1979), in the same order.

    >>> from keras_dsd.studies import paired
    >>> [round(p, 3) for p in paired.holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    ranked = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(ranked):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def fewest_seeds(methods):
    """Returns with how many seeds the sign-flip test can show any difference at all.

    With n seeds its p-value is 2/2^n or more; Holm multiplies the smallest by the
    number of methods that are compared.

    >>> from keras_dsd.studies import paired
    >>> [paired.fewest_seeds(methods) for methods in (1, 9)]
    [6, 9]
    """
    return math.ceil(math.log2(2 * methods / (1 - CONFIDENCE)))


def seeds_needed(effect, spread, *, methods=1):
    """Returns about how many seeds would show a difference, with a power of 80 %.

    Args:
        effect: the difference to be shown, in the metric's unit.
        spread: standard deviation of the differences.
        methods: how many are compared, for Holm. Defaults to 1.

    Returns:
        The number, or `None` if it is above 10 000.
    """
    alpha = (1 - CONFIDENCE) / methods

    def is_enough(count):
        critical = stats.t.ppf(1 - alpha / 2, count - 1)
        shift = abs(effect) / spread * math.sqrt(count)
        return stats.nct.sf(critical, count - 1, shift) >= POWER

    low, high = fewest_seeds(methods), MOST_SEEDS
    if spread == 0:
        return low if effect else None
    if not is_enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle + 1, high)
    return high


def _mean(values):
    # The sum's rounding, relative to what was added up, must not look like an effect.
    mean = math.fsum(values) / len(values)
    return 0.0 if abs(mean) < 1e-12 * max(1.0, *map(abs, values)) else round(mean, 15)


def _t_test(mean, error, count, alternative="two-sided"):
    if error == 0:
        certain = mean > 0 or (alternative == "two-sided" and mean != 0)
        return 0.0 if certain else 1.0
    tail = mean if alternative == "greater" else abs(mean)
    p = float(stats.t.sf(tail / error, count - 1))
    return p if alternative == "greater" else min(1.0, 2 * p)


@functools.lru_cache(maxsize=256)  # a report asks for the same in table and text
def _flip_tests(rows, alternative="two-sided"):
    """Returns the p-value of each row of differences, a list."""
    # Exact while all flips can be tried; beyond, the draws are always the same.
    seeds = len(rows[0])
    return stats.permutation_test(
        (np.array(rows),),
        lambda values, axis: np.mean(values, axis=axis),
        permutation_type="samples",
        vectorized=True,
        axis=-1,
        n_resamples=np.inf if seeds <= EXACT else 2**EXACT - 1,
        batch=max(1, BATCH // (len(rows) * seeds)),
        alternative=alternative,
        rng=np.random.default_rng(0),
    ).pvalue.tolist()
