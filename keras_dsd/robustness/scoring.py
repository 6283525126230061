"""A model's metric under many conditions at once: clean, each corruption, each radius.

Knows models and metrics; nothing of what the conditions are.
"""

import keras
import numpy as np

from keras_dsd._shared import checks


class Scoring:
    """The metric of a model, kept for each condition while batches stream.

    Args:
        model: a `keras.Model`, or any function of a batch that returns predictions.
        metric: `"accuracy"`, which is chosen by the labels' shape as `compile` does;
            the name of another metric of Keras, a `keras.metrics.Metric`, or a function
            of `(y_true, y_pred)`.
        preprocess: function of a batch, applied before the model, or `None`.
    """

    def __init__(self, model, metric="accuracy", preprocess=None):
        if not callable(model):
            raise TypeError(
                "`model` must be a Keras model or a function of a batch. "
                f"Received: model={model!r}"
            )
        self.model = model
        self.preprocess = checks.function(preprocess, "preprocess", "a batch")
        self._predict = getattr(model, "predict_on_batch", model)
        self._new = _maker(metric)
        self.name = _name(metric)
        self._metrics: dict = {}

    def update(self, condition, images, labels, weights=None):
        """Takes one batch of a condition into account.

        Args:
            condition: anything hashable.
            images: array of a batch, as the model (or `preprocess`) takes it.
            labels: array as long.
            weights: array of sample weights, or `None`.

        Raises:
            ValueError: the model can't take the images, or its output does not fit the
                labels and the metric.
        """
        outputs = self._outputs(images)
        if condition not in self._metrics:
            self._metrics[condition] = self._new(labels, outputs)
        self._update(self._metrics[condition], labels, outputs, weights)

    def results(self):
        """Returns {condition: value of the metric, a float}."""
        return {name: _scalar(metric) for name, metric in self._metrics.items()}

    def _outputs(self, images):
        given = images
        if self.preprocess is not None:
            images = self.preprocess(images)
        try:
            outputs = self._predict(images)
        except Exception as error:
            raise ValueError(
                "The model can't take these images. Received: a batch of shape "
                f"{tuple(given.shape)} and dtype {given.dtype}: {error}"
            ) from error
        if isinstance(outputs, (dict, list, tuple)):
            raise ValueError(
                "The model must have one output. Received: outputs of type "
                f"{type(outputs).__name__}"
            )
        outputs = keras.ops.convert_to_numpy(outputs)
        if len(outputs) != len(given):
            raise ValueError(
                "The model must return a prediction for each image. Received: "
                f"{len(given)} images, an output of shape {outputs.shape}"
            )
        return outputs

    def _update(self, metric, labels, outputs, weights):
        try:
            metric.update_state(labels, outputs, sample_weight=weights)
        except Exception as error:
            raise ValueError(
                f"The metric {self.name!r} does not fit the model's output. Received: "
                f"labels of shape {labels.shape}, an output of shape {outputs.shape}: "
                f"{error}"
            ) from error


def _maker(metric):
    """Returns a function of (labels, outputs) that makes a new metric."""
    if isinstance(metric, str):
        if metric in ("accuracy", "acc"):
            return _accuracy
        try:
            metric = keras.metrics.get(metric)
        except ValueError as error:
            raise ValueError(
                f"Keras knows no such metric. Received: metric={metric!r}"
            ) from error
    if isinstance(metric, keras.metrics.Metric):
        return lambda labels, outputs: metric.from_config(metric.get_config())
    if callable(metric):
        return lambda labels, outputs: keras.metrics.MeanMetricWrapper(metric)
    raise TypeError(
        "`metric` must be the name of a metric of Keras, a `keras.metrics.Metric`, or "
        f"a function of (y_true, y_pred). Received: metric={metric!r}"
    )


def _name(metric):
    if isinstance(metric, str):
        return "accuracy" if metric == "acc" else metric
    return getattr(metric, "name", None) or getattr(
        metric, "__name__", type(metric).__name__
    )


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


def _scalar(metric):
    value = metric.result()
    if isinstance(value, dict) or np.size(keras.ops.convert_to_numpy(value)) != 1:
        raise ValueError(
            "A metric must have one number as its result, so that it can be compared. "
            f"Received: metric={metric.name!r}"
        )
    return float(keras.ops.convert_to_numpy(value))
