"""Pictures of what was measured. Knows numbers and matplotlib."""

import numbers

from matplotlib.figure import Figure

from keras_dsd._shared import checks

COLORS = "viridis"


def report(report):
    """Returns a picture of a `RobustnessReport`: a table, coloured by its values."""
    severities = sorted({s for row in report.table.values() for s in row})
    names = list(report.table)
    values = [
        [report.table[name].get(severity, float("nan")) for severity in severities]
        for name in names
    ]
    figure = Figure(
        figsize=(3 + 0.8 * len(severities), 1.6 + 0.32 * len(names)),
        layout="constrained",
    )
    panel = figure.subplots()
    colors = panel.imshow(
        values, cmap=COLORS if report.grows else f"{COLORS}_r", aspect="auto"
    )
    panel.set_xticks(range(len(severities)), severities)
    panel.set_yticks(range(len(names)), names)
    panel.set_xlabel("severity")
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            red, green, blue, _ = colors.to_rgba(value)
            bright = 0.3 * red + 0.6 * green + 0.1 * blue > 0.5
            panel.text(
                column,
                row,
                f"{value:.3g}",
                ha="center",
                va="center",
                fontsize=8,
                color="black" if bright else "white",
            )
    clean = "" if report.clean is None else f"clean {report.clean:.4g}, "
    panel.set_title(f"{report.metric}: {clean}corrupted {report.robust:.4g}")
    figure.colorbar(colors, ax=panel)
    return figure


def plot_gain(gain, path=None):
    """Draws how much better one model is than another, corruption by corruption.

    Args:
        gain: {corruption: difference}, as `RobustnessReport.gain_over` returns it.
        path: file to write. Defaults to `None`: none is written.

    Returns:
        A `matplotlib.figure.Figure`.

    Example:

    >>> from keras_dsd import robustness
    >>> figure = robustness.plot_gain({"fog": 0.02, "snow": -0.01})
    """
    _numbers(gain, "gain")
    figure = Figure(figsize=(7, 1.2 + 0.28 * len(gain)), layout="constrained")
    panel = figure.subplots()
    colors = ["#2b6ca3" if value >= 0 else "#e08a1e" for value in gain.values()]
    panel.barh(list(gain), list(gain.values()), color=colors)
    panel.invert_yaxis()
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set_xlabel("gain (right: better)")
    panel.spines[["top", "right"]].set_visible(False)
    return written(figure, path)


def plot_radius_accuracy(curves, path=None):
    """Draws what `radius_accuracy` found, a line for each model.

    Args:
        curves: {name of the line: {radius: value}}.
        path: file to write. Defaults to `None`: none is written.

    Returns:
        A `matplotlib.figure.Figure`.

    Example:

    >>> from keras_dsd import robustness
    >>> figure = robustness.plot_radius_accuracy({"dense": {0: 0.1, 8: 0.9}})
    """
    if not isinstance(curves, dict):
        raise TypeError(f"`curves` must be a dict. Received: curves={curves!r}")
    for curve in curves.values():
        _numbers(curve, "curves")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    panel = figure.subplots()
    for name, curve in curves.items():
        panel.plot(list(curve), list(curve.values()), ".-", label=name)
    panel.set_xlabel("radius in the spectrum, cycles per image side")
    panel.set_ylabel("metric")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    return written(figure, path)


def plot_fourier_sensitivity(sensitivity, path=None):
    """Draws what `fourier_sensitivity` found, frequency 0 in the middle.

    Args:
        sensitivity: array of the metric.
        path: file to write. Defaults to `None`: none is written.

    Returns:
        A `matplotlib.figure.Figure`.

    Example:

    >>> import numpy as np
    >>> from keras_dsd import robustness
    >>> figure = robustness.plot_fourier_sensitivity(np.zeros((5, 5)))
    """
    sensitivity = checks.array(sensitivity, "sensitivity")
    if sensitivity.ndim != 2 or sensitivity.dtype.kind not in "biuf":
        raise ValueError(
            "`sensitivity` must be an array of numbers of rank 2. Received: shape "
            f"{sensitivity.shape}, dtype {sensitivity.dtype}"
        )
    height, width = sensitivity.shape
    figure = Figure(figsize=(5.5, 4.5), layout="constrained")
    panel = figure.subplots()
    top, left = -(height // 2) - 0.5, -(width // 2) - 0.5
    colors = panel.imshow(
        sensitivity, cmap=COLORS, extent=(left, left + width, top + height, top)
    )
    panel.set_xlabel("cycles per image width")
    panel.set_ylabel("cycles per image height")
    panel.set_title("metric under noise of one frequency")
    figure.colorbar(colors, ax=panel)
    return written(figure, path)


def _numbers(values, name):
    if not isinstance(values, dict):
        raise TypeError(f"`{name}` must be a dict. Received: {name}={values!r}")
    for value in values.values():
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"`{name}` must hold numbers. Received: {name}={values!r}")


def written(figure, path):
    """Returns a figure, written to a file if `path` is given."""
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
