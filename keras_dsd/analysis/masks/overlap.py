"""`overlap(moments)`: how much of their connections models or moments share.

The IoU (Jaccard index) of each pair of masks, beside what chance gives at those
sparsities: of one run through time, or of runs with several seeds. Knows packed bits.
"""

import dataclasses

import numpy as np

from keras_dsd.analysis._shared import results
from keras_dsd.analysis.masks import moments as moments_


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How many connections each two of T moments (or runs) share.

    Args:
        labels: list of T: an index, or the name of a file.
        sizes: {path of a weight: how many connections it can have}.
        shared: {path: int array (T, T)}, connections that are active at both moments;
            on the diagonal, those that are active.

    >>> from keras_dsd import analysis
    >>> analysis.Overlap([0, 1], {"kernel": 4}, {"kernel": [[2, 1], [1, 2]]}).iou()
    array([[1.        , 0.33333333],
           [0.33333333, 1.        ]])
    """

    labels: list
    sizes: dict
    shared: dict

    def __post_init__(self):
        made = {path: np.array(counts, "int64") for path, counts in self.shared.items()}
        object.__setattr__(self, "shared", made)

    @property
    def paths(self):
        """Paths of the weights, in the order of the model."""
        return list(self.shared)

    def iou(self, path=None):
        """Returns shared connections over those active at either moment, (T, T).

        Two moments without any connection are alike: 1.

        Args:
            path: of a weight. Defaults to `None`: all together.

        Raises:
            ValueError: there is none of that path.
        """
        shared = np.sum(
            [self.shared[one] for one in results.chosen(self.paths, path)], axis=0
        )
        return _over_union(shared, np.diag(shared))

    def chance(self, path=None):
        """Returns the IoU where all pairs share what chance gives on average, (T, T).

        Of masks with a and b of n connections, drawn apart, that is a * b / n, in each
        weight by itself: layers that are equally dense agree by more than chance only
        if the connections within them do. On the diagonal too: of another mask that is
        as sparse.
        """
        expected, active = [], []
        for one in results.chosen(self.paths, path):
            own = np.diag(self.shared[one])
            expected.append(np.outer(own, own) / max(self.sizes[one], 1))
            active.append(own)
        return _over_union(np.sum(expected, axis=0), np.sum(active, axis=0))

    def deviations(self, path=None):
        """Returns by how many standard deviations pairs share more than chance, (T, T).

        Those of the hypergeometric distribution, weight by weight; NaN where chance
        leaves none, as in a dense weight.
        """
        excess, variance = 0.0, 0.0
        for one in results.chosen(self.paths, path):
            n, shared = self.sizes[one], self.shared[one]
            active = np.diag(shared).astype("float64")
            excess = excess + shared - np.outer(active, active) / max(n, 1)
            left = np.outer(active, active) * np.outer(n - active, n - active)
            variance = variance + left / max(n, 1) ** 2 / max(n - 1, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(variance > 0, excess / np.sqrt(variance), np.nan)

    def to_dict(self):
        """Returns the counts, and the IoU of all together, as plain lists."""
        return {
            "labels": list(self.labels),
            "sizes": dict(self.sizes),
            "shared": {path: counts.tolist() for path, counts in self.shared.items()},
            "iou": self.iou().tolist(),
            "chance": self.chance().tolist(),
        }

    def plot(self, ax=None, path=None):
        """Draws the matrix of IoUs.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.
            path: of a weight. Defaults to `None`: all together.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: there is no weight of that path.
        """
        iou = self.iou(path)
        ax = results.axes(ax, needed_by="`Overlap.plot`")
        drawn = ax.imshow(iou, vmin=0, vmax=1, cmap="viridis")
        every = -(-len(self.labels) // 20)  # more names can't be read
        ticks = range(0, len(self.labels), every)
        names = [str(self.labels[tick]) for tick in ticks]
        ax.set_xticks(ticks, names, rotation=90 if max(map(len, names)) > 2 else 0)
        ax.set_yticks(ticks, names)
        ax.set_title("all weights" if path is None else path)
        ax.figure.colorbar(drawn, ax=ax, label="IoU of active connections")
        return ax.figure


def overlap(moments):
    """Compares which connections are active, each moment with each other.

    Of one run: models or files in the order of time, say what `ModelCheckpoint` wrote.
    Of several: their last ones. Connections are compared by their place: networks
    that differ only in the order of their neurons share no more than chance.

    Memory: an eighth of a byte for each connection and moment.

    Args:
        moments: list of two or more: models, paths of `.keras` files, what
            `snapshots.read` returns, or dicts {path of a weight: bool array}; a
            generator is taken one by one. Plain models count by the weights that
            `make_prunable` would choose.

    Returns:
        An `Overlap`.

    Raises:
        TypeError, ValueError: fewer than two, one is of another type, or their weights
            differ in path or shape.

    >>> import numpy as np
    >>> from keras_dsd import analysis
    >>> first = {"kernel": np.array([True, True, False, False])}
    >>> second = {"kernel": np.array([True, False, True, False])}
    >>> found = analysis.overlap([first, second])
    >>> float(found.iou()[0, 1]), float(found.chance()[0, 1])
    (0.3333333333333333, 0.3333333333333333)
    """
    read = moments_.read(moments, "moments", at_least=2)
    first = read[0]
    sizes = {path: int(np.prod(shape)) for path, shape in first.shapes.items()}
    shared = {path: np.zeros((len(read), len(read)), "int64") for path in first.shapes}
    for path, counts in shared.items():
        for row, one in enumerate(read):
            for column in range(row + 1):
                both = one.bits[path] & read[column].bits[path]
                counts[row, column] = counts[column, row] = moments_.count(both)
    return Overlap([one.label for one in read], sizes, shared)


def _over_union(shared, active):
    union = active[:, None] + active[None, :] - shared
    return np.where(union > 0, shared / np.maximum(union, 1), 1.0)
