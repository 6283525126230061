"""What results of analyses have in common: as a dict, as a table, as bars by layer.

Knows numbers and text; knows no model.
"""

import dataclasses
import math

from keras_dsd._shared import extras
from keras_dsd.analysis._shared import tables


@dataclasses.dataclass(frozen=True)
class Record:
    """A result whose fields are all that there is to it."""

    def to_dict(self):
        """Returns all of it as a dict for JSON; what is not finite as text."""
        return _plain(dataclasses.asdict(self))


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def table(head, rows):
    """Returns text: the first column to the left, all others to the right.

    Args:
        head: list of str.
        rows: list of lists of str, int or float.
    """
    return "\n".join(tables.aligned([head, *(list(map(_cell, row)) for row in rows)]))


def _cell(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value


def chosen(paths, path=None):
    """Returns the paths of weights to look at: one, or all of them with `None`.

    Raises:
        ValueError: there is no weight of that path.
    """
    if path is not None and path not in paths:
        raise ValueError(
            f"There is no such weight. Known: {list(paths)}. Received: path={path!r}"
        )
    return list(paths) if path is None else [path]


def axes(ax, height=4.5, *, needed_by):
    """Returns the matplotlib `Axes` to draw into: `ax`, or those of a new figure.

    Raises:
        ImportError: matplotlib is not installed.
    """
    extras.require("studies", "matplotlib", needed_by=needed_by)
    from matplotlib.figure import Figure

    if ax is None:
        ax = Figure(figsize=(7, height), layout="constrained").subplots()
    return ax


def bars(ax, names, series, xlabel, *, needed_by):
    """Draws bars, a group for each name, from above in their order.

    Args:
        ax: a matplotlib `Axes`, or `None`: a new figure.
        names: list of str, say paths of weights.
        series: {label: list of numbers, one for each name}.
        xlabel: what the numbers are.
        needed_by: as of `axes`.

    Returns:
        The `matplotlib.figure.Figure`.
    """
    ax = axes(ax, 1.5 + 0.3 * len(names), needed_by=needed_by)
    thick = 0.8 / len(series)
    for number, (label, values) in enumerate(series.items()):
        places = [row - 0.4 + thick * (number + 0.5) for row in range(len(names))]
        ax.barh(places, values, thick, label=label)
    ax.set_yticks(range(len(names)), names, fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    if len(series) > 1:
        ax.legend(fontsize=7)
    return ax.figure
