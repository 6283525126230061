"""`dead_neurons(model, data)`: units that say nothing, or that nobody hears.

Reads a model, changes nothing. Knows models and data; knows no phase.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_dsd._shared import keras_private
from keras_dsd.analysis import sparsity
from keras_dsd.analysis._shared import evaluation, results

_ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Softmax,
)


@dataclasses.dataclass(frozen=True)
class QuietUnits:
    """Units of one layer that do not change with the data.

    Args:
        layer: its name.
        units: how many there are: channels of a convolution, else the last axis.
        zero: list of the indices of those whose activation is always exactly 0.
        constant: list of the indices of those whose activation is always the same, and
            not 0.
    """

    layer: str
    units: int
    zero: list
    constant: list


@dataclasses.dataclass(frozen=True)
class UnconnectedUnits:
    """Units that a weight leaves no connection: all that it has of them is zero.

    Args:
        path: the weight's path.
        no_incoming: list of the indices of its outputs without one.
        no_outgoing: list of the indices of its inputs without one.
    """

    path: str
    no_incoming: list
    no_outgoing: list


@dataclasses.dataclass(frozen=True)
class DeadNeurons(results.Record):
    """What `dead_neurons` found; prints as two tables.

    Args:
        layers: list of `QuietUnits`.
        weights: list of `UnconnectedUnits`.
        items: how many items of data there were.
        skipped: {name of a layer: why its activations were not looked at}.
    """

    layers: list
    weights: list
    items: int
    skipped: dict

    def __str__(self):
        """Returns the counts as two tables."""
        quiet = [
            [row.layer, row.units, len(row.zero), len(row.constant)]
            for row in self.layers
        ]
        unconnected = [
            [row.path, len(row.no_incoming), len(row.no_outgoing)]
            for row in self.weights
        ]
        return "\n".join(
            [
                results.table(["layer", "units", "zero", "constant"], quiet),
                "",
                results.table(["weight", "no incoming", "no outgoing"], unconnected),
                "",
                f"On {self.items:,} items.",
                *(
                    f"Not looked at: {name}, {why}."
                    for name, why in self.skipped.items()
                ),
            ]
        )

    def plot(self, ax=None):
        """Draws the shares of zero and of constant units as bars, by layer.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        return results.bars(
            ax,
            [row.layer for row in self.layers],
            {
                "zero": [len(row.zero) / row.units for row in self.layers],
                "constant": [len(row.constant) / row.units for row in self.layers],
            },
            "share of the units",
            needed_by="`DeadNeurons.plot`",
        )


def dead_neurons(model, data, *, batch_size=None):
    """Finds units whose activation no item of the data changes, or without connections.

    An activation is what a layer with weights, or a layer that is an activation, puts
    out when the model predicts; in all its calls, if there are several. So a `ReLU` of
    its own, or after batch normalization, has the dead units of what is before it. A
    unit that is quiet on these data need not be on others: give many.

    Connections are counted along the last two axes of a weight, (..., inputs, outputs),
    as in `sparsity_report`; here all zeros count, whoever made them. A unit without an
    incoming one still has its bias.

    Args:
        model: a built Functional or Sequential `keras.Model`, prunable or not. Looked
            at are its own layers; those within a nested model are not reached, and
            `skipped` says so.
        data: (x, y) or (x, y, sample weights) of arrays, of which x is read, a
            `tf.data.Dataset` or a `keras.utils.PyDataset`.
        batch_size: items in a batch of arrays. Defaults to `None`: 32. The activations
            of one batch, of all layers, are in memory at a time.

    Returns:
        A `DeadNeurons`.

    Raises:
        TypeError, ValueError: an argument is not as said, the model holds nothing to
            prune, or the data do not fit.

    >>> import keras, numpy as np
    >>> from keras_dsd import analysis
    >>> relu = keras.layers.Dense(2, activation="relu")
    >>> model = keras.Sequential([keras.Input((1,)), relu])
    >>> model.set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    >>> data = np.array([[1.0], [2.0]]), np.zeros((2, 2))
    >>> analysis.dead_neurons(model, data).layers[0].zero
    [1]
    """
    evaluation.check_model(model, compiled=False)
    evaluation.check_reading(batch_size, None, 0)
    evaluation.arguments(data, batch_size)
    weights = [_unconnected(one) for one in evaluation.prunable_variables(model)]
    outputs, skipped = _choose(model)
    ranges, items = _ranges(model, outputs, data, batch_size)
    quiet = [
        _quiet(layer, *range_)
        for (layer, _), range_ in zip(outputs, ranges, strict=True)
    ]
    return DeadNeurons(quiet, weights, items, skipped)


def _choose(model):
    """Returns ([(layer, its symbolic outputs)], {name of another layer: why not})."""
    outputs = keras_private.symbolic_outputs(model)
    if not outputs:
        raise ValueError(
            "Activations are known of Functional and Sequential models alone. "
            f"Received: model={model!r}"
        )
    found, skipped = [], {}
    for layer in model.layers:
        if not (layer.weights or isinstance(layer, _ACTIVATIONS)):
            continue
        if isinstance(layer, keras.Model):
            skipped[layer.name] = "a model: look at it by itself"
        elif why := _why_not(layer, outputs[id(layer)]):
            skipped[layer.name] = why
        else:
            found.append((layer, outputs[id(layer)]))
    if not found:
        raise ValueError(
            f"No layer has activations to look at ({skipped}). Received: "
            f"model={model!r}"
        )
    return found, skipped


def _why_not(layer, outputs):
    """Returns why there is no one axis of units, or `None`."""
    if any("float" not in one.dtype for one in outputs):
        return "its output is not floating-point"
    if any(len(one.shape) < 2 for one in outputs):
        return "its output has no axis of units"
    if len({one.shape[_unit_axis(layer, len(one.shape))] for one in outputs}) > 1:
        return "its outputs are of several sizes"
    return None


def _ranges(model, outputs, data, batch_size):
    """Returns ([(least, largest activation of each unit) of each layer], items)."""
    tensors = [one for _, several in outputs for one in several]
    watched = keras.Model(model.inputs, tensors, name="watched")
    ranges: list = []
    items = 0
    for batch in evaluation.batches(data, batch_size):
        try:
            found = keras.tree.flatten(watched.predict_on_batch(batch[0]))
        except Exception as error:  # each backend has its own
            shapes = keras.tree.map_structure(lambda one: tuple(one.shape), batch[0])
            raise ValueError(
                f"The data do not fit the model ({error}). Received: a batch of x of "
                f"shape {shapes}"
            ) from error
        each = iter(found)
        new = [
            _range(layer, [np.asarray(next(each)) for _ in several])
            for layer, several in outputs
        ]
        old = ranges or new
        ranges = [
            (np.minimum(low, least), np.maximum(high, most))
            for (low, high), (least, most) in zip(old, new, strict=True)
        ]
        items += evaluation.items(batch)
    if not items:
        raise ValueError("`data` must not be empty. Received: data without items")
    return ranges, items


def _range(layer, arrays):
    """Returns the least and the largest value of each unit over all of a layer's."""
    rows = []
    for values in arrays:
        units = np.moveaxis(values, _unit_axis(layer, values.ndim), -1)
        rows.append(units.reshape(-1, units.shape[-1]))
    units = np.concatenate(rows)
    return units.min(axis=0), units.max(axis=0)


def _unit_axis(layer, rank):
    channels = getattr(layer, "data_format", None)
    if channels is None and rank in (4, 5):
        channels = keras.config.image_data_format()
    return 1 if channels == "channels_first" and rank > 2 else -1


def _quiet(layer, least, most):
    same = least == most
    return QuietUnits(
        layer.name,
        len(least),
        np.flatnonzero(same & (least == 0)).tolist(),
        np.flatnonzero(same & (least != 0)).tolist(),
    )


def _unconnected(weight):
    no_incoming, no_outgoing = sparsity.unconnected(ops.convert_to_numpy(weight) != 0)
    return UnconnectedUnits(
        weight.path,
        np.flatnonzero(no_incoming).tolist(),
        np.flatnonzero(no_outgoing).tolist(),
    )
