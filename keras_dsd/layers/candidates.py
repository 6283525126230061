"""Which weights of one layer get a mask: what a file says by index, or all that may.

Knows one layer and what is prunable within it; knows no model, phase or optimizer.
"""

import keras

from keras_dsd._shared import keras_private
from keras_dsd.layers import eligibility
from keras_dsd.layers.pruning_state import PruningState

NOTHING_TO_PRUNE = (
    "The layer has no weight to prune (floating-point, trainable, rank 2 or more)"
)


def find(layer):
    """Returns [(index, weight, owner)] of the weights of `layer` that can be pruned.

    Weights that a `Prunable` within `layer` covers, made by hand, are not among them.
    """
    masked = covered(layer)
    owners = eligibility.owners(layer)
    return [
        (index, weight, owners[id(weight)])
        for index, weight in enumerate(kernels(layer))
        if not eligibility.cannot_prune(weight, owners[id(weight)])
        and id(weight) not in masked
    ]


def covered(layer):
    """Returns the ids of the weights at or below a layer that have masks."""
    return {
        id(weight.variable)
        for sublayer in keras_private.sublayers(layer)
        if isinstance(sublayer, PruningState)
        for weight in sublayer.pruned
    }


def kernels(layer):
    """Returns the weights by whose indices a file says which ones are pruned.

    Without what a `Prunable` within carries, for that depends on its training.
    """
    carried = {
        id(weight)
        for sublayer in keras_private.sublayers(layer)
        if isinstance(sublayer, PruningState)
        for weight in sublayer.weights
    }
    return [w for w in eligibility.kernels(layer) if id(w) not in carried]


def choose(layer, by_default):
    """Returns the indices of the kernels that get a mask.

    Args:
        layer: the layer, built.
        by_default: whether those that stay dense by default are left out.

    Raises:
        ValueError: there is none, and `by_default` is False.
    """
    chosen = [
        index
        for index, weight, owner in find(layer)
        if not (by_default and eligibility.kept_dense(weight, owner))
    ]
    if not (chosen or by_default):
        raise ValueError(f"{NOTHING_TO_PRUNE}. Received: layer={layer!r}")
    return chosen


def may_have_weights(layer):
    """Returns whether an unbuilt layer may have weights once it is built.

    One that takes the default `build` and has no sublayer makes none.
    """
    return bool(
        type(layer).build is not keras.layers.Layer.build
        or keras_private.children(layer)
        or layer.weights
    )
