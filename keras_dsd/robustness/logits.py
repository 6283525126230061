"""A model's loss in a form whose gradient is not lost where the model is sure.

Losses of probabilities are clipped, softmax and sigmoid are rounded to 0 and 1, and in
float16 small gradients are rounded to 0: attacks would leave the images of sure and
right predictions as they are. Knows losses and models; no image and no attack.
"""

import contextlib
import functools
import warnings

import keras
from keras import ops

from keras_dsd._shared import keras_private

# Below the first a float32 has no logarithm, below the second no difference to 1.
_TINY, _EPSILON = 1.2e-38, 6e-8
# Those whose loss of a sample is log(1 + exp(log odds)) for labels of 0 and 1.
_KINDS = {
    "binary": (keras.losses.binary_crossentropy, keras.losses.BinaryCrossentropy),
    "categorical": (
        keras.losses.categorical_crossentropy,
        keras.losses.CategoricalCrossentropy,
    ),
    "sparse": (
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.SparseCategoricalCrossentropy,
    ),
}
_PLAIN = {"label_smoothing": 0.0, "ignore_class": None, "axis": -1}


class AttackableLoss:
    """A loss of a model, and what else stands for it when it is differentiated.

    A cross-entropy of classes is log(1 + exp(m)), m the log odds of a wrong prediction,
    which is taken of logits. It is m that is differentiated: its gradient differs from
    the loss's by a positive factor, which may be too small to be a number. Of several
    predictions for an image (pixels, labels) each keeps its share. Other losses are
    taken as they are. The gradient of each sample is scaled to 1.

    Args:
        model: `keras.Model`. `AttackableLoss.model` is the one to differentiate: the
            same, or without a `Softmax` at its end.
        loss: function or `keras.losses.Loss` of its outputs.
    """

    def __init__(self, model, loss):
        self.model, self._loss = model, loss
        self._kind, self._is_of_logits, self._of_logits = _form(loss)
        if self._kind in ("categorical", "sparse") and not self._is_of_logits:
            self.model = _before_softmax(model) or model
            self._is_of_logits = self.model is not model
        self._activated = [
            layer
            for layer in keras_private.sublayers(self.model)
            if getattr(layer, "activation", None) in _INVERSES
        ]
        self._kept: dict = {}

    @contextlib.contextmanager
    def recorded(self):
        """Within it, the model keeps what its softmaxes and sigmoids are taken of.

        Keras itself keeps it only where a backend's tensors take attributes.
        """
        before = [layer.activation for layer in self._activated]
        for layer, activation in zip(self._activated, before, strict=True):
            layer.activation = self._recording(activation)
        try:
            yield
        finally:
            self._kept.clear()
            for layer, activation in zip(self._activated, before, strict=True):
                layer.activation = activation

    def __call__(self, labels, outputs):
        """Returns a number to differentiate, from the outputs of the model."""
        if self._kind is None:
            return ops.sum(self._loss(labels, _level(ops.cast(outputs, "float32"))))
        logits = _level(ops.cast(self._logits(outputs), "float32"))
        dtype = "int32" if self._kind == "sparse" else "float32"
        labels = ops.cast(labels, dtype)
        if self._kind == "sparse":
            if len(labels.shape) == len(logits.shape):
                labels = ops.squeeze(labels, -1)
            labels = ops.one_hot(labels, logits.shape[-1], dtype="float32")
            return _of_odds(_log_odds(labels, logits, "categorical"))
        if self._kind == "binary":
            labels = ops.reshape(labels, ops.shape(logits))
        is_sure = ops.all(
            ops.reshape((labels == 0) | (labels == 1), (ops.shape(labels)[0], -1)), 1
        )
        if self._kind == "categorical":
            sums = ops.reshape(ops.sum(labels, -1), (ops.shape(labels)[0], -1))
            is_sure &= ops.all(sums == 1, 1)
        is_sure = ops.reshape(is_sure, (-1, *[1] * (len(logits.shape) - 1)))
        odds = _log_odds(labels, ops.where(is_sure, logits, 0.0), self._kind)
        # Labels that are shares: the loss itself. Each takes its own samples.
        others = self._of_logits(labels, ops.where(is_sure, 0.0, logits))
        return _of_odds(odds) + ops.sum(others)

    def _recording(self, activation):
        def record(x):
            result = activation(x)
            self._kept[id(result)] = activation, x, result  # which keeps the id its own
            return result

        return record

    def _logits(self, outputs):
        if self._is_of_logits:
            return outputs
        wanted = (
            keras.activations.sigmoid
            if self._kind == "binary"
            else keras.activations.softmax
        )
        activation, x, _ = self._kept.get(id(outputs), (None, None, None))
        if activation is wanted:
            return x
        return _INVERSES[wanted](_level(ops.cast(outputs, "float32")))


def warn_of_zeros(flat, images):
    """Warns if many images have a gradient of zero.

    Args:
        flat: number of them.
        images: number of all.
    """
    if flat and flat >= images / 10:
        warnings.warn(
            f"The gradient of the loss is exactly zero for {flat} of {images} images: "
            "an attack can't move them, and the model looks more robust than it is. "
            "Its outputs may be saturated beyond what floating numbers hold, or its "
            "layers or its loss have no gradient there.",
            stacklevel=4,
        )


def _form(loss):
    """Returns (kind or `None`, whether it takes logits, the same loss of logits)."""
    for kind, (function, of_class) in _KINDS.items():
        if loss is function:
            return kind, False, functools.partial(loss, from_logits=True)
        if type(loss) is of_class:
            config = loss.get_config()
            if any(config.get(key, value) != value for key, value in _PLAIN.items()):
                break
            of_logits = of_class.from_config({**config, "from_logits": True})
            return kind, config["from_logits"], of_logits
    return None, False, None


def _before_softmax(model):
    """Returns the model up to a last `Softmax` layer, `None` where there is none.

    That layer has no attribute `activation` to be recorded.
    """
    last = model.layers[-1] if model.layers else None
    if not isinstance(last, keras.layers.Softmax) or last.axis != -1:
        return None
    try:
        inputs, before = model.inputs, last.input
        if last.output is not model.outputs[0]:
            return None
    except (AttributeError, ValueError):  # of a subclassed model, a shared layer
        return None
    found = keras.Model(inputs, before)
    # A class of the user's may do anything else in its `call`.
    return found if type(model) in (keras.Sequential, type(found)) else None


def _log_odds(labels, logits, kind):
    """Returns the logarithm of wrong by right: (N, ...) without the classes' axis."""
    if kind == "binary":
        return (1 - 2 * labels) * logits
    wrong = ops.logsumexp(ops.where(labels > 0.5, -1e30, logits), axis=-1)
    return wrong - ops.sum(labels * logits, axis=-1)


def _of_odds(odds):
    """Returns their sum, weighed by the gradients of log(1 + exp(odds)) in an image."""
    odds = ops.reshape(odds, (ops.shape(odds)[0], -1))
    logarithms = ops.log_sigmoid(odds)
    weights = ops.exp(logarithms - ops.max(logarithms, axis=1, keepdims=True))
    return ops.sum(odds * ops.stop_gradient(weights))


def _inverse_softmax(probabilities):
    return ops.log(ops.maximum(probabilities, _TINY))


def _inverse_sigmoid(probabilities):
    inside = ops.clip(probabilities, _TINY, 1 - _EPSILON)
    return ops.log(inside) - ops.log1p(-inside)


_INVERSES = {
    keras.activations.softmax: _inverse_softmax,
    keras.activations.sigmoid: _inverse_sigmoid,
}


@ops.custom_gradient
def _level(x):
    """Returns `x`; the largest gradient of each sample becomes 1 or -1.

    A sign is all that an attack takes of a gradient. One of 1e-9, of a sure prediction,
    would be lost in a model that computes in float16.
    """

    def grad(*args, upstream=None):
        upstream = ops.convert_to_tensor(args[0] if upstream is None else upstream)
        axes = tuple(range(1, len(upstream.shape)))
        largest = ops.max(ops.abs(upstream), axis=axes, keepdims=True)
        return upstream / ops.where(largest > 0, largest, 1.0)

    return x, grad
