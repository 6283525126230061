"""`loss_line(model, start, end, data)`: loss on the line between two sets of weights.

Leaves the model as it was. Knows models and data; knows no phase.
"""

import keras
import numpy as np

from keras_dsd._shared import checks, directions
from keras_dsd.analysis._shared import evaluation
from keras_dsd.analysis.on_data import batch_statistics, weight_lists
from keras_dsd.analysis.on_data.loss_line_result import BATCH_NORM, LossLine
from keras_dsd.sparsity import trials

POINTS = 11


# Each an option that a user names.
def loss_line(  # noqa: PLR0913
    model,
    start,
    end,
    data,
    *,
    points=POINTS,
    batch_norm="interpolate",
    metric=None,
    mode="auto",
    batch_size=None,
    verbose=1,
):
    """Evaluates a model at points of the straight line between two sets of weights.

    Say between those of the sparse phase and those after `Redense`, or those of two
    seeds. Without a barrier between them they lie in one basin, "linear mode
    connectivity" ([Frankle et al. 2020](https://arxiv.org/abs/1912.05671)). A barrier
    between two seeds says less: units of a layer may be exchanged without changing
    what a model computes, and here they are not matched
    ([Entezari et al. 2022](https://arxiv.org/abs/2110.06296)).

    All weights are interpolated, also biases, scales and moving statistics; masks are
    not looked at. Afterwards the model is as it was, to the bit; also after an error or
    Ctrl-C. Takes `points` evaluations, and memory of four copies of the weights.

    Args:
        model: a compiled, built `keras.Model`, prunable or not, that is evaluated. Its
            own weights matter only where it is also `start` or `end`.
        start: the weights at fraction 0: a model, the path of a `.keras` file, or a
            list of arrays as `model.get_weights()` returns it. Of the same architecture
            as `model`, whose weights are taken in their order.
        end: the weights at fraction 1, as `start`.
        data: (x, y) or (x, y, sample weights) of arrays, a `tf.data.Dataset` or a
            `keras.utils.PyDataset`.
        points: how many, ends included, evenly spaced; 2 or more. Defaults to 11.
        batch_norm: what the moving statistics of `BatchNormalization` are between the
            ends. "interpolate": interpolated as all else, which is not what these
            activations have, and may itself make a barrier. "reestimate": at every
            point, also the ends, the mean of the batches' statistics in a pass over
            `data`, dropout active as in training
            ([Jordan et al. 2023](https://arxiv.org/abs/2211.08403)). Defaults to
            "interpolate".
        metric: name of one of the model's metrics. Defaults to `None`: the first, by
            name, that is no loss, else the loss.
        mode: "max" if more of it is better, "min" if less is, "auto": by its name.
            Defaults to "auto".
        batch_size: as for `model.evaluate`.
        verbose: 0 for silence, 1 for a progress bar. Defaults to 1.

    Returns:
        A `LossLine`.

    Raises:
        TypeError, ValueError: before anything is evaluated an argument is not as said,
            the weights are not of one architecture or the data do not fit; after the
            first evaluation there is no such metric.

    >>> import keras, numpy as np
    >>> from keras_dsd import analysis
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model.compile(loss="mse")
    >>> zeros = [np.zeros((8, 4)), np.zeros(4)]
    >>> data = np.ones((16, 8)), np.ones((16, 4))
    >>> line = analysis.loss_line(model, zeros, model, data, points=3, verbose=0)
    >>> line.fractions, line.losses[0], line.barrier
    ([0.0, 0.5, 1.0], 1.0, 0.0)
    """
    evaluation.check_model(model)
    points = checks.integer(points, "points", at_least=2)
    checks.one_of(batch_norm, "batch_norm", BATCH_NORM)
    directions.check(mode)
    evaluation.check_reading(batch_size, None, verbose)
    given = evaluation.arguments(data, batch_size)
    first = weight_lists.read(start, model, "start")
    last = weight_lists.read(end, model, "end")
    weights = weight_lists.variables(model)
    weight_lists.check_between(weights, first, last)
    fractions = np.linspace(0, 1, points).tolist()
    bar = keras.utils.Progbar(points, unit_name="point", verbose=verbose)
    found: list = []
    with evaluation.unchanged(model):
        evaluation.check_data(model, data, batch_size)
        for fraction in fractions:
            values = weight_lists.between(first, last, fraction)
            for weight, value in zip(weights, values, strict=True):
                weight.assign(value)
            if batch_norm == "reestimate":
                batch_statistics.reestimate(model, data, batch_size)
            logs = model.evaluate(**given, verbose=0, return_dict=True)
            name, grows = trials.choose_metric(logs, metric, mode)
            found.append((float(logs["loss"]), float(logs[name])))
            bar.update(len(found))
    losses, values = map(list, zip(*found, strict=True))
    return LossLine(name, grows, fractions, losses, values, batch_norm)
