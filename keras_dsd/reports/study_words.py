"""A study's numbers as sentences: differences in the metric's unit, and verdicts.

Knows the record that `studies.decision` makes, and pages.
"""

import dataclasses

from keras_dsd.reports.page import Text

MOST_SEEDS = 10_000  # up to which `seeds_needed` looks
SHOWN = 8  # of a list in a sentence


@dataclasses.dataclass(frozen=True)
class Unit:
    """How a metric is written: an accuracy in percent and points, others as they are.

    Args:
        name: of the metric, a str or a `Text`.
        is_accuracy: whether it is one.
    """

    name: str | Text
    is_accuracy: bool

    @property
    def column(self):
        """The style of a column of differences."""
        return "points" if self.is_accuracy else "signed"

    @property
    def level_column(self):
        """The style of a column of values."""
        return "size_of_points" if self.is_accuracy else "number"

    def heading(self, key, **values):
        """Returns the heading of a column in this unit."""
        unit = ""
        if self.is_accuracy:
            unit = "_points" if key in ("difference", "axis") else "_percent"
        place = "figure" if key == "axis" else "table"
        return Text(f"study.{place}.{key}{unit}", {"metric": self.name, **values})

    def difference(self, value):
        """Returns a difference in words, with its sign."""
        key = "study.points" if self.is_accuracy else "study.amount"
        return Text(key, {"value": value})

    def end(self, value):
        """Returns the lower end of an interval: its unit stands behind the upper."""
        key = "study.end_points" if self.is_accuracy else "study.amount"
        return Text(key, {"value": value})

    def size(self, value):
        """Returns an amount without a sign in words."""
        key = "study.size_points" if self.is_accuracy else "study.size"
        return Text(key, {"value": abs(value)})

    def level(self, value):
        """Returns a value of the metric in words."""
        key = "study.level_percent" if self.is_accuracy else "study.level"
        return Text(key, {"value": value})


def main_unit(record):
    """Returns the `Unit` of the metric that counts."""
    metric = record["metric"] or {"name": "", "is_accuracy": False}
    return Unit(metric["name"], metric["is_accuracy"])


def corrupted_unit(record):
    """Returns the `Unit` of the same metric under corruptions."""
    unit = main_unit(record)
    name = Text("study.under_corruptions", {"metric": unit.name})
    return Unit(name, unit.is_accuracy)


def p_value(verdict):
    """Returns a verdict's p-value in words."""
    key = "study.p.holm" if verdict["methods"] > 1 else "study.p.alone"
    return Text(key, {"p": verdict["p"], "methods": verdict["methods"]})


def verdict(found, unit):
    """Returns what a verdict says, one sentence with its numbers."""
    names = {"method": found["method"], "against": found["against"]}
    if not found["count"]:
        return Text("study.verdict.no_pair", names)
    said = {
        **names,
        "metric": unit.name,
        "difference": unit.difference(found["difference"]),
        "count": found["count"],
    }
    if found["count"] == 1:
        return Text("study.verdict.one_seed", said)
    said |= {
        "low": unit.end(found["low"]),
        "high": unit.difference(found["high"]),
        "p": p_value(found),
    }
    if found["outcome"] == "same":
        said["margin"] = unit.size(found["margin"])
    return Text(f"study.verdict.{key(found['outcome'])}", said)


def key(outcome):
    """Returns the name that an outcome has in the language files."""
    return outcome.replace(" ", "_")


def how_sure(found, unit):
    """Returns what a verdict does not say: what is still open, a list of `Text`."""
    said = []
    count, fewest = found["count"], found["fewest_seeds"]
    if found["outcome"] == "not shown":
        if count < fewest:
            said.append(Text("study.sure.few", {"count": count, "fewest": fewest}))
        else:
            said.append(
                Text("study.sure.within", {"within": unit.size(found["within"])})
            )
        effect = found["margin"] or found["difference"]
        if effect and found["seeds_needed"]:
            numbers = {"size": unit.size(effect), "seeds": found["seeds_needed"]}
            said.append(Text("study.sure.needed", numbers))
        elif effect:
            numbers = {"size": unit.size(effect), "seeds": MOST_SEEDS}
            said.append(Text("study.sure.hopeless", numbers))
    if found["is_small"] and found["outcome"] != "same":
        margin = unit.size(found["margin"])
        said.append(Text("study.sure.small", {"margin": margin}))
    if found["left_out"]:
        said.append(Text("study.sure.left_out", {"count": found["left_out"]}))
    return said


def listed(texts):
    """Returns a list in a sentence, a `Text`: the first, and how many more."""
    shown = list(texts[:SHOWN])
    if len(texts) > SHOWN:
        shown.append(Text("study.more", {"count": len(texts) - SHOWN}))
    said = shown.pop()
    while shown:
        said = Text("study.list", {"first": shown.pop(), "rest": said})
    return said


def run(of):
    """Returns the name of a run."""
    return Text("study.run", {"method": of["method"], "seed": of["seed"]})
