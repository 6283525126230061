"""`histograms(moments)`: how weights are distributed, before pruning to re-dense.

The figure of Han et al. 2017 (arXiv:1607.04381), on a log scale near zero. Counted in
one pass, piece by piece. Knows counts.
"""

import dataclasses

import numpy as np

from keras_dsd._shared import extras
from keras_dsd.analysis._shared import results
from keras_dsd.analysis.weights import octaves, weight_sources


@dataclasses.dataclass(frozen=True)
class Histograms:
    """How many weights have which magnitude, at each of T moments.

    Args:
        labels: list of T, what the moments are called.
        edges: float array (B + 1,), the magnitudes between the bins, eight to an
            octave; a bin holds its lower edge.
        counts: {path of a weight: int array (T, 2, B)}: weights below zero, and above,
            by their magnitude.
        zeros: {path: int array (T,)}, weights that are exactly zero: in no bin.
        not_finite: {path: int array (T,)}, NaN and infinities: in no bin.

    >>> from keras_dsd import analysis
    >>> found = analysis.Histograms(["end"], [0.5, 1.0], {"a": [[[3], [4]]]},
    ...     {"a": [2]}, {"a": [0]})
    >>> found.total().tolist(), found.share_of_zeros().round(2).tolist()
    ([[[3], [4]]], [0.22])
    """

    labels: list
    edges: np.ndarray
    counts: dict
    zeros: dict
    not_finite: dict

    def __post_init__(self):
        object.__setattr__(self, "edges", np.array(self.edges, "float64"))
        for name in ("counts", "zeros", "not_finite"):
            held = getattr(self, name)
            made = {path: np.array(one, "int64") for path, one in held.items()}
            object.__setattr__(self, name, made)

    @property
    def paths(self):
        """Paths of the weights, in the order of the model."""
        return list(self.counts)

    def total(self, path=None):
        """Returns the counts of a weight, or of all together, int array (T, 2, B).

        Raises:
            ValueError: there is no weight of that path.
        """
        return self._sum(self.counts, path)

    def share_of_zeros(self, path=None):
        """Returns the fraction of the weights that is exactly zero, (T,)."""
        zeros = self._sum(self.zeros, path)
        size = self.total(path).sum(axis=(1, 2)) + zeros
        return zeros / np.maximum(size + self._sum(self.not_finite, path), 1)

    def _sum(self, of, path):
        return np.sum([of[one] for one in results.chosen(self.paths, path)], axis=0)

    def to_dict(self):
        """Returns all of it as plain values, for JSON."""
        return {
            "labels": list(self.labels),
            "edges": self.edges.tolist(),
            **{
                name: {path: one.tolist() for path, one in getattr(self, name).items()}
                for name in ("counts", "zeros", "not_finite")
            },
        }

    def plot(self, ax=None, path=None):
        """Draws weights per octave of magnitude, below zero and above.

        Near zero the scale is linear: below the magnitude that 99 of 100 weights that
        are not zero exceed, at all moments. Zeros are told as a number.

        Args:
            ax: a matplotlib `Axes` to draw all moments into. Defaults to `None`: a new
                figure, with a panel for each.
            path: of a weight. Defaults to `None`: all together.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: there is no weight of that path.
        """
        total, zeros = self.total(path), self.share_of_zeros(path)
        extras.require("studies", "matplotlib", needed_by="`Histograms.plot`")
        from matplotlib.figure import Figure

        rows = len(self.labels)
        panels = [ax] * rows
        if ax is None:
            figure = Figure(figsize=(7, 1.2 + 1.5 * rows), layout="constrained")
            grid = figure.subplots(rows, sharex=True, sharey=True, squeeze=False)
            panels = list(grid[:, 0])
        edges = np.concatenate([-self.edges[::-1], self.edges])
        heights = total / octaves.widths(self.edges)
        drawn = zip(panels, self.labels, heights, zeros, strict=True)
        for number, (panel, label, (below, above), zero) in enumerate(drawn):
            values = np.concatenate([below[::-1], [0.0], above])
            text = f"{label}: {zero:.1%} exactly zero"
            panel.stairs(values, edges, fill=ax is None, color=f"C{number}", label=text)
            panel.set_xscale("symlog", linthresh=self._near_zero(total))
            panel.tick_params(axis="x", labelsize=7)
            if ax is None:
                panel.set_title(text, fontsize=8, loc="left")
        if ax is not None:
            ax.legend(fontsize=7)
        panels[-1].set_xlabel("weight" if path is None else f"weight of {path}")
        panels[len(panels) // 2].set_ylabel("weights per octave")
        return panels[0].figure

    def _near_zero(self, total):
        below = np.cumsum(total.sum(axis=(0, 1)))
        if not below.size:
            return 1.0
        return self.edges[np.searchsorted(below, below[-1] / 100)]


def histograms(moments):
    """Counts the weights of each moment by their magnitude.

    Memory: a few MB beside the models, however large they are; files are loaded one
    after the other, weights of models and snapshots read piece by piece.

    Args:
        moments: path of a folder that `Snapshots` has written: its boundaries of
            phases; or a list of models, paths of `.keras` files and `Snapshot`s, in
            the order of time; or a dict {label: one of these}. Plain models count by
            the weights that `make_prunable` would choose.

    Returns:
        A `Histograms`.

    Raises:
        TypeError, ValueError: a moment is not as said; a model holds nothing prunable;
            they are not of one model; snapshots are without weights.

    >>> import keras
    >>> from keras_dsd import analysis
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> found = analysis.histograms([model])
    >>> int(found.total().sum() + sum(found.zeros.values())[0])
    32
    """
    labels: list = []
    counts: dict = {}
    zeros: dict = {}
    not_finite: dict = {}
    for source in weight_sources.stream(moments, "moments"):
        labels.append(source.label)
        for path in source.shapes:
            found = _count(source.pieces(path))
            for held, one in zip((counts, zeros, not_finite), found, strict=True):
                held.setdefault(path, []).append(one)
        del source  # else its model stays while the next one is loaded
    first, end = octaves.bounds([one for each in counts.values() for one in each])
    trimmed = {
        path: [one[:, first:end] for one in each] for path, each in counts.items()
    }
    return Histograms(labels, octaves.edges(first, end), trimmed, zeros, not_finite)


def _count(parts):
    counts = np.zeros((2, octaves.FINITE), "int64")
    zeros = not_finite = 0
    for part in parts:
        found, more_zeros, more = octaves.count(part)
        counts += found
        zeros += more_zeros
        not_finite += more
    return counts, zeros, not_finite
