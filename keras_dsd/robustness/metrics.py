"""What is given as `metric`: its name, its direction, a new Keras metric of it.

A metric that the same predictions, cut into other batches, would give another value is
refused. Knows Keras's metrics; no model and no image.
"""

import re

import keras
import numpy as np

from keras_dsd._shared import directions, keras_private

_BY_LABELS = ("accuracy", "acc")


class Given:
    """A metric as the user gave it.

    Args:
        metric: `"accuracy"`, which is chosen by the labels' shape as `compile` does;
            the name of another metric of Keras, a `keras.metrics.Metric`, a
            `keras.losses.Loss`, or a function of `(y_true, y_pred)` that returns a
            value for each sample.

    Raises:
        TypeError, ValueError: it is something else, or can't be made anew.
    """

    def __init__(self, metric):
        self.name = "accuracy" if metric == "acc" else _name(metric)
        self._given, self._grows = metric, None
        self._per_sample = True
        if isinstance(metric, str):
            if metric in _BY_LABELS:
                self._make, self._grows = _accuracy, True
                return
            metric = _by_name(metric)
        if isinstance(metric, type):
            raise TypeError(
                "`metric` must be an object, not a class: "
                f"`{metric.__name__}(...)`. Received: metric={metric!r}"
            )
        if isinstance(metric, keras.metrics.Metric):
            self._make = _maker(metric)
            self._grows = keras_private.grows(metric)
            if self._grows is None:
                self._grows = directions.by_name(_snake(type(metric)))
            # Those of Keras itself sum over samples; this one what its function gives.
            self._per_sample = (
                type(metric).__module__.startswith("keras.")
                and type(metric) is not keras.metrics.MeanMetricWrapper
            )
        elif callable(metric):
            is_loss = isinstance(metric, keras.losses.Loss)
            mean = keras.metrics.MeanMetricWrapper(metric)
            self._grows = False if is_loss else keras_private.grows(mean)
            function = _of_each(_unreduced(metric) if is_loss else metric, self.name)
            self._make = lambda labels, outputs: keras.metrics.MeanMetricWrapper(
                function, name=self.name
            )
        else:
            raise TypeError(
                "`metric` must be the name of a metric of Keras, a "
                "`keras.metrics.Metric`, or a function of (y_true, y_pred). "
                f"Received: metric={metric!r}"
            )

    def grows(self, mode):
        """Returns whether more of it is better: as `mode` says, its class or name."""
        return directions.grows(self.name, mode, self._grows)

    def new(self, labels, outputs):
        """Returns a new Keras metric for labels and predictions like these."""
        return self._make(labels, outputs)

    def check_batches(self, labels, outputs, weights):
        """Raises a ValueError if the batch in two parts gives another value.

        Args:
            labels, outputs: arrays of a batch.
            weights: array of sample weights, or `None`.
        """
        if self._per_sample or len(labels) < 3:
            return
        found = []
        for cuts in ([], [1]):
            metric = self.new(labels, outputs)
            arrays = (labels, outputs, weights)
            parts = (
                [None] * (len(cuts) + 1) if array is None else np.split(array, cuts)
                for array in arrays
            )
            for y_true, y_pred, sample_weight in zip(*parts, strict=True):
                metric.update_state(y_true, y_pred, sample_weight=sample_weight)
            found.append(number(metric, self.name))
        whole, cut = found
        if not np.isclose(whole, cut, rtol=1e-3, atol=1e-6, equal_nan=True):
            raise ValueError(
                "The metric must not depend on how samples are cut into batches; let "
                "its function return a value for each sample. "
                f"Received: metric={self.name!r}, {whole:.6g} from one batch, "
                f"{cut:.6g} from the same samples in two"
            )


def number(metric, name):
    """Returns the result of a Keras metric, which must be one number, as a float."""
    value = metric.result()
    if not isinstance(value, dict):
        value = np.asarray(keras.ops.convert_to_numpy(value))
        if value.size == 1:
            return float(value.reshape(()))
    shown = f"keys {sorted(value)}" if isinstance(value, dict) else value.shape
    raise ValueError(
        "A metric must have one number as its result, so that it can be compared; say "
        f"`average='macro'`. Received: metric={name!r} with a result of {shown}"
    )


def _name(metric):
    if isinstance(metric, str):
        return metric
    names = (getattr(metric, name, None) for name in ("name", "__name__"))
    name = next((str(name) for name in names if name), type(metric).__name__)
    # A user's own class gets a counter too, behind its name in snake case.
    snake = _snake(type(metric))
    return snake if re.fullmatch(rf"{snake}_\d+", name) else directions.plain(name)


def _snake(cls):
    edges = r"(?<=[a-z0-9])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])"
    return re.sub(edges, "_", cls.__name__).lower()


def _by_name(name):
    try:
        return keras.metrics.get(name)
    except ValueError as error:
        raise ValueError(
            f"Keras knows no such metric. Received: metric={name!r}"
        ) from error
    except TypeError as error:
        raise ValueError(
            "This metric needs arguments: give an object, "
            f"`keras.metrics...(...)`. Received: metric={name!r} ({error})"
        ) from error


def _maker(metric):
    """Returns a function of (labels, outputs) that makes a metric like this anew."""

    def make(labels=None, outputs=None):
        return type(metric).from_config(metric.get_config())

    try:
        make()
    except Exception as error:  # whatever a config that is not whole leads to
        raise ValueError(
            "The metric can't be made anew from its config, which is done for each "
            "condition: give its class a `get_config`, or give a function itself. "
            f"Received: metric={metric!r} ({error})"
        ) from error
    return make


def _unreduced(loss):
    """Returns a function that gives the loss of each sample."""
    if loss.reduction == "sum":
        raise ValueError(
            "A sum over a batch depends on the number of samples in it: give a loss "
            f"that is a mean. Received: metric={loss.name!r} with reduction='sum'"
        )

    def of_each(y_true, y_pred):
        y_true, y_pred = (
            keras.ops.convert_to_tensor(y, loss.dtype) for y in (y_true, y_pred)
        )
        return loss.call(y_true, y_pred)

    return of_each


def _of_each(function, name):
    """Returns a function whose values are one for each sample, or none at all."""

    def values(y_true, y_pred):
        found = function(y_true, y_pred)
        shape = tuple(found.shape if hasattr(found, "shape") else np.shape(found))
        if not shape or shape[0] != len(y_pred):
            raise ValueError(
                "A function that is a metric must return a value for each sample: the "
                "mean over a batch would depend on its size. Received: "
                f"metric={name!r}, {len(y_pred)} samples, a result of shape {shape}"
            )
        return found

    return values


def _accuracy(labels, outputs):
    """Returns the accuracy that `compile(metrics=["accuracy"])` would mean."""
    classes = outputs.shape[-1] if outputs.ndim > 1 else 1
    if classes == 1:
        fits = labels.size == outputs.size
        metric = keras.metrics.BinaryAccuracy()
    elif labels.shape == outputs.shape:
        fits = True
        metric = keras.metrics.CategoricalAccuracy()
    else:
        fits = labels.shape in (outputs.shape[:-1], (*outputs.shape[:-1], 1))
        metric = keras.metrics.SparseCategoricalAccuracy()
        if fits and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(
                f"The model tells {classes} classes apart. Received: labels from "
                f"{labels.min()} to {labels.max()}"
            )
    if not fits:
        raise ValueError(
            "The accuracy does not fit the model's output. Received: labels of shape "
            f"{labels.shape}, an output of shape {outputs.shape}"
        )
    return metric
