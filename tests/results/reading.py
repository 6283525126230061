"""Reading: lines compared as `studies` compares runs, in the words of its verdicts.

Knows lines and verdicts; knows no model.
"""

import dataclasses
import statistics

from keras_dsd.studies import verdicts
from tests.results import lines

BASELINE = "conventional"
ENOUGH = 6  # seeds: with fewer the exact test shows nothing


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number that methods are compared by.

    Args:
        name: of it in `lines.value`.
        heading: of its column.
        grows: whether more of it is better.
        points: whether it is an accuracy, written in points.
    """

    name: str
    heading: str
    grows: bool
    points: bool = False


MEASURES = {
    "accuracy": Measure("accuracy", "accuracy", True, points=True),
    "noisy": Measure("noisy", "accuracy under noise", True, points=True),
    "cross_entropy": Measure("cross_entropy", "cross-entropy", False),
    "bits": Measure("bits", "bits per character", False),
    "best_accuracy": Measure(
        "best_accuracy", "accuracy of the best epoch", True, points=True
    ),
    "best_bits": Measure("best_bits", "bits per character of the best epoch", False),
}


def measures(found):
    """Returns the `Measure`s that lines have, the one that counts first."""
    one = next(line for line in found if "last" in line)
    return [m for m in MEASURES.values() if lines.value(one, m.name) is not None]


def methods(found):
    """Returns the names of the methods of lines: controls, then the others."""
    names = {line["method"] for line in found}
    return sorted(
        names, key=lambda name: (name.split("-")[0] not in ORDER, _rank(name))
    )


ORDER = ("conventional", "lowered", "restarts", "averaged", "early_stopping", "narrow")


def _rank(name):
    family, *rest = name.split("-")
    at = ORDER.index(family) if family in ORDER else len(ORDER)
    return at, family, rest


def values(found, method, measure):
    """Returns {seed: value}, without runs that diverged."""
    numbers = {
        line["seed"]: lines.value(line, measure.name)
        for line in found
        if line["method"] == method and "last" in line
    }
    return {seed: value for seed, value in numbers.items() if value - value == 0}


def seeds(found):
    """Returns how many seeds lines have."""
    return len({line["seed"] for line in found})


def judged(found, measure, *, against=BASELINE, others=None):
    """Returns {method: `Verdict`}; Holm goes over all methods that are compared.

    Args:
        found: lines of one setting.
        measure: a `Measure`.
        against: name of what they are compared with. Defaults to "conventional".
        others: names of methods. Defaults to `None`: all others.
    """
    names = methods(found) if others is None else others
    return verdicts.judge(
        _metric(found, measure),
        values(found, against, measure),
        {name: values(found, name, measure) for name in names if name != against},
        against=against,
    )


def _metric(found, measure):
    # An accuracy's step is one test item: half of those predicted are clean.
    if not measure.points:
        return verdicts.Metric(measure.heading, measure.grows)
    count = len(lines.unpack(found[0]["labels"])) // 2
    return verdicts.Metric(
        measure.heading, measure.grows, 100, " points", resolution=1 / count
    )


CONTROL_OF = {"dsd": "lowered", "dsdsd": "lowered", "restart": "restarts"}


def controlled(found, measure):
    """Returns {method: `Verdict`} against each method's own control, where it has one.

    A control drops, or restarts, the rate as its methods do, at the same epochs, and
    has no mask. Holm goes over the methods of one control.
    """
    present = methods(found)
    result = {}
    for control in ("lowered", "restarts"):
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
    ("dsdsd-s", "a second round, in as many epochs", "dsd-s"),
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

    Holm goes over all pairs of the setting: each is judged by its differences to 0.
    """
    present = methods(found)
    pairs = {}
    for method in present:
        sparsity = f"-{method.split('-')[1]}" if "-" in method else ""
        for one, what, neighbor in NEIGHBORS:
            against = neighbor.replace("-s", sparsity, 1)
            if one.replace("-s", sparsity, 1) == method and against in present:
                old, new = (values(found, name, measure) for name in (against, method))
                pairs[what, method, against] = {
                    seed: new[seed] - old[seed]
                    for seed in sorted(old.keys() & new.keys())
                }
    nought = {line["seed"]: 0.0 for line in found}
    return verdicts.judge(_metric(found, measure), nought, pairs)


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
    for method, against in pairs.items():
        gaps: list = []
        for found in settings.values():
            old, new = (values(found, name, measure) for name in (against, method))
            both = {seed: new[seed] - old[seed] for seed in old.keys() & new.keys()}
            gaps += [both] if len(both) >= ENOUGH else []
        if len(gaps) < 2:
            continue
        seeds_of_all = set.intersection(*map(set, gaps))
        means[method] = {
            seed: statistics.fmean(one[seed] for one in gaps)
            for seed in sorted(seeds_of_all)
        }
    nought = {seed: 0.0 for found in means.values() for seed in found}
    first = next(iter(settings.values()))
    return verdicts.judge(_metric(first, measure), nought, means)


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
