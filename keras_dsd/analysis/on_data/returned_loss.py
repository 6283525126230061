"""`returned_loss(run, model, data)`: what the weights that came back do to the loss.

The model without them, against the model as it is. Leaves it as it was. Knows models
and data; knows no phase.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_dsd.analysis._shared import evaluation, results, same_model
from keras_dsd.analysis.masks import moments as moments_
from keras_dsd.analysis.weights import pruned_masks


@dataclasses.dataclass(frozen=True)
class ReturnedLoss(results.Record):
    """The loss without the weights that came back. Prints as a table.

    Args:
        as_is: {name: value}, the loss and the metrics of the model as it is.
        without: the same, with all weights at zero that had been pruned.
        by_weight: {path of a weight: the same, with those of it at zero alone}.
        came_back: {path: how many of them are not zero}.

    >>> from keras_dsd import analysis
    >>> found = analysis.ReturnedLoss({"loss": 0.5}, {"loss": 0.75}, {}, {})
    >>> found.gain()
    0.25
    """

    as_is: dict
    without: dict
    by_weight: dict
    came_back: dict

    def gain(self, path=None, metric="loss"):
        """Returns by how much a metric is higher without what came back.

        Of the loss, above 0: what came back is worth that much, on these data, to the
        weights around it, which have been trained together with it.

        Args:
            path: of a weight. Defaults to `None`: without all of them.
            metric: its name. Defaults to "loss".

        Raises:
            ValueError: there is no such weight, or no such metric.
        """
        if path is not None and path not in self.by_weight:
            raise ValueError(
                f"There is no such weight. Known: {list(self.by_weight)}. "
                f"Received: path={path!r}"
            )
        if metric not in self.as_is:
            raise ValueError(
                f"There is no such metric. Known: {list(self.as_is)}. "
                f"Received: metric={metric!r}"
            )
        without = self.without if path is None else self.by_weight[path]
        return without[metric] - self.as_is[metric]

    def __str__(self):
        names = list(self.as_is)
        rows = [
            ["as it is", "", *self.as_is.values()],
            ["without", sum(self.came_back.values()), *self.without.values()],
        ]
        for path, logs in self.by_weight.items():
            rows.append([path, self.came_back[path], *logs.values()])
        return results.table(["without those of", "came back", *names], rows)

    def plot(self, ax=None):
        """Draws by how much the loss is higher without what came back.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        paths = list(self.by_weight)
        return results.bars(
            ax,
            ["all together", *paths],
            {"loss": [self.gain(), *map(self.gain, paths)]},
            "loss without what came back, less the loss as it is",
            needed_by="`ReturnedLoss.plot`",
        )


def returned_loss(run, model, data, *, batch_size=None, verbose=1):
    """Evaluates a model without the weights that came back, and as it is.

    Nothing is trained, and afterwards the model is as it was, to the bit; also after an
    error or Ctrl-C. Takes an evaluation for each weight and two more, and memory of a
    copy of the model.

    Args:
        run: what had been pruned, as for `returned`: the path of a folder that
            `Snapshots` has written, a model, the path of a `.keras` file, a `Snapshot`
            or a dict {path of a weight: bool array}.
        model: a compiled, built `keras.Model` as the dense phase has left it.
        data: (x, y) or (x, y, sample weights) of arrays, a `tf.data.Dataset` or a
            `keras.utils.PyDataset`.
        batch_size: as for `model.evaluate`.
        verbose: 0 for silence, 1 for a progress bar. Defaults to 1.

    Returns:
        A `ReturnedLoss`.

    Raises:
        TypeError, ValueError: an argument is not as said; nothing had been pruned;
            `run` is of another model; the data do not fit.

    >>> import keras, numpy as np
    >>> from keras_dsd import analysis
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> model.set_weights([np.array([[1.0], [1.0]]), np.zeros(1)])
    >>> masks = {model.weights[0].path: np.array([[True], [False]])}
    >>> data = np.ones((4, 2)), np.full((4, 1), 2.0)
    >>> analysis.returned_loss(masks, model, data, verbose=0).gain()
    1.0
    """
    evaluation.check_model(model)
    evaluation.check_reading(batch_size, None, verbose)
    given = evaluation.arguments(data, batch_size)
    bits, shapes, pruned = pruned_masks.read(run)
    weights = {path: one for path, one, _ in moments_.weights_of(model, "model")}
    found = {path: tuple(one.shape) for path, one in weights.items()}
    same = same_model.paths(shapes, found, "model")
    chosen = {
        same[path]: np.unpackbits(bits[path], count=np.prod(shape, dtype=int))
        for path, shape in shapes.items()
        if pruned[path]
    }
    masks = {
        path: one.astype(bool).reshape(found[path]) for path, one in chosen.items()
    }
    bar = keras.utils.Progbar(len(masks) + 2, unit_name="trial", verbose=verbose)

    with evaluation.unchanged(model) as held:
        evaluation.check_data(model, data, batch_size)

        def logs(paths):
            variables = [weights[path] for path in paths]
            lives = [ops.convert_to_tensor(masks[path]) for path in paths]
            with held.masked(variables, lives):
                logs = model.evaluate(**given, verbose=0, return_dict=True)
            bar.add(1)
            return {name: float(value) for name, value in logs.items()}

        return ReturnedLoss(
            logs([]),
            logs(list(masks)),
            {path: logs([path]) for path in masks},
            {path: _back(held.value(weights[path]), masks[path]) for path in masks},
        )


def _back(value, mask):
    values = ops.convert_to_numpy(value)
    return int(np.count_nonzero(values[~mask]))
