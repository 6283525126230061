"""Reading: which methods, seeds and numbers the lines have, and what is measured.

Knows lines; knows no verdict.
"""

import dataclasses

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


ORDER = (
    "conventional",
    "lowered",
    "lowered_twice",
    "restarts",
    "averaged",
    "early_stopping",
    "narrow",
)


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
