"""Verdicts: what the differences of methods allow to say, in words no stronger.

"better", "worse", "the same within a margin", or "no difference shown", and then how
many seeds would show one. Knows `paired` and names of metrics.
"""

import dataclasses
from typing import NamedTuple

from keras_dsd._shared import checks
from keras_dsd.studies import paired

ALPHA = 1 - paired.CONFIDENCE


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What can be said of one method against another.

    Args:
        method: the name of the method.
        against: the name of what it is compared with.
        metric: the name of the metric.
        outcome: `"better"`, `"worse"`, `"same"` (within `margin`), `"not shown"`, or
            `"nothing"` where there are not two seeds.
        count: how many seeds both methods finished.
        difference: mean of the metric, `method` minus `against`; `None` without seeds.
        low: lower end of the 95 % interval of that mean; `None` with fewer than two.
        high: its upper end.
        p: two-sided p-value of no difference, after Holm over the methods compared.
        margin: within what the two count as the same; `None`: not asked.
        seeds_needed: about how many seeds would show a difference of that size (or of
            `margin`, if given); `None`: more than 10 000, or it is shown already.
        methods: over how many methods Holm goes.
        left_out: how many seeds have a result of one of the two only.
        within: how large a difference, in size, still may be: the smallest margin
            within which Student's t would show equality; `None` with fewer than two
            seeds.
        is_small: whether the difference is shown to be within `margin`.
        text: all of this in words.
    """

    method: str
    against: str
    metric: str
    outcome: str
    count: int
    difference: float | None
    low: float | None
    high: float | None
    p: float
    margin: float | None
    seeds_needed: int | None
    methods: int
    left_out: int
    within: float | None
    is_small: bool
    text: str


@dataclasses.dataclass(frozen=True)
class Metric:
    """How a metric is read and written.

    Args:
        name: its name.
        grows: whether more of it is better.
        scale: what its numbers are multiplied by for reading. Defaults to 1.
        unit: what is written behind them. Defaults to nothing.
        resolution: its smallest step, say one test sample of an accuracy. Defaults
            to 0.
    """

    name: str
    grows: bool
    scale: float = 1.0
    unit: str = ""
    resolution: float = 0.0

    def difference(self, value):
        """Returns a difference in words, with its sign.

        >>> from keras_dsd.studies import verdicts
        >>> verdicts.Metric("accuracy", True, 100, " points").difference(0.0123)
        '+1.23 points'
        """
        return f"{self._number(value, '+')}{self.unit}"

    def interval(self, low, high):
        """Returns the two ends of an interval in words."""
        return f"{self._number(low, '+')} to {self._number(high, '+')}"

    def size(self, value):
        """Returns an amount, which has no sign, in words."""
        return f"{self._number(abs(value), '')}{self.unit}"

    def _number(self, value, sign):
        scaled = value * self.scale
        if round(scaled, 12) == 0:
            return "0"
        digits = ".2f" if self.scale == 100 else ".4g"
        return f"{scaled:{sign}{digits}}"


def judge(metric, old, others, *, against="conventional", margin=None):
    """Returns a verdict on each method against one.

    A method is better only if the mean difference is shown by both tests of `paired`
    at 5 %, after Holm over all methods that are compared here.

    Args:
        metric: a `Metric`.
        old: {seed: value} of the method that the others are compared with.
        others: {method: {seed: value}}. Seeds that only one of two methods finished
            are left out of their pair, and told.
        against: the name of that method. Defaults to `"conventional"`.
        margin: the difference within which two methods count as the same, in the
            metric's unit. Defaults to `None`: equality is not asked.

    Returns:
        {method: `Verdict`}.

    Raises:
        TypeError, ValueError: `margin` is not above 0.

    >>> from keras_dsd.studies import verdicts
    >>> loss = verdicts.Metric("loss", grows=False)
    >>> old = {seed: 1.0 + seed / 100 for seed in range(8)}
    >>> new = {seed: 0.9 + seed / 90 for seed in range(8)}
    >>> verdicts.judge(loss, old, {"dsd": new})["dsd"].outcome
    'better'
    """
    if margin is not None:
        checks.positive(margin, "margin")
    pairs, dropped = {}, {}
    for method, new in others.items():
        seeds = sorted(old.keys() & new.keys())
        dropped[method] = len(old.keys() | new.keys()) - len(seeds)
        if seeds:
            pairs[method] = paired.pair(
                [old[seed] for seed in seeds],
                [new[seed] for seed in seeds],
                resolution=metric.resolution,
            )
    shown = dict(zip(pairs, paired.holm([p.p for p in pairs.values()]), strict=True))
    same = {method: 1.0 for method in pairs}
    if margin is not None:
        values = [paired.equivalence(pair, margin) for pair in pairs.values()]
        same = dict(zip(pairs, paired.holm(values), strict=True))
    return {
        method: _verdict(
            _Case(metric, method, against, margin, dropped[method], len(pairs)),
            pairs.get(method),
            shown.get(method, 1.0),
            same.get(method, 1.0),
        )
        for method in others
    }


@dataclasses.dataclass(frozen=True)
class _Case:
    metric: Metric
    method: str
    against: str
    margin: float | None
    dropped: int
    methods: int


class _Found(NamedTuple):
    outcome: str
    p: float
    p_same: float
    seeds_needed: int | None


def _verdict(case, pair, p, p_same):
    if pair is None:
        outcome, needed = "nothing", None
    else:
        outcome = _outcome(case, pair, p, p_same)
        needed = None
        if outcome == "not shown":
            effect = case.margin or pair.mean
            needed = paired.seeds_needed(effect, pair.spread, methods=case.methods)
    found = _Found(outcome, p, p_same, needed)
    return Verdict(
        method=case.method,
        against=case.against,
        metric=case.metric.name,
        outcome=outcome,
        count=pair.count if pair else 0,
        difference=pair.mean if pair else None,
        low=pair.low if pair else None,
        high=pair.high if pair else None,
        p=p,
        margin=case.margin,
        seeds_needed=needed,
        methods=case.methods,
        left_out=case.dropped,
        within=paired.smallest_margin(pair) if pair and pair.count > 1 else None,
        is_small=case.margin is not None and p_same <= ALPHA,
        text=_words(case, pair, found),
    )


def _outcome(case, pair, p, p_same):
    if pair.count == 1:
        return "nothing"
    if p <= ALPHA and pair.mean:
        return "better" if (pair.mean > 0) == case.metric.grows else "worse"
    return "same" if p_same <= ALPHA else "not shown"


def _words(case, pair, found):
    left_out = ""
    if case.dropped:
        seeds = "seed" if case.dropped == 1 else "seeds"
        left_out = (
            f" {case.dropped} {seeds} left out, for one of the two has no result."
        )
    if pair is None:
        return (
            f"{case.method} can't be compared with {case.against}: no seed has a "
            f"result of both.{left_out}"
        )
    difference = f"{case.metric.name} {case.metric.difference(pair.mean)}"
    if pair.count == 1:
        return (
            "Nothing can be concluded from one seed: "
            f"{case.method} has {difference} against {case.against} on it.{left_out}"
        )
    family = f", after Holm over {case.methods} methods" if case.methods > 1 else ""
    numbers = (
        f"{difference} on average over {pair.count} seeds (95 % interval "
        f"{case.metric.interval(pair.low, pair.high)}; p = {_p(found.p)}{family})"
    )
    small = ""
    if case.margin and found.p_same <= ALPHA and found.outcome != "same":
        small = f" It is smaller than the margin of {case.metric.size(case.margin)}."
    heads = {
        "better": f"{case.method} is better than {case.against}: {numbers}.",
        "worse": f"{case.method} is worse than {case.against}: {numbers}.",
        "same": f"{case.method} and {case.against} are the same within "
        f"± {case.metric.size(case.margin or 0)}: {numbers}.",
        "not shown": f"No difference shown between {case.method} and {case.against}: "
        f"{numbers}.{_how_many(case, pair, found.seeds_needed)}",
    }
    return heads[found.outcome] + small + left_out


def _how_many(case, pair, needed):
    fewest = paired.fewest_seeds(case.methods)
    what = f"of {case.metric.size(case.margin)}" if case.margin else "of the size found"
    hint = (
        f" To show a difference {what} about {needed} seeds would be needed."
        if needed
        else f" Not even {paired.MOST_SEEDS} seeds would show a difference {what}."
        if pair.mean or case.margin
        else ""
    )
    if pair.count < fewest:
        return (
            f" With {pair.count} seeds none could be: the exact test needs {fewest}."
            f"{hint}"
        )
    within = case.metric.size(paired.smallest_margin(pair))
    return f"{hint} If there is one, it is likely within ± {within}."


def _p(p):
    return "< 0.001" if p < 0.001 else f"{p:.2g}"
