"""Figures: where a method is better, the same or worse, a cell for each comparison.

Draws with matplotlib, on no screen; knows verdicts.
"""

from matplotlib.figure import Figure

COLORS = {
    "better": "#7fbf7b",
    "worse": "#e08a7a",
    "same": "#c9d7e8",
    "not shown": "#eeeeee",
    "identical": "#ffffff",
    "too few seeds": "#ffffff",
}


def regimes(rows, columns, verdicts, title):
    """Returns a figure of colored cells, a panel for each family of methods.

    Args:
        rows: names of settings.
        columns: names of methods; those of a family, up to the first "-", stand
            together.
        verdicts: {(row, column): `Verdict`}; others stay empty.
        title: of the figure.
    """
    families: dict = {}
    for method in columns:
        family, *rest = method.split("-")
        families.setdefault(family if rest else "controls", []).append(method)
    widths = [len(methods) for methods in families.values()]
    figure = Figure(
        figsize=(2.4 + 0.7 * sum(widths), 1.8 + 0.42 * len(rows)),
        layout="constrained",
    )
    panels = figure.subplots(
        1, len(families), sharey=True, squeeze=False, width_ratios=widths
    )
    for axes, (family, methods) in zip(panels[0], families.items(), strict=True):
        _panel(axes, rows, methods, verdicts)
        axes.set_title(family, fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure


def _panel(axes, rows, methods, verdicts):
    for row, setting in enumerate(rows):
        for column, method in enumerate(methods):
            verdict = verdicts.get((setting, method))
            if verdict is None or verdict.difference is None:
                continue
            axes.add_patch(_cell(column, row, COLORS[verdict.outcome]))
            axes.text(
                column, row, _number(verdict), ha="center", va="center", fontsize=7
            )
    axes.set_xlim(-0.5, len(methods) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    names = [method.partition("-")[2] or method for method in methods]
    axes.set_xticks(range(len(methods)), names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)


def _cell(column, row, color):
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, color=color)


def _number(verdict):
    points = "accuracy" in verdict.metric
    if points:
        return f"{100 * verdict.difference:+.1f}"
    return f"{verdict.difference:+.3f}"
