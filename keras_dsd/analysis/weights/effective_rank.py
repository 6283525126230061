"""`effective_rank(model)`: how many directions each layer really uses.

Reads a model, changes nothing; holds one weight at a time in memory.
"""

import dataclasses

import numpy as np
from keras import ops

from keras_dsd.analysis._shared import evaluation, results


@dataclasses.dataclass(frozen=True)
class RankRow:
    """One weight, taken for a matrix (inputs, outputs).

    Args:
        path: the weight's path.
        shape: of the matrix; all axes but the last are inputs.
        effective: exponential of the entropy of the singular values' shares of their
            sum, between 1 and `most`; 0.0 if all weights are zero.
        stable: sum of the squared singular values by the largest one squared, between 1
            and `most`; 0.0 if all weights are zero.
        largest: the largest singular value.
        most: the rank that a matrix of this shape can have.
    """

    path: str
    shape: tuple
    effective: float
    stable: float
    largest: float
    most: int


@dataclasses.dataclass(frozen=True)
class EffectiveRank(results.Record):
    """What `effective_rank` found; prints as a table.

    Args:
        rows: list of `RankRow`, in the order of the model's layers.
    """

    rows: list

    def __str__(self):
        """Returns the ranks as a table."""
        head = ["weight", "shape", "effective", "stable", "largest", "most"]
        rows = [
            [row.path, "x".join(map(str, row.shape)), *dataclasses.astuple(row)[2:]]
            for row in self.rows
        ]
        return results.table(head, rows)

    def plot(self, ax=None):
        """Draws both ranks as bars, each as a share of the rank that there can be.

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
            {
                "effective": [row.effective / row.most for row in self.rows],
                "stable": [row.stable / row.most for row in self.rows],
            },
            "share of the full rank",
            needed_by="`EffectiveRank.plot`",
        )


def effective_rank(model):
    """Returns the effective and the stable rank of a model's weights.

    The effective rank is that of [Roy and Vetterli
    2007](https://ieeexplore.ieee.org/document/7098875), the stable rank that of
    [Rudelson and Vershynin 2007](https://arxiv.org/abs/math/0503442). A convolution's
    kernel is taken for the matrix that a patch of its input is multiplied by. A rank of
    weights says nothing of what data excite. Costs a singular value decomposition of
    each weight.

    Args:
        model: a built `keras.Model`, prunable or not. Looked at are the weights that
            are prunable, else those that `make_prunable` would choose.

    Returns:
        An `EffectiveRank`.

    Raises:
        TypeError, ValueError: it is no model, not built, holds nothing to prune, or a
            weight is not finite.

    >>> import keras, numpy as np
    >>> from keras_dsd import analysis
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    >>> model.set_weights([np.eye(4), np.zeros(4)])
    >>> row = analysis.effective_rank(model).rows[0]
    >>> round(row.effective, 6), row.stable
    (4.0, 4.0)
    """
    evaluation.check_model(model, compiled=False)
    return EffectiveRank([_row(one) for one in evaluation.prunable_variables(model)])


def _row(weight):
    values = ops.convert_to_numpy(weight).astype("float64")
    if not np.isfinite(values).all():
        raise ValueError(
            "Singular values need finite weights. "
            f"Received: {weight.path} with NaN or infinity"
        )
    matrix = values.reshape(-1, values.shape[-1])
    found = np.linalg.svd(matrix, compute_uv=False)
    effective = stable = 0.0
    if found[0] > 0:
        shares = found[found > 0] / found.sum()
        effective = float(np.exp(-(shares * np.log(shares)).sum()))
        stable = float((found**2).sum() / found[0] ** 2)
    return RankRow(
        weight.path, matrix.shape, effective, stable, float(found[0]), len(found)
    )
