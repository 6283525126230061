"""Pictures of a study: differences by seed, learning curves, the metric against cost.

Knows a `Result`; draws with matplotlib, on no screen.
"""

import numpy as np
from matplotlib.figure import Figure


def overview(result):
    """Returns a figure of three panels.

    Args:
        result: a `Result` with runs of "conventional".
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    differences(result, first)
    curves(result, second)
    cost(result, third)
    return figure


def differences(result, axes):
    """Draws each seed's difference to "conventional", their mean and its interval."""
    metric = result.describe(result.metric)
    found = result.verdicts()
    base = result.values("conventional")
    axes.axvline(0, color="#888888", linewidth=1)
    for row, (name, verdict) in enumerate(found.items()):
        values = result.values(name)
        seeds = sorted(values.keys() & base.keys())
        points = [(values[seed] - base[seed]) * metric.scale for seed in seeds]
        axes.plot(points, [row] * len(points), "o", color="#9ab8d1", markersize=5)
        if verdict.low is not None:
            axes.plot(
                [verdict.low * metric.scale, verdict.high * metric.scale],
                [row, row],
                color="#2b6ca3",
                linewidth=2,
            )
        if verdict.difference is not None:
            axes.plot([verdict.difference * metric.scale], [row], "D", color="#2b6ca3")
    axes.set_yticks(range(len(found)), list(found))
    axes.invert_yaxis()
    axes.set_xlabel(
        f"{metric.name}: difference to conventional{metric.unit and ', '}"
        f"{metric.unit.strip()}"
    )
    axes.set_title("By seed (dots), mean with 95 % interval", fontsize=10)


def curves(result, axes):
    """Draws the mean learning curve of each method, and the band of its deviation."""
    key = f"val_{result.metric}"
    for name in result.methods:
        runs = [run for run in result.runs if run["method"] == name]
        histories = [
            [epoch[key] for epoch in run["history"]]
            for run in runs
            if run["history"] and key in run["history"][0]
        ]
        if not histories:
            continue
        length = min(map(len, histories))
        values = np.array([history[:length] for history in histories])
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        epochs = np.arange(1, length + 1)
        (line,) = axes.plot(epochs, mean, label=name)
        axes.fill_between(
            epochs,
            mean - deviation,
            mean + deviation,
            color=line.get_color(),
            alpha=0.15,
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel(key)
    if axes.has_data():
        axes.legend(frameon=False, fontsize=8)
    axes.set_title("Learning curves (mean, one deviation)", fontsize=10)


def cost(result, axes):
    """Draws the metric of each method against the time its training took."""
    for row in result.table():
        axes.errorbar(
            row["seconds"],
            row["last"],
            yerr=row["last_deviation"] or 0,
            marker="o",
            label=row["method"],
        )
        axes.annotate(
            row["method"],
            (row["seconds"], row["last"]),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set_xlabel("seconds of training")
    axes.set_ylabel(f"test {result.metric}")
    axes.set_title("What it costs", fontsize=10)
