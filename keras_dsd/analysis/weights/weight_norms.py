"""`weight_norms(model)`: how large the weights of each layer are.

Reads a model, changes nothing; holds one weight at a time in memory.
"""

import dataclasses

import numpy as np
from keras import ops

from keras_dsd.analysis._shared import evaluation, results


@dataclasses.dataclass(frozen=True)
class NormRow:
    """One trainable weight.

    Args:
        path: the weight's path.
        size: how many values it has.
        nonzero: how many of them are not zero.
        norm: square root of the sum of their squares.
        rms: square root of the mean square of those that are not zero, 0.0 if all are.
        largest: largest magnitude.
    """

    path: str
    size: int
    nonzero: int
    norm: float
    rms: float
    largest: float


@dataclasses.dataclass(frozen=True)
class WeightNorms(results.Record):
    """What `weight_norms` found; prints as a table.

    Args:
        rows: list of `NormRow`, in the order of the model's weights.
        total: norm of all of them together.
    """

    rows: list
    total: float

    def __str__(self):
        """Returns the norms as a table."""
        head = ["weight", "size", "nonzero", "norm", "rms", "largest"]
        rows = [dataclasses.astuple(row) for row in self.rows]
        return results.table(head, rows) + f"\n\nAll together: {self.total:.4g}."

    def plot(self, ax=None):
        """Draws the norms as bars.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        return results.bars(
            ax,
            [row.path for row in self.rows],
            {"norm": [row.norm for row in self.rows]},
            "norm",
            needed_by="`WeightNorms.plot`",
        )


def weight_norms(model):
    """Returns the norms of a model's trainable weights, one by one and together.

    Before a layer of normalization the norm of a weight changes nothing of what the
    model computes, only how fast it learns: compare models that were trained alike.

    Args:
        model: a built `keras.Model`, prunable or not.

    Returns:
        A `WeightNorms`.

    Raises:
        TypeError, ValueError: it is no model, not built, or has nothing to train.

    >>> import keras, numpy as np
    >>> from keras_dsd import analysis
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.diag([3.0, 4.0]), np.zeros(2)])
    >>> norms = analysis.weight_norms(model)
    >>> norms.rows[0].nonzero, norms.total
    (2, 5.0)
    """
    weights = evaluation.trained(evaluation.check_model(model, compiled=False))
    rows = [_row(weight) for weight in weights]
    return WeightNorms(rows, float(np.linalg.norm([row.norm for row in rows])))


def _row(weight):
    values = ops.convert_to_numpy(weight).astype("float64")
    nonzero, norm = int(np.count_nonzero(values)), float(np.linalg.norm(values.ravel()))
    return NormRow(
        weight.path,
        values.size,
        nonzero,
        norm,
        norm / max(nonzero, 1) ** 0.5,
        float(np.abs(values).max(initial=0.0)),
    )
