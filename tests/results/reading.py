"""Reading: lines compared as `studies` compares runs, in the words of its verdicts.

Knows lines and verdicts; knows no model.
"""

import dataclasses

from keras_dsd.studies import verdicts
from tests.results import lines

BASELINE = "conventional"


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
}


def measures(found):
    """Returns the `Measure`s that lines have, the one that counts first."""
    return [
        one for one in MEASURES.values() if lines.value(found[0], one.name) is not None
    ]


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
        if line["method"] == method
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
    resolution = 0.0
    if measure.points:
        resolution = _resolution(found[0])
    metric = verdicts.Metric(
        measure.heading,
        measure.grows,
        *((100, " points") if measure.points else ()),
        resolution=resolution,
    )
    return verdicts.judge(
        metric,
        values(found, against, measure),
        {name: values(found, name, measure) for name in names if name != against},
        against=against,
    )


def _resolution(line):
    # One test item: half of those predicted are clean, half are noisy.
    return 2 / len(lines.unpack(line["labels"])) if "labels" in line else 0.0


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
