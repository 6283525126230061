"""The picture of a robustness report's page. Knows its numbers and matplotlib."""

from keras_dsd.reports import figures
from keras_dsd.reports.forms import INK

OURS, BASELINE = "#3d83bd", "#c9730f"


def bars(found, name, language):
    """Returns a figure with a bar for each corruption, the worst above.

    A line shows clean images, a dot the baseline.

    Args:
        found: `robustness_numbers.Numbers`.
        name: function of a corruption's name that returns it in words.
        language: a `Language`.
    """
    order = found.worst_first
    figure, axes = figures.with_labels([name(one) for one in order])
    places = range(len(order))
    axes.barh(places, [found.means[one] or 0.0 for one in order], color=OURS)
    if found.baseline_means:
        axes.plot(
            [found.baseline_means[one] for one in order],
            places,
            "o",
            color=BASELINE,
            markersize=5,
            label=language.caption("robustness.where.dot"),
        )
    if found["clean"] is not None:
        axes.axvline(
            found["clean"],
            color=INK,
            linestyle="--",
            linewidth=1,
            label=language.caption("robustness.where.line"),
        )
    if found["clean"] is not None or found.baseline_means:
        figures.legend_below(axes)
    if found.style == "percent":
        axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(
        lambda value, _: language.value(
            value, "whole_percent" if found.style == "percent" else "number"
        )
    )
    return figure
