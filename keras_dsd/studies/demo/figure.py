"""The demo's picture: how the weights of one layer are distributed after each phase."""

import matplotlib
import numpy as np

matplotlib.use("Agg")  # a file, no window; before pyplot is imported

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

SURVIVED, RETURNED, SHADE = "#2b6ca3", "#e08a1e", "#ececec"
BINS = 121  # odd: one bin has zero in its middle
TITLES = {"Dense": "Dense", "Sparse": "Sparse", "Redense": "Re-dense"}


def histograms(weights, path):
    """Draws the weights of the largest layer that DSD pruned, as a PNG.

    One layer, for each has its own threshold: the gap of one would be filled by the
    weights of another. Exact zeros are not in the bars, where they would hide the rest,
    but told as a number.

    Args:
        weights: {phase: {path: array}} of kernels, as each phase left them.
        path: where the picture is written.
    """
    sizes = {name: np.size(kernel) for name, kernel in weights["Sparse"].items()}
    pruned = [name for name in sizes if not np.all(weights["Sparse"][name])]
    layer = max(pruned or sizes, key=sizes.__getitem__)
    survived = weights["Sparse"][layer].ravel() != 0
    dense = np.abs(weights["Dense"][layer].ravel())
    threshold = dense[~survived].max(initial=0)
    limit = np.quantile(dense, 0.999) * 1.1
    edges = np.linspace(-limit, limit, BINS + 1)
    figure, panels = plt.subplots(
        1,
        len(TITLES),
        figsize=(12, 4.4),
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for panel, (phase, title) in zip(panels, TITLES.items(), strict=True):
        values = weights[phase][layer].ravel()
        panel.axvspan(
            -threshold, threshold, color=SHADE, lw=0, label="below the threshold"
        )
        for chosen, color, label in (
            (survived, SURVIVED, "weights that survive the pruning"),
            (~survived, RETURNED, "weights that are pruned, and come back"),
        ):
            panel.hist(
                values[chosen & (values != 0)],
                edges,
                histtype="stepfilled",
                facecolor=(color, 0.75),
                edgecolor=color,
                label=label,
            )
        panel.set_yscale("log")
        panel.set_xlim(-limit, limit)
        panel.set_title(f"{title}: {_zeros(values)}", fontsize=11)
        panel.set_xlabel("weight")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"weights in a bin of {edges[1] - edges[0]:.4f}")
    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(
        f"The {survived.size:,} weights of {layer} at the end of each phase "
        "(seed 0; log scale)"
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _zeros(weights):
    zeros = np.count_nonzero(weights == 0)
    return (
        f"{zeros:,} exact zeros ({zeros / weights.size:.0%})" if zeros else "no zeros"
    )
