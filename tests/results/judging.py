"""Judging: methods of a setting compared as `studies` compares runs, in its words.

Knows readings and verdicts; knows no model.
"""

import dataclasses
import statistics

from keras_dsd.studies import paired as tests_of_pairs
from keras_dsd.studies import verdicts
from tests.results import lines, reading

ENOUGH = 6  # seeds: with fewer the exact test shows nothing
NOTHING = 1e-6  # what the same weights may differ by, evaluated in another epoch


def judged(found, measure, *, against=reading.BASELINE, others=None):
    """Returns {method: `Verdict`}; Holm goes over all methods that are compared.

    Args:
        found: lines of one setting.
        measure: a `Measure`.
        against: name of what they are compared with. Defaults to "conventional".
        others: names of methods. Defaults to `None`: all others.
    """
    names = reading.methods(found) if others is None else others
    pairs = [(name, against) for name in names if name != against]
    return {method: told for (method, _), told in paired(found, measure, pairs).items()}


def paired(found, measure, pairs):
    """Returns {pair: `Verdict`} of those pairs of which a setting has both methods.

    Each is judged by its differences to 0; Holm goes over all of them.

    Args:
        found: lines of one setting.
        measure: a `Measure`.
        pairs: list of (method, what it is compared with).
    """
    present = reading.methods(found)
    numbers = {name: reading.values(found, name, measure) for name in present}
    gaps = {
        (method, against): _gaps(numbers[method], numbers[against])
        for method, against in pairs
        if method in numbers and against in numbers
    }
    return _judged(_metric(found, measure), gaps)


def _gaps(new, old):
    """Returns {seed: difference}, of seeds that both have."""
    return {seed: new[seed] - old[seed] for seed in sorted(old.keys() & new.keys())}


def _judged(metric, gaps):
    """Returns {pair: `Verdict`} of {pair: {seed: difference}}.

    Besides the words of verdicts there are "too few seeds", where no difference could
    be shown, and "identical", where in every seed both have the same number.
    """
    nought = {seed: 0.0 for differences in gaps.values() for seed in differences}
    fewest = tests_of_pairs.fewest_seeds(max(len(gaps), 1))
    found = verdicts.judge(metric, nought, gaps)
    for pair, verdict in found.items():
        word = verdict.outcome
        if verdict.count and max(map(abs, gaps[pair].values())) < NOTHING:
            word = "identical"
        elif verdict.count < fewest:
            word = "too few seeds"
        method, against = pair
        found[pair] = dataclasses.replace(
            verdict, method=method, against=against, outcome=word
        )
    return found


def _metric(found, measure):
    # An accuracy's step is one test item: half of those predicted are clean.
    if not measure.points:
        return verdicts.Metric(measure.heading, measure.grows)
    count = len(lines.unpack(found[0]["labels"])) // 2
    return verdicts.Metric(
        measure.heading, measure.grows, 100, " points", resolution=1 / count
    )


CONTROL_OF = {"dsd": "lowered", "dsdsd": "lowered_twice", "restart": "restarts"}


def controlled(found, measure):
    """Returns {method: `Verdict`} against each method's own control, where it has one.

    A control drops, or restarts, the rate as its methods do, at the same epochs, and
    has no mask. Holm goes over the methods of one control.
    """
    present = reading.methods(found)
    result = {}
    for control in dict.fromkeys(CONTROL_OF.values()):
        mine = [
            name for name in present if CONTROL_OF.get(name.split("-")[0]) == control
        ]
        if mine and control in present:
            result |= judged(found, measure, against=control, others=mine)
    return result


NEIGHBORS = (  # a method, what it has and another lacks, the other; -s: sparsity
    ("lowered", "the drops of the rate", "conventional"),
    ("restarts", "the restarts of the rate", "conventional"),
    ("averaged", "the average", "conventional"),
    ("dsd-s", "mask and return, at the same rate", "lowered"),
    ("dsd-s-kept", "the mask alone, at the same rate", "lowered"),
    ("dsd-s", "the return", "dsd-s-kept"),
    ("dsdsd-s", "masks and returns, at the same rates", "lowered_twice"),
    ("restart-s", "mask and new draw, at the same rate", "restarts"),
    ("restart-s-kept", "the mask alone, at the same rate", "restarts"),
    ("restart-s-zero", "the return, from zero", "restart-s-kept"),
    ("restart-s", "a new draw instead of zero", "restart-s-zero"),
    ("static-s", "fewer weights", "conventional"),
    ("set-s", "moving at random", "static-s"),
    ("rigl-s", "moving by gradients", "static-s"),
    ("dsd-s-inner", "first and last layer dense", "dsd-s"),
    ("rigl-s-inner", "first and last layer dense", "rigl-s"),
)


def ingredients(found, measure):
    """Returns {(ingredient, method, against): `Verdict`} of pairs that differ by one.

    Holm goes over all pairs of the setting.
    """
    named = {}
    for method in reading.methods(found):
        sparsity = f"-{method.split('-')[1]}" if "-" in method else ""
        for one, what, neighbor in NEIGHBORS:
            if one.replace("-s", sparsity, 1) == method:
                named[method, neighbor.replace("-s", sparsity, 1)] = what
    told = paired(found, measure, list(named))
    return {(named[pair], *pair): verdict for pair, verdict in told.items()}


def together(settings, measure, pairs):
    """Returns {method: `Verdict`} of several settings at once, by each seed's mean.

    Settings share a seed's draws, seeds share nothing: so a seed's differences are
    averaged over the settings, and seeds are what is counted. Taken are settings that
    have `ENOUGH` pairs; a method with fewer than two of them is left out. Holm goes
    over the methods.

    Args:
        settings: {name: lines}.
        measure: a `Measure`.
        pairs: {method: what it is compared with}.
    """
    means = {}
    for pair in pairs.items():
        gaps = [
            _gaps(*(reading.values(found, name, measure) for name in pair))
            for found in settings.values()
        ]
        gaps = [one for one in gaps if len(one) >= ENOUGH]
        if len(gaps) < 2:
            continue
        means[pair] = {
            seed: statistics.fmean(one[seed] for one in gaps)
            for seed in sorted(set.intersection(*map(set, gaps)))
        }
    first = next(iter(settings.values()))
    told = _judged(_metric(first, measure), means)
    return {method: verdict for (method, _), verdict in told.items()}


def cell(verdict, measure):
    """Returns a difference, its interval and its word, for a table."""
    if verdict is None or verdict.difference is None:
        return ""
    scale, digits = (100, 2) if measure.points else (1, 3)
    shown = f"{verdict.difference * scale:+.{digits}f}"
    if verdict.low is not None:
        ends = [f"{end * scale:+.{digits}f}" for end in (verdict.low, verdict.high)]
        shown += f" ({ends[0]} to {ends[1]})"
    word = verdict.outcome
    return f"{shown} {f'**{word}**' if word in ('better', 'worse') else word}"
