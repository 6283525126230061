"""Figures with long labels, such as names; read on a phone as well.

Knows matplotlib and texts; nothing of what is drawn.
"""

import unicodedata

WIDTH = 5.0  # inches: on a phone letters are then about as large as the text's
FONT = 9  # points
ROW = 0.26  # inches for one bar


def with_labels(labels):
    """Returns (figure, axes) for horizontal bars, the first label above.

    The room for labels is counted by letters: what is drawn in the reader's own fonts
    can't be measured here.

    Args:
        labels: list of str.
    """
    from matplotlib.figure import Figure

    height = 0.9 + ROW * len(labels)
    left = (max(map(_ems, labels)) * FONT + 12) / 72
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(
        left=left / WIDTH, right=0.94, bottom=0.8 / height, top=1 - 0.06 / height
    )
    axes = figure.subplots()
    axes.set_yticks(range(len(labels)), labels, fontsize=FONT)
    axes.tick_params(axis="x", labelsize=FONT)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    return figure, axes


def legend_below(axes):
    """Adds a legend below the axes, where it covers nothing.

    Args:
        axes: matplotlib's `Axes`.
    """
    height = axes.figure.get_figheight() * axes.get_position().height
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0, -0.32 / height),
        ncols=2,
        fontsize=FONT,
        frameon=False,
        borderaxespad=0,
    )


def _ems(label):
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in label)
    return wide + 0.55 * (len(label) - wide)
