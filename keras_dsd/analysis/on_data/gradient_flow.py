"""`gradient_flow(model, data)`: how much gradient active connections get, by layer.

Leaves the model as it was. Knows models and data; knows no phase.
"""

import dataclasses

import numpy as np
from keras import ops

from keras_dsd.analysis._shared import evaluation, results
from keras_dsd.analysis.on_data.loss_derivatives import LossDerivatives
from keras_dsd.layers import conversion


@dataclasses.dataclass(frozen=True)
class FlowRow:
    """One pruned weight.

    Args:
        path: the weight's path.
        size: how many connections it has.
        active: how many of them a mask lets train; all of them without one in force.
        active_norm: norm of the gradient on these.
        dense_norm: norm of the gradient on all.
    """

    path: str
    size: int
    active: int
    active_norm: float
    dense_norm: float

    @property
    def share(self):
        """Of the dense gradient's norm, 0 to 1; NaN where that is zero."""
        return self.active_norm / self.dense_norm if self.dense_norm else float("nan")


@dataclasses.dataclass(frozen=True)
class GradientFlow(results.Record):
    """What `gradient_flow` found; prints as a table.

    Args:
        rows: list of `FlowRow`, in the order of the model's layers.
        items: how many items of data the loss is the mean of.
    """

    rows: list
    items: int

    @property
    def total(self):
        """A `FlowRow` of all weights together, with the path "all together"."""
        return FlowRow(
            "all together",
            sum(row.size for row in self.rows),
            sum(row.active for row in self.rows),
            float(np.linalg.norm([row.active_norm for row in self.rows])),
            float(np.linalg.norm([row.dense_norm for row in self.rows])),
        )

    def __str__(self):
        """Returns the norms as a table."""
        head = ["weight", "size", "active", "active norm", "dense norm", "share"]
        rows = [
            [*dataclasses.astuple(row), row.share] for row in (*self.rows, self.total)
        ]
        return results.table(head, rows)

    def plot(self, ax=None):
        """Draws both norms as bars.

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
                "active": [row.active_norm for row in self.rows],
                "dense": [row.dense_norm for row in self.rows],
            },
            "norm of the gradient",
            needed_by="`GradientFlow.plot`",
        )


def gradient_flow(model, data, *, steps=None, batch_size=None):
    """Returns the norm of the gradient on active connections and on all, by layer.

    Of the gradient of the mean loss over the data, not the mean of batches' gradients'
    norms: what a step over all data would follow. [Evci et al.
    2022](https://arxiv.org/abs/2010.03533) explain by it why sparse networks train
    worse than dense ones, and what moving connections (RigL) changes. It is that of
    this moment, small also where training is done.

    The loss is as `model.evaluate` computes it: dropout off, moving statistics in batch
    normalization. Afterwards the model is as it was; takes memory of two gradients.

    Args:
        model: a compiled, built `keras.Model` with `Prunable` layers.
        data: (x, y) or (x, y, sample weights) of arrays, a `tf.data.Dataset` or a
            `keras.utils.PyDataset`.
        steps: how many batches of it, the first. Defaults to `None`: all.
        batch_size: items in a batch of arrays. Defaults to `None`: 32.

    Returns:
        A `GradientFlow`.

    Raises:
        TypeError, ValueError: before anything is computed an argument is not as said,
            no layer is prunable, or the data do not fit.

    >>> import keras, keras_dsd, numpy as np
    >>> from keras_dsd import analysis
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = keras_dsd.make_prunable(model)
    >>> model.compile(loss="mse")
    >>> flow = analysis.gradient_flow(model, (np.ones((16, 8)), np.ones((16, 4))))
    >>> flow.rows[0].active, flow.rows[0].share  # no mask is in force
    (32, 1.0)
    """
    evaluation.check_model(model)
    evaluation.check_reading(batch_size, steps, 0)
    evaluation.arguments(data, batch_size)
    pruned = [
        (weight, state.in_force)
        for state in conversion.built_states(model)
        for weight in state.pruned
    ]
    with evaluation.unchanged(model):
        evaluation.check_data(model, data, batch_size)
        derivatives = LossDerivatives(model, [weight.variable for weight, _ in pruned])
        batches = evaluation.batches(data, batch_size, steps)
        gradients, items = derivatives.gradient(batches)
    rows = [
        _row(weight, in_force, gradient)
        for (weight, in_force), gradient in zip(pruned, gradients, strict=True)
    ]
    return GradientFlow(rows, items)


def _row(weight, in_force, gradient):
    values = ops.convert_to_numpy(gradient).astype("float64")
    active = values
    if in_force:
        active = values[ops.convert_to_numpy(weight.mask).astype(bool)]
    return FlowRow(
        weight.path,
        weight.size,
        active.size,
        float(np.linalg.norm(active.ravel())),
        float(np.linalg.norm(values.ravel())),
    )
