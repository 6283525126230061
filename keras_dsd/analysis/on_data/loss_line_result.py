"""`LossLine`: loss and metric along a line, as arrays, table, plot.

Knows numbers only.
"""

import dataclasses

import numpy as np

from keras_dsd.analysis._shared import results

BATCH_NORM = ("interpolate", "reestimate")


@dataclasses.dataclass(frozen=True)
class LossLine(results.Record):
    """Loss and a metric along the straight line between two sets of weights.

    Prints as a table.

    Args:
        metric: its name.
        grows: whether more of it is better.
        fractions: list of floats from 0, the start, to 1, the end.
        losses: list of floats, the loss at each.
        values: list of floats, the metric at each.
        batch_norm: how moving statistics came to be: "interpolate" or "reestimate".

    >>> from keras_dsd import analysis
    >>> losses, accuracies = [1.0, 4.0, 2.0], [0.5, 0.2, 0.5]
    >>> line = analysis.LossLine(
    ...     "accuracy", True, [0, 0.5, 1], losses, accuracies, "interpolate"
    ... )
    >>> line.barrier, round(line.metric_barrier, 3)
    (2.5, 0.3)
    """

    metric: str
    grows: bool
    fractions: list
    losses: list
    values: list
    batch_norm: str

    @property
    def barrier(self):
        """How far the loss rises above the straight line between its ends.

        The largest such rise at a point that was evaluated, 0 or more: it may be higher
        between points. Where both ends have the same loss, it is the "error barrier" of
        [Frankle et al. 2020](https://arxiv.org/abs/1912.05671).
        """
        return self._rise(self.losses)

    @property
    def metric_barrier(self):
        """The same of the metric: how much worse than the straight line it becomes."""
        sign = -1 if self.grows else 1
        return self._rise([sign * value for value in self.values])

    def _rise(self, values):
        line = np.interp(self.fractions, (0, 1), (values[0], values[-1]))
        # The ends are on the line, whatever rounding says.
        return float(np.max([0.0, *(values - line)[1:-1]]))

    def __str__(self):
        """Returns the line as a table."""
        columns = {"fraction": self.fractions, "loss": self.losses}
        barriers = {"the loss": self.barrier}
        if self.metric != "loss":
            columns[self.metric] = self.values
            barriers[self.metric] = self.metric_barrier
        told = ", ".join(f"{value:.4g} of {name}" for name, value in barriers.items())
        return (
            results.table(list(columns), zip(*columns.values(), strict=True))
            + f"\n\nBarrier: {told}. Moving statistics, where there are any: "
            + ("interpolated." if self.batch_norm == "interpolate" else "re-estimated.")
        )

    def plot(self, ax=None):
        """Draws the loss and, on an axis to the right, the metric.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        ax = results.axes(ax, needed_by="`LossLine.plot`")
        ax.plot(self.fractions, self.losses, marker=".", color="black", label="loss")
        ax.plot((0, 1), (self.losses[0], self.losses[-1]), color="grey", linestyle=":")
        ax.set_xlabel("fraction of the way from start to end")
        ax.set_ylabel("loss")
        if self.metric != "loss":
            other = ax.twinx()
            other.plot(self.fractions, self.values, marker=".", color="tab:blue")
            other.set_ylabel(self.metric, color="tab:blue")
        ax.set_title(f"barrier {self.barrier:.3g}", fontsize=9)
        return ax.figure
