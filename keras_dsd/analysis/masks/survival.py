"""`survival(moments)`: how long connections live once they have grown.

Counts of each moment's newcomers, and the product-limit estimate of Kaplan and Meier
1958 (doi:10.1080/01621459.1958.10501452): those alive at the last moment are censored.
Counted from bits: no list of lifetimes, which would be as long as there are
connections. Knows packed bits.
"""

import dataclasses

import numpy as np

from keras_dsd.analysis._shared import results
from keras_dsd.analysis.masks import moments as moments_


@dataclasses.dataclass(frozen=True)
class Survival:
    """How many connections are still alive, by when they grew and how long after.

    Args:
        labels: list of T: indices, or names of files.
        alive: {path of a weight: array (T, T)}: of the connections that were not active
            at moment k - 1 and are at k, how many have been so at all moments up to
            k + m, at [k, m]. [0] is of all that are active at the first moment: since
            when, is not known. NaN after the last moment.

    >>> from keras_dsd import analysis
    >>> nan = float("nan")
    >>> found = analysis.Survival([0, 1, 2], {"a": [[4, 3, 2], [1, 0, nan],
    ...     [2, nan, nan]]})
    >>> [values.tolist() for values in found.curve()]
    [[0, 1], [1.0, 0.0]]
    """

    labels: list
    alive: dict

    def __post_init__(self):
        made = {path: np.array(counts, float) for path, counts in self.alive.items()}
        object.__setattr__(self, "alive", made)

    @property
    def paths(self):
        """Paths of the weights, in the order of the model."""
        return list(self.alive)

    def counts(self, path=None):
        """Returns `alive` of one weight, or of all together, (T, T).

        Args:
            path: of a weight. Defaults to `None`: all together.

        Raises:
            ValueError: there is none of that path.
        """
        chosen = results.chosen(self.paths, path)
        return np.sum([self.alive[one] for one in chosen], axis=0)

    def at_risk(self, path=None):
        """Returns how many connections each age of `curve` rests on, at [m].

        Those that have grown, were alive at age m - 1, and whose age m was seen.
        """
        return self._curve(path)[2]

    def curve(self, path=None):
        """Returns (ages, survival) of the connections that have grown.

        Ages in moments, as far as some connection was seen to reach; survival, the
        share that lives at least that long, estimated also from those that have not
        died yet. Without those of the first moment. Both are empty if none has grown.

        Args:
            path: of a weight. Defaults to `None`: all together.

        Raises:
            ValueError: there is none of that path.
        """
        return self._curve(path)[:2]

    def of_first(self, path=None):
        """Returns (ages, share) of the connections of the first moment, still alive."""
        first = self.counts(path)[0]
        return np.arange(len(first)), first / max(first[0], 1)

    def _curve(self, path):
        grown = self.counts(path)[1:]
        lived = np.nansum(grown, axis=0)
        # Of those whose next age lies after the last moment nothing more is known.
        before = np.where(np.isnan(grown[:, 1:]), 0, grown[:, :-1]).sum(axis=0)
        risk = np.concatenate([lived[:1], before])
        ages = np.arange(np.count_nonzero(np.cumprod(risk > 0)))
        stay = lived[ages] / risk[ages]
        return ages, np.cumprod(stay), risk[ages].astype("int64")

    def to_dict(self):
        """Returns counts and the curve of all together, as plain lists."""
        ages, survival = self.curve()
        return {
            "labels": list(self.labels),
            "alive": {
                path: [
                    [None if np.isnan(one) else int(one) for one in row]
                    for row in counts
                ]
                for path, counts in self.alive.items()
            },
            "ages": ages.tolist(),
            "survival": survival.tolist(),
            "at_risk": self.at_risk().tolist(),
        }

    def plot(self, ax=None):
        """Draws the curves of the weights, all together in black.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from matplotlib import colormaps

        ax = results.axes(ax, needed_by="`Survival.plot`")
        colors = colormaps["viridis"](np.linspace(0, 0.9, len(self.paths)))
        for path, color in zip(self.paths, colors, strict=True):
            ax.step(*self.curve(path), where="post", color=color, label=path)
        ax.step(
            *self.curve(),
            where="post",
            color="black",
            linewidth=2,
            label="all together",
        )
        ax.step(
            *self.of_first(),
            where="post",
            color="grey",
            linestyle=":",
            label="active at the first moment",
        )
        ax.set_ylim(-0.02, 1.02)
        ax.set_xlabel("moments since a connection grew")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_ylabel("share alive")
        ax.legend(fontsize=7)
        return ax.figure


def survival(moments):
    """Counts how long connections live in dynamic sparse training.

    Memory: an eighth of a byte for each connection and moment.

    Args:
        moments: list of two or more, in the order of time and at equal distances, for
            ages are counted in moments: models, paths of `.keras` files, what
            `snapshots.read` returns, or dicts {path of a weight: bool array}; a
            generator is taken one by one. A connection that goes and comes again
            between two counts as never gone; one that is gone at a moment and comes
            again counts as another.

    Returns:
        A `Survival`.

    Raises:
        TypeError, ValueError: fewer than two, one is of another type, or their weights
            differ in path or shape.

    >>> import numpy as np
    >>> from keras_dsd import analysis
    >>> masks = [[True, False, False], [False, True, True], [False, True, False]]
    >>> found = analysis.survival([{"kernel": np.array(mask)} for mask in masks])
    >>> found.counts()[1].tolist(), found.curve()[1].tolist()
    ([2.0, 1.0, nan], [1.0, 0.5])
    """
    read = moments_.read(moments, "moments", at_least=2)
    total = len(read)
    alive = {path: np.full((total, total), np.nan) for path in read[0].shapes}
    for path, counts in alive.items():
        for grown in range(total):
            lives = read[grown].bits[path]
            if grown:
                lives = lives & ~read[grown - 1].bits[path]
            for now in range(grown, total):
                lives = lives & read[now].bits[path]
                counts[grown, now - grown] = moments_.count(lives)
    return Survival([one.label for one in read], alive)
