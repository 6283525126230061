"""`connections(moment)`: how many remain, by layer, by neuron, by filter and by head.

Knows packed bits and their units.
"""

import dataclasses
import math

import numpy as np

from keras_dsd._shared import checks
from keras_dsd.analysis._shared import results, tables, units
from keras_dsd.analysis.masks import moments


@dataclasses.dataclass(frozen=True)
class WeightConnections:
    """The active connections of one weight.

    Args:
        path: the weight's path.
        shape: its shape.
        active: how many are active.
        outputs: int array, how many lead to each neuron, or filter.
        inputs: int array, how many lead from each input, or channel.
        heads: int array, how many each head of attention has; `None` elsewhere.
    """

    path: str
    shape: tuple
    active: int
    outputs: np.ndarray
    inputs: np.ndarray
    heads: np.ndarray | None = None

    @property
    def size(self):
        """How many connections there can be."""
        return math.prod(self.shape)

    @property
    def sparsity(self):
        """The fraction that is not active."""
        return 1 - self.active / max(self.size, 1)

    def sparsities(self, kind="outputs"):
        """Returns the sparsity of each unit, a float array.

        Args:
            kind: "outputs", "inputs" or "heads". Defaults to "outputs".

        Raises:
            TypeError, ValueError: of another kind, or there are no heads.
        """
        found = {"outputs": self.outputs, "inputs": self.inputs}
        if self.heads is not None:
            found["heads"] = self.heads
        counts = checks.known(kind, "kind", found)
        return 1 - counts / max(self.size / max(counts.size, 1), 1)


@dataclasses.dataclass(frozen=True)
class Connections:
    """The active connections of a model; prints as a table.

    Args:
        weights: list of `WeightConnections`, in the order of the model.

    >>> import numpy as np
    >>> from keras_dsd import analysis
    >>> found = analysis.connections({"kernel": np.array([[True, False, True]] * 2)})
    >>> found.weights[0].outputs.tolist(), found.weights[0].inputs.tolist()
    ([2, 0, 2], [2, 2])
    """

    weights: list

    def __getitem__(self, path):
        """Returns the `WeightConnections` of a path.

        Raises:
            KeyError: there is none.
        """
        return {one.path: one for one in self.weights}[path]

    @property
    def sparsity(self):
        """The fraction of all connections that is not active."""
        size = sum(one.size for one in self.weights)
        return 1 - sum(one.active for one in self.weights) / max(size, 1)

    def table(self):
        """Returns one dict for each weight.

        `weight`, `shape`, `active`, `sparsity`, `least` and `most`, of the connections
        that lead to an output, and `no_incoming` and `no_outgoing`: how many outputs
        and inputs have none.
        """
        return [
            {
                "weight": one.path,
                "shape": tuple(one.shape),
                "active": one.active,
                "sparsity": one.sparsity,
                "least": int(one.outputs.min(initial=one.size)),
                "most": int(one.outputs.max(initial=0)),
                "no_incoming": int(np.count_nonzero(one.outputs == 0)),
                "no_outgoing": int(np.count_nonzero(one.inputs == 0)),
            }
            for one in self.weights
        ]

    def __str__(self):
        rows = [
            ("weight", "shape", "active", "sparsity", "to an output", "none in", "out")
        ]
        rows += [
            (
                row["weight"],
                "x".join(map(str, row["shape"])),
                f"{row['active']:,}",
                f"{row['sparsity']:.2%}",
                f"{row['least']:,} to {row['most']:,}",
                f"{row['no_incoming']:,}",
                f"{row['no_outgoing']:,}",
            )
            for row in self.table()
        ]
        return "\n".join(tables.aligned(rows))

    def to_dict(self):
        """Returns the counts of all units, as plain lists."""
        return {
            "sparsity": self.sparsity,
            "weights": [
                {
                    "path": one.path,
                    "shape": list(one.shape),
                    "active": one.active,
                    "sparsity": one.sparsity,
                    "outputs": one.outputs.tolist(),
                    "inputs": one.inputs.tolist(),
                    "heads": None if one.heads is None else one.heads.tolist(),
                }
                for one in self.weights
            ],
        }

    def plot(self, ax=None):
        """Draws what remains of each weight, and how that differs between its outputs.

        A bar from the lower to the upper quartile of its neurons or filters, a line
        from the least to the most, a point for the weight as a whole.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        ax = results.axes(
            ax, 1.2 + 0.3 * len(self.weights), needed_by="`Connections.plot`"
        )
        for place, one in enumerate(self.weights):
            remaining = 1 - one.sparsities()
            if remaining.size:
                low, lower, upper, high = np.quantile(remaining, [0, 0.25, 0.75, 1])
                ax.hlines(place, low, high, color="#2b6ca3", linewidth=1)
                ax.hlines(place, lower, upper, color="#2b6ca3", linewidth=6)
            ax.plot(1 - one.sparsity, place, "o", color="#e08a1e")
        paths = [one.path for one in self.weights]
        ax.set_yticks(range(len(paths)), paths, fontsize=7)
        ax.invert_yaxis()
        ax.set_xlim(-0.02, 1.02)
        ax.set_xlabel("share of connections that are active")
        return ax.figure


def connections(moment):
    """Counts the active connections of each weight, neuron, filter and head.

    A kernel is (..., inputs, outputs). Of a model, transposed and depthwise
    convolutions are known by their layers; of masks alone they are not. Of an attention
    layer's kernels an output is one feature of a head.

    Args:
        moment: a model, the path of a `.keras` file, a `Snapshot`, or a dict {path of a
            weight: bool array}. A plain model counts by the weights that
            `make_prunable` would choose.

    Returns:
        A `Connections`.

    Raises:
        TypeError, ValueError: `moment` is none of these, or holds nothing to prune.
    """
    read = moments.read_one(moment, "moment")
    found = []
    for path, shape in read.shapes.items():
        outputs, inputs, heads = read.units[path]
        kept = [outputs, inputs, *([] if heads is None else [(heads,)])]
        counts = units.counts(read.bits[path], shape, *kept)
        counts = [one.ravel() for one in counts]
        active = moments.count(read.bits[path])
        found.append(WeightConnections(path, shape, active, *counts))
    return Connections(found)
