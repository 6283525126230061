"""Which weights can be pruned, and which stay dense unless asked for; with the reason.

The one place for these rules: wrapping, the layers themselves and the report ask here.
Knows layers and weights; knows no masks.
"""

import re

import keras

from keras_dsd._shared import keras_private

PICTURE_CHANNELS = 4  # grey, RGB, RGBA

# Their call reads something else than their Keras variables, so no mask would be seen.
_FOREIGN = {
    keras.layers.TorchModuleWrapper: "held by a PyTorch module",
    keras.layers.TFSMLayer: "held by a SavedModel",
}

_KEPT_DENSE = {
    keras.layers.Embedding: "embedding",
    keras.layers.BatchNormalization: "normalization",
    keras.layers.GroupNormalization: "normalization",
    keras.layers.LayerNormalization: "normalization",
    keras.layers.RMSNormalization: "normalization",
    keras.layers.PReLU: "slopes of an activation",
    keras.layers.STFTSpectrogram: "Fourier transform",
}


def cannot_prune(weight, owner):
    """Returns why `weight` of the layer `owner` can't be pruned, or `None`."""
    if reason := _is_no_kernel(weight):
        return reason
    if not weight.trainable:
        return "not trainable"
    return _first(_FOREIGN, owner)


def kernels(layer):
    """Returns the floating weights of rank 2 or more but biases, trained or frozen.

    They stand in one order whether a layer was quantized in place or loaded so; what
    Keras adds to quantize it comes before them or after.
    """
    return [weight for weight in layer.weights if not _is_no_kernel(weight)]


def _is_no_kernel(weight):
    if "float" not in keras.backend.standardize_dtype(weight.dtype):
        return f"dtype {weight.dtype}"
    if len(weight.shape) < 2:
        return f"rank {len(weight.shape)}"
    if weight.overwrite_with_gradient:
        return "written by its gradient, not trained"
    if weight.name.endswith("bias"):  # GRU and MultiHeadAttention have some of rank 2
        return "bias"
    return None


def kept_dense(weight, owner):
    """Returns why `weight` of the layer `owner` stays dense by default, or `None`.

    A convolution that reads the raw picture does (Han et al. keep it: few weights, much
    harm), a depthwise one (Evci et al. 2020 keep those of MobileNet: a few weights are
    all that a channel has), and layers whose weights are no connections between units:
    embeddings, scales, slopes, a transform.
    """
    if reason := _first(_KEPT_DENSE, owner):
        return reason
    if weight.name == "embeddings":  # of positions, say, in a layer of one's own
        return "embedding"
    channels = _channels(weight, owner)
    if channels is not None and channels <= PICTURE_CHANNELS:
        return f"convolution of the picture ({channels} channels)"
    return "depthwise convolution" if _is_depthwise(weight, owner) else None


def _is_depthwise(weight, owner):
    """Returns whether each filter of `weight` reads one channel only."""
    if isinstance(owner, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)):
        return True
    if weight.name == "depthwise_kernel":  # of a separable convolution
        return True
    return getattr(owner, "groups", 1) > 1 and weight.shape[-2] == 1


def _channels(weight, owner):
    """Returns how many channels a convolution reads, `None` if `weight` is none."""
    if len(weight.shape) not in (4, 5):
        return None
    if isinstance(owner, (keras.layers.DepthwiseConv2D, keras.layers.EinsumDense)):
        return None  # each channel has filters of its own; no convolution at all
    if isinstance(owner, (keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)):
        return weight.shape[-1]
    return weight.shape[-2] * getattr(owner, "groups", 1)


def _first(reasons, owner):
    return next((why for kind, why in reasons.items() if isinstance(owner, kind)), None)


def owners(layer):
    """Returns {id(weight): the innermost layer that owns it} for all below `layer`."""
    found = {}
    for sublayer in keras_private.sublayers(layer):
        for weight in sublayer.weights:
            found[id(weight)] = sublayer  # parents come first, so children overwrite
    return found


class Rule:
    """Which weights a user means: by regular expressions or by a callable.

    Args:
        value: a regular expression searched in the weight's path, a list of them, or a
            callable that takes the weight and returns a bool.
        name: the argument's name, for messages.
    """

    def __init__(self, value, name):
        self.value = value
        self.name = name
        self.expressions = [value] if isinstance(value, str) else value
        if callable(value):
            self.expressions = []
        elif not isinstance(self.expressions, (list, tuple)) or not all(
            isinstance(expression, str) for expression in self.expressions
        ):
            raise TypeError(
                f"`{name}` must be a regular expression, a list of them, or a callable "
                f"that takes a weight. Received: {name}={value!r}"
            )
        for expression in self.expressions:
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(
                    f"`{name}` must hold regular expressions ({error}). "
                    f"Received: {name}={value!r}"
                ) from error

    def __call__(self, weight):
        """Returns whether the rule names `weight`."""
        if callable(self.value):
            return bool(self.value(weight))
        return any(re.search(known, weight.path) for known in self.expressions)

    def must_match(self, weights, others):
        """Raises a ValueError if an expression names none of `weights`.

        Args:
            weights: those that can be pruned.
            others: {path: why it can't be} of the others.
        """
        for expression in self.expressions:
            if any(re.search(expression, weight.path) for weight in weights):
                continue
            found = {
                path: why for path, why in others.items() if re.search(expression, path)
            }
            what = (
                f"only weights that can't be pruned: {_listed(found)}"
                if found
                else "no weight that can be pruned: "
                f"{[weight.path for weight in weights]}"
            )
            raise ValueError(
                f"`{self.name}` holds {expression!r}, which matches {what}. "
                f"Received: {self.name}={self.value!r}"
            )


def _listed(reasons):
    return ", ".join(f"{path} ({why})" for path, why in reasons.items())


def rule(value, name):
    """Returns a `Rule`, or `None` where there is none."""
    return None if value is None else Rule(value, name)
