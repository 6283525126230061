"""`Sharpness`: the largest eigenvalue of a Hessian, and whether it was found.

Knows numbers only.
"""

import dataclasses

from keras_dsd.analysis._shared import results


@dataclasses.dataclass(frozen=True)
class Sharpness(results.Record):
    """The largest eigenvalue of the Hessian of a loss, as power iteration found it.

    Prints as a few lines.

    Args:
        eigenvalue: the largest.
        dominant: that of largest magnitude; the same, unless it is negative: then the
            model is at no minimum.
        converged: whether the residuals of both came below what was asked for. If not,
            `eigenvalue` is a lower bound.
        residual: `||Hv - eigenvalue v||`; some eigenvalue is that near, up to rounding.
        history: list of floats, what it was taken for at each iteration.
        weights: how many weights the Hessian is over.
        items: how many items of data the loss is the mean of.
        vector_bytes: memory that the iteration took for vectors.

    >>> from keras_dsd import analysis
    >>> analysis.Sharpness(2.0, 2.0, True, 0.01, [1.5, 2.0], 8, 64, 128).iterations
    2
    """

    eigenvalue: float
    dominant: float
    converged: bool
    residual: float
    history: list
    weights: int
    items: int
    vector_bytes: int

    @property
    def iterations(self):
        """How many there were, of the one that found the eigenvalue."""
        return len(self.history)

    def __str__(self):
        """Returns it in words."""
        negative = (
            f"The eigenvalue of largest magnitude is {self.dominant:.4g}.\n"
            if self.dominant < 0
            else ""
        )
        return (
            f"Largest eigenvalue of the Hessian: {self.eigenvalue:.4g}, "
            + ("converged" if self.converged else "NOT converged")
            + f" after {self.iterations:,} iterations (residual {self.residual:.2g}).\n"
            f"{negative}Over {self.weights:,} weights, on {self.items:,} items; "
            f"vectors took {self.vector_bytes:,} bytes."
        )

    def plot(self, ax=None):
        """Draws what the eigenvalue was taken for at each iteration.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        ax = results.axes(ax, needed_by="`Sharpness.plot`")
        ax.plot(range(1, self.iterations + 1), self.history, marker=".", color="black")
        ax.set_xlabel("iteration")
        ax.set_ylabel("eigenvalue")
        ax.set_title("converged" if self.converged else "not converged", fontsize=9)
        return ax.figure
