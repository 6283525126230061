"""Which weights can be pruned, and which stay dense unless asked for; with the reason.

The one place for these rules: what makes layers prunable and the report ask here.
Knows layers and weights; knows no masks.
"""

import keras

from keras_dsd._shared import keras_private, paths

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

_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)


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
    if reason := dense_layer(owner):
        return reason
    if _is_depthwise(weight, owner):
        return "depthwise convolution"
    if weight.name == "embeddings":  # of positions, say, in a layer of one's own
        return "embedding"
    channels = _channels(weight, owner)
    if channels is not None and channels <= PICTURE_CHANNELS:
        return f"convolution of the picture ({channels} channels)"
    return None


def dense_layer(layer):
    """Returns why all weights of a layer stay dense by default, or `None`.

    Known from its class, so also before it has weights.
    """
    return _first(_KEPT_DENSE, layer)


def _is_depthwise(weight, owner):
    """Returns whether each filter of a convolution reads one channel of several."""
    if isinstance(owner, _DEPTHWISE):
        return True
    if isinstance(owner, _SEPARABLE):
        return weight.name == "depthwise_kernel"
    return getattr(owner, "groups", 1) > 1 and weight.shape[-2] == 1


def _channels(weight, owner):
    """Returns how many channels a convolution reads, `None` if `weight` is none."""
    if len(weight.shape) not in (4, 5):
        return None
    if isinstance(owner, keras.layers.EinsumDense):
        return None  # no convolution at all
    if isinstance(owner, (keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)):
        return weight.shape[-1]
    return weight.shape[-2] * getattr(owner, "groups", 1)


def _first(reasons, owner):
    return next((why for kind, why in reasons.items() if isinstance(owner, kind)), None)


def lists_its_layers(layer):
    """Returns whether the config of `layer` lists its layers.

    Of such a container (Sequential, Functional, Bidirectional, TimeDistributed) each
    layer is made prunable by itself, and of a model that has no `call` to read weights
    masked in. Any other is so as a whole, sublayers included, for its `from_config`
    builds those anew, and plain.
    """
    if isinstance(layer, keras.Model):
        if type(layer).call is keras.Model.call:
            return True  # its `train_step` calls the layers, as GANs' do
        try:
            return "layers" in layer.get_config()
        except Exception:  # no config, so no file from which layers come back plain
            return True
    return isinstance(layer, (keras.layers.Bidirectional, keras.layers.TimeDistributed))


def in_no_layer(owner):
    """Returns why a weight of the layer `owner` has no layer to mask it, or `None`.

    A container is not made prunable, only the layers in it; what it holds besides has
    no `call` that could read it masked.
    """
    if lists_its_layers(owner):
        return "held by the model itself, not by one of its layers"
    return None


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
        paths.check(self.expressions, name, value)

    def __call__(self, weight):
        """Returns whether the rule names `weight`."""
        if callable(self.value):
            return bool(self.value(weight))
        return paths.names(self.expressions, weight.path)

    def must_match(self, weights, reasons):
        """Raises a ValueError if an expression names none of `weights`.

        Args:
            weights: list of the weights that can be pruned.
            reasons: {path of another weight: why it can't be pruned}.
        """
        known = [weight.path for weight in weights]
        for expression in self.expressions:
            if any(paths.names([expression], path) for path in known):
                continue
            named = {
                path: why
                for path, why in reasons.items()
                if paths.names([expression], path)
            }
            if named:
                raise ValueError(
                    f"`{self.name}` holds {expression!r}, which matches only weights "
                    f"that can't be pruned: {listed(named)}. "
                    f"Received: {self.name}={self.value!r}"
                )
        paths.must_match(self.expressions, known, self.name, self.value)


def listed(reasons):
    """Returns weights and the reasons for them, {path: reason}, in words."""
    return ", ".join(f"{path} ({reason})" for path, reason in reasons.items())


def rule(value, name):
    """Returns a `Rule`, or `None` where there is none."""
    return None if value is None else Rule(value, name)
