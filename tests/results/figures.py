"""Figures: where a method is better, the same or worse, a cell for each comparison.

Draws with matplotlib, on no screen; knows verdicts.
"""

from matplotlib.figure import Figure

COLORS = {
    "better": "#7fbf7b",
    "worse": "#e08a7a",
    "same": "#c9d7e8",
    "not shown": "#eeeeee",
    "nothing": "#ffffff",
}


def regimes(rows, columns, verdicts, title):
    """Returns a figure of colored cells, each with its mean difference.

    Args:
        rows: names of settings.
        columns: names of methods.
        verdicts: {(row, column): `Verdict`}; others stay empty.
        title: of the figure.
    """
    figure = Figure(
        figsize=(2.4 + 0.62 * len(columns), 1.6 + 0.42 * len(rows)),
        layout="constrained",
    )
    axes = figure.subplots()
    for row, setting in enumerate(rows):
        for column, method in enumerate(columns):
            verdict = verdicts.get((setting, method))
            if verdict is None or verdict.difference is None:
                continue
            axes.add_patch(_cell(column, row, COLORS[verdict.outcome]))
            axes.text(
                column, row, _number(verdict), ha="center", va="center", fontsize=7
            )
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_title(title, fontsize=9)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    return figure


def _cell(column, row, color):
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, color=color)


def _number(verdict):
    points = "accuracy" in verdict.metric
    if points:
        return f"{100 * verdict.difference:+.1f}"
    return f"{verdict.difference:+.3f}"
