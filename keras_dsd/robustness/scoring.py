"""A model's metric under many conditions at once: clean, each corruption, each radius.

Knows models and metrics; nothing of what the conditions are.
"""

import keras
import numpy as np

from keras_dsd._shared import checks
from keras_dsd.robustness import metrics


class Scoring:
    """The metric of a model, kept for each condition while batches stream.

    Args:
        model: a `keras.Model`, or any function of a batch that returns predictions.
        metric: as `metrics.Given` takes it.
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
        self.metric = metrics.Given(metric)
        self._predict = getattr(model, "predict_on_batch", model)
        self._metrics: dict = {}

    def update(self, condition, images, labels, weights=None):
        """Takes one batch of a condition into account.

        Args:
            condition: anything hashable.
            images: array of a batch, as the model (or `preprocess`) takes it.
            labels: array as long.
            weights: array of sample weights, or `None`.

        Raises:
            ValueError: the model can't take the images, its output does not fit the
                labels and the metric, or the metric is none that can be compared. As
                far as it can be told without the model, it is told before.
        """
        if not self._metrics:
            self._foresee(labels)
        outputs = self._outputs(images)
        is_new = condition not in self._metrics
        if is_new:
            self._metrics[condition] = self.metric.new(labels, outputs)
        metric = self._metrics[condition]
        self._try(metric.update_state, labels, outputs, weights)
        if is_new:
            metrics.number(metric, self.metric.name)
            self._try(self.metric.check_batches, labels, outputs, weights)

    def results(self):
        """Returns {condition: value of the metric, a float}."""
        return {
            condition: metrics.number(metric, self.metric.name)
            for condition, metric in self._metrics.items()
        }

    def _foresee(self, labels):
        """Refuses, before the model is asked, a metric with more than one number."""
        shape = _output_shape(self.model) or labels.shape[1:]
        if not shape:
            return
        outputs = np.zeros((len(labels), *shape), "float32")
        try:
            metric = self.metric.new(labels, outputs)
            metric.update_state(labels, outputs)
        except Exception:  # what really comes may fit; else its error says more
            return
        metrics.number(metric, self.metric.name)

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

    def _try(self, update, labels, outputs, weights):
        try:
            update(labels, outputs, weights)
        except Exception as error:
            raise ValueError(
                f"The metric {self.metric.name!r} does not fit the model's output. "
                f"Received: labels of shape {labels.shape}, an output of shape "
                f"{outputs.shape}: {error}"
            ) from error


def _output_shape(model):
    """Returns the shape of one prediction, `None` where the model does not tell it."""
    try:
        shape = tuple(model.output_shape)[1:]
    except (AttributeError, TypeError, ValueError):  # a function, a subclassed model
        return None
    return shape if all(isinstance(size, int) for size in shape) else None
