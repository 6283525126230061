"""The pictures of a study's page: differences by seed, learning curves.

Knows the record that `studies.decision` makes, and pages; draws with matplotlib.
"""

from keras_dsd.reports import figures
from keras_dsd.reports import study_words as words
from keras_dsd.reports.page import Picture, Text

SEED, MEAN, ZERO, BEFORE = "#7f9fbd", "#2f7fc1", "#888888", "#b0690f"
LONGEST = 24  # letters of a name in a picture


def label(name):
    """Returns a name as a picture writes it: not too long, a dollar sign no formula."""
    text = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    return text.replace("$", r"\$")


def differences(record):
    """Returns the picture of each seed's difference, a list; empty without pairs."""
    found = record["verdicts"][record["method"]]
    if not found["count"]:
        return []
    unit = words.main_unit(record)
    sign = 1 if record["metric"]["grows"] else -1
    seeds = record["differences"][record["method"]].values()
    values = {
        "method": record["method"],
        "against": record["against"],
        "better": sum(sign * value > 0 for value in seeds),
        "count": found["count"],
        "difference": unit.difference(found["difference"]),
    }
    key = "study.figure.differences_alt_one"
    if found["count"] > 1:
        key = "study.figure.differences_alt"
        values |= {
            "low": unit.end(found["low"]),
            "high": unit.difference(found["high"]),
        }
    names = {"metric": unit.name, "against": record["against"]}
    caption = Text("study.figure.differences", names)
    return [Picture(caption, Text(key, values), lambda it: _differences(record, it))]


def _differences(record, language):
    unit = words.main_unit(record)
    scale = 100 if unit.is_accuracy else 1
    names = [name for name, one in record["verdicts"].items() if one["count"]]
    figure, axes = figures.with_labels([label(name) for name in names])
    axes.axvline(0, color=ZERO, linewidth=1)
    for row, name in enumerate(names):
        found = record["verdicts"][name]
        points = [value * scale for value in record["differences"][name].values()]
        axes.plot(points, [row] * len(points), "o", color=SEED, markersize=4.5)
        if found["low"] is not None:
            ends = [found["low"] * scale, found["high"] * scale]
            axes.plot(ends, [row, row], color=MEAN, linewidth=2.2)
        axes.plot([found["difference"] * scale], [row], "D", color=MEAN)
    names_said = {"against": record["against"]}
    axes.set_xlabel(label_of(language, unit.heading("axis", **names_said)))
    return figure


def label_of(language, text):
    """Returns a `Text` as a picture writes it."""
    return language.say(text).replace("$", r"\$")


def curves(record):
    """Returns the picture of both learning curves, a list; empty where none is."""
    found = {name: one for name, one in record.get("curves", {}).items() if one}
    if len(found) < 2 or not all(one["mean"] for one in found.values()):
        return []
    unit = words.main_unit(record)
    key = found[record["method"]]["key"]
    if found[record["against"]]["key"] != key:
        return []
    last = [found[record[name]]["mean"][-1] for name in ("method", "against")]
    if None in last:  # diverged
        return []
    caption = Text("study.figure.curves", {"metric": key})
    values = {
        "metric": key,
        "method": record["method"],
        "against": record["against"],
        "after": unit.level(last[0]),
        "before": unit.level(last[1]),
    }
    alt = Text("study.figure.curves_alt", values)
    return [Picture(caption, alt, lambda it: _curves(record, found, key, it))]


def _curves(record, found, key, language):
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for name, color in (("against", BEFORE), ("method", MEAN)):
        mean = found[record[name]]["mean"]
        values = [float("nan") if value is None else value for value in mean]
        dashes = "--" if name == "against" else "-"
        axes.plot(
            range(1, len(values) + 1),
            values,
            dashes,
            color=color,
            label=label(record[name]),
        )
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel(language.caption("study.figure.epoch"))
    axes.set_ylabel(key.replace("$", r"\$"))
    axes.legend()
    return figure
