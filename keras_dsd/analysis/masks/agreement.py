"""`agreement(runs)`: do runs with other seeds keep the same connections?

Each weight's mean IoU over all pairs of runs, beside chance. Knows an `Overlap`.
"""

import dataclasses

import numpy as np

from keras_dsd.analysis._shared import results, tables
from keras_dsd.analysis.masks.overlap import Overlap, overlap


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far runs keep the same connections; prints as a table.

    Args:
        overlap: the `Overlap` of the runs.

    >>> from keras_dsd import analysis
    >>> pairs = analysis.Overlap([0, 1], {"a": 4}, {"a": [[2, 1], [1, 2]]})
    >>> print(analysis.Agreement(pairs))
    weight           IoU  chance  deviations
    all together  0.3333  0.3333        0.00
    a             0.3333  0.3333        0.00
    """

    overlap: Overlap

    def table(self):
        """Returns one dict for each weight, all together first.

        `iou`, `chance` and `deviations`, means over all pairs of runs, as `Overlap` has
        them.
        """
        found = self.overlap
        above = np.triu_indices(len(found.labels), 1)
        return [
            {
                "weight": "all together" if path is None else path,
                "iou": float(found.iou(path)[above].mean()),
                "chance": float(found.chance(path)[above].mean()),
                "deviations": float(found.deviations(path)[above].mean()),
            }
            for path in [None, *found.paths]
        ]

    def __str__(self):
        rows = [("weight", "IoU", "chance", "deviations")]
        rows += [
            (
                row["weight"],
                f"{row['iou']:.4f}",
                f"{row['chance']:.4f}",
                f"{row['deviations']:.2f}",
            )
            for row in self.table()
        ]
        return "\n".join(tables.aligned(rows))

    def to_dict(self):
        """Returns the table and the counts behind it; no deviations are `None`."""
        rows = self.table()
        for row in rows:
            if np.isnan(row["deviations"]):
                row["deviations"] = None
        return {"table": rows, "overlap": self.overlap.to_dict()}

    def plot(self, ax=None):
        """Draws the IoU of each weight as a bar, chance as a line across it.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        rows = self.table()
        ax = results.axes(ax, 1.2 + 0.3 * len(rows), needed_by="`Agreement.plot`")
        places = np.arange(len(rows))
        ax.barh(places, [row["iou"] for row in rows], color="#2b6ca3", label="IoU")
        chance = [row["chance"] for row in rows]
        ax.vlines(chance, places - 0.4, places + 0.4, color="#e08a1e", label="chance")
        ax.set_yticks(places, [row["weight"] for row in rows], fontsize=7)
        ax.invert_yaxis()
        ax.set_xlim(0, 1)
        ax.set_xlabel("IoU of active connections, mean over pairs of runs")
        ax.legend(fontsize=7)
        return ax.figure


def agreement(runs):
    """Compares which connections runs with other seeds keep, weight by weight.

    Connections are compared by their place. Two runs that began with other weights may
    have learned the same with their neurons in another order: they agree no more than
    chance. Runs from one start that are trained apart may be compared this way.

    Args:
        runs: list of two or more, one for each run: models, paths of `.keras` files,
            snapshots, or dicts {path of a weight: bool array}.

    Returns:
        An `Agreement`.

    Raises:
        TypeError, ValueError: fewer than two, one is of another type, or their weights
            differ in path or shape.

    >>> import numpy as np
    >>> from keras_dsd import analysis
    >>> masks = {"kernel": np.array([True, True, False, False])}
    >>> analysis.agreement([masks, masks]).table()[0]["iou"]
    1.0
    """
    return Agreement(overlap(runs))
