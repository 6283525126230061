"""`Returned`: the weights that came back beside those that stayed, as arrays.

Knows numbers.
"""

import dataclasses
import itertools
import math

import numpy as np

from keras_dsd.analysis._shared import results
from keras_dsd.analysis.weights import octaves


@dataclasses.dataclass(frozen=True)
class Group:
    """How large some weights are that are not zero.

    Args:
        count: how many there are.
        mean: of |w|, 0 if there are none; so too the others.
        rms: root of the mean of w * w.
        largest: |w|.
    """

    count: int
    mean: float
    rms: float
    largest: float


@dataclasses.dataclass(frozen=True)
class Returned:
    """What became of the weights that a sparse phase held at zero. Prints as a table.

    Args:
        edges: float array (B + 1,), the magnitudes between the bins, eight to an
            octave; a bin holds its lower edge.
        counts: {path of a weight: int array (2, B)}: weights that came back, and that
            stayed, by their magnitude.
        pruned: {path: how many weights were held at zero}.
        came_back: {path: `Group`}, those of them that are not zero now.
        stayed: {path: `Group`}, weights that were not pruned and are not zero.
    """

    edges: np.ndarray
    counts: dict
    pruned: dict
    came_back: dict
    stayed: dict

    def __post_init__(self):
        object.__setattr__(self, "edges", np.array(self.edges, "float64"))
        made = {path: np.array(one, "int64") for path, one in self.counts.items()}
        object.__setattr__(self, "counts", made)

    @staticmethod
    def group(count, total, squares, largest):
        """Returns the `Group` of weights with these sums of |w| and of w * w."""
        many = max(count, 1)
        mean, rms = float(total / many), math.sqrt(squares / many)
        return Group(int(count), mean, rms, float(largest))

    @property
    def paths(self):
        """Paths of the weights, in the order of the model."""
        return list(self.counts)

    def share(self, path=None):
        """Returns the fraction of the pruned weights that came back; NaN of none.

        Args:
            path: of a weight. Defaults to `None`: all together.

        Raises:
            ValueError: there is none of that path.
        """
        chosen = results.chosen(self.paths, path)
        pruned = sum(self.pruned[one] for one in chosen)
        back = sum(self.came_back[one].count for one in chosen)
        return back / pruned if pruned else math.nan

    def total(self, path=None):
        """Returns the counts of a weight, or of all together, int array (2, B)."""
        return np.sum(
            [self.counts[one] for one in results.chosen(self.paths, path)], axis=0
        )

    def groups(self, path=None):
        """Returns the `Group`s (came back, stayed) of a weight, or of all together."""
        return tuple(
            _together([held[one] for one in results.chosen(self.paths, path)])
            for held in (self.came_back, self.stayed)
        )

    def __str__(self):
        head = ["weight", "pruned", "came back", "mean |w|", "rms", "largest"]
        rows = []
        for path in [None, *self.paths]:
            pruned = sum(self.pruned[one] for one in results.chosen(self.paths, path))
            groups = map(dataclasses.astuple, self.groups(path))
            rows.append([path or "all together", pruned, *itertools.chain(*groups)])
        return results.table([*head, "stayed", "mean |w|", "rms", "largest"], rows)

    def to_dict(self):
        """Returns all of it as plain values, for JSON."""
        return {
            "edges": self.edges.tolist(),
            "counts": {path: one.tolist() for path, one in self.counts.items()},
            "pruned": dict(self.pruned),
            **{
                name: {
                    path: dataclasses.asdict(one)
                    for path, one in getattr(self, name).items()
                }
                for name in ("came_back", "stayed")
            },
        }

    def plot(self, ax=None, path=None):
        """Draws weights per octave of magnitude, of both groups, on a log scale.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.
            path: of a weight. Defaults to `None`: all together.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: there is no weight of that path.
        """
        heights = self.total(path) / octaves.widths(self.edges)
        ax = results.axes(ax, needed_by="`Returned.plot`")
        share = f"came back, {self.share(path):.1%} of those that were pruned"
        for row, label in zip(heights, (share, "stayed"), strict=True):
            ax.stairs(row, self.edges, fill=True, alpha=0.6, label=label)
        ax.set_xscale("log")
        ax.set_xlabel("|weight|" if path is None else f"|weight| of {path}")
        ax.set_ylabel("weights per octave")
        ax.legend(fontsize=7)
        return ax.figure


def _together(groups):
    count = sum(one.count for one in groups)
    return Returned.group(
        count,
        sum(one.mean * one.count for one in groups),
        sum(one.rms**2 * one.count for one in groups),
        max((one.largest for one in groups), default=0.0),
    )
