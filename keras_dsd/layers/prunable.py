"""`Prunable(layer)`: a layer whose weights can be masked while it trains.

The layer is made prunable in place, as `torch.nn.utils.parametrize` does: the object,
its name, its weights and their paths stay, only its class becomes one that is both
`Prunable` and what it was. So nothing of the model around it has to be rebuilt, and
taking it back gives exactly the layer that was. Knows one layer; knows no model, phase
or optimizer.
"""

import dataclasses
from typing import Any

import keras

from keras_dsd import backend
from keras_dsd._shared import checks, keras_private
from keras_dsd.layers import (
    candidates,
    eligibility,
    layer_configs,
    prunable_class,
    weight_views,
)
from keras_dsd.layers.pruning_state import PruningState
from keras_dsd.layers.weight_views import MaskedReads
from keras_dsd.sparsity import patterns

STATE = "pruning_state"  # the attribute, and so the name in saved files

_Layer: Any = object  # mixed into layers, so for a type checker it has all of theirs


class Prunable(_Layer):
    """Makes a layer prunable: it can be masked while it trains, and looks the same.

    Every weight of the layer and its sublayers that is floating-point, trainable and
    of rank 2 or more gets a mask. Predictions, weight values, names, paths and the
    layer's place in saved files stay as they are; masks act during the sparse phases of
    `DSDCallback` only. `strip` gives the plain layer back.

    Args:
        layer: a `keras.layers.Layer`, built or not. It is changed in place and
            returned; `isinstance(layer, Prunable)` is then true, and so is
            `isinstance` of the class it had.
        sparsity: the layer's own target, a fraction of weights in [0, 1), which takes
            the place of the phase's; 0 keeps the layer dense. Defaults to `None`:
            follow the phase.
        pattern: the layer's own pattern (see `keras_dsd.patterns`), say `"2:4"`.
            Defaults to `None`: follow the phase.
        track_gradients: keep the gradient of the dense weights in each step of a
            sparse phase, for methods of `regrowth` that grow by it. Costs memory of
            one copy of the weights and a little time. Defaults to `False`.

    Returns:
        The same layer.

    Raises:
        TypeError: `layer` is not a Keras layer, or `track_gradients` not a bool.
        ValueError: the layer is prunable already, has nothing to prune, or is a model
            that lists its layers (`make_prunable` takes those); `sparsity` is outside
            of [0, 1). Of a layer that is not built yet each call says so, from the
            first, if it turns out to have nothing to prune.

    Example:

    >>> import keras, keras_dsd
    >>> layer = keras_dsd.Prunable(keras.layers.Dense(300), sparsity=0.5)
    >>> isinstance(layer, keras.layers.Dense)
    True
    """

    def __new__(cls, layer, *, sparsity=None, pattern=None, track_gradients=False):
        """Changes the class of `layer` and returns it."""
        if not isinstance(layer, keras.layers.Layer):
            raise TypeError(
                f"`layer` must be a `keras.layers.Layer`. Received: layer={layer!r} "
                f"(of type {type(layer).__module__}.{type(layer).__name__})"
            )
        if eligibility.lists_its_layers(layer):
            raise ValueError(
                "The layers of a model that lists them are made prunable by "
                f"`make_prunable(model)`. Received: layer={layer!r}"
            )
        if sparsity is not None:
            checks.sparsity(sparsity)
        if pattern is not None:
            pattern = patterns.get(pattern)
        checks.boolean(track_gradients, "track_gradients")
        return convert(
            layer,
            sparsity=sparsity,
            pattern=pattern,
            track_gradients=track_gradients,
        )

    def __init__(self, layer, *, sparsity=None, pattern=None, track_gradients=False):
        """Does nothing: the layer was initialized when it was made."""

    def call(self, *args, **kwargs):
        """Calls the layer, its weights read masked while masks are in force."""
        return self._call_masked(super().call, args, kwargs)

    def quantized_call(self, *args, **kwargs):
        """Calls the layer as `call` does; Keras does so after `quantize`."""
        return self._call_masked(super().quantized_call, args, kwargs)

    def _call_masked(self, call, args, kwargs):
        reads = getattr(self, STATE).reads()
        # A weight that is tied to another layer's has its mask there; both read it.
        own = {id(read.weight) for read in reads}
        reads += [
            dataclasses.replace(weight_views.of(weight), decay=0.0)  # which is there
            for weight in self.weights
            if weight_views.of(weight) is not None and id(weight) not in own
        ]
        # Without gradients the view is an identity; torch would choose other kernels
        # for it, whose last bits differ.
        if not (reads and backend.gradients_wanted()):
            outputs = call(*args, **kwargs)
            _create_masks(self)
            return outputs
        with MaskedReads(reads) as scope:
            outputs = call(*args, **kwargs)
        if scope.original_scope is None and scope.losses:
            # The base's: a Functional model refuses losses, its layers may have some.
            keras.layers.Layer.add_loss(self, list(scope.losses))
        return outputs

    def get_config(self):
        """Returns the config of the layer's own class, and in it what is prunable.

        A class that writes none gets the one that Keras writes for it.
        """
        options = layer_configs.options_of(getattr(self, STATE), type(self).plain_class)
        return layer_configs.with_options(super().get_config(), options)

    @classmethod
    def from_config(cls, config):
        """Makes the plain layer and makes it prunable.

        Where nothing is said of that, say since the dtype policy was replaced, it is
        made prunable as `Prunable(layer)` does it.
        """
        if not layer_configs.has_options(config):
            return convert(cls.plain_class.from_config(config))
        plain, options = layer_configs.split(config)
        return convert(keras.saving.deserialize_keras_object(plain), **options)

    def _post_build(self):
        # Keras calls this when a layer's `build` is done, the first moment at which
        # its weights exist; there is no public hook (overriding `build` fails: Keras
        # keeps the bound method it found when the object was made).
        super()._post_build()
        _create_masks(self)


class _PrunableModel(Prunable):
    """A model that is prunable as a whole: its layers are those that it had."""

    @property
    def layers(self):
        """The model's layers, without what carries its masks."""
        return [x for x in super().layers if not isinstance(x, PruningState)]


def convert(  # noqa: PLR0913 (what a file holds of a layer, each under its name)
    layer,
    *,
    sparsity=None,
    pattern=None,
    track_gradients=False,
    weights=None,
    origins=None,
    by_default=False,
):
    """Makes `layer` prunable; arguments are checked, `layer` is not a container.

    Args:
        layer: the layer.
        sparsity: as for `Prunable`.
        pattern: as for `Prunable`, an instance or `None`.
        track_gradients: as for `Prunable`.
        weights: which of the layer's kernels, by index (see `candidates.kernels`); none
            of them if they are tied to another layer's. Defaults to `None`: all that
            can be pruned, chosen when the layer is built.
        origins: the paths that these weights had when their layer was first made
            prunable, from a file. Defaults to `None`: the ones that they have.
        by_default: whether weights that stay dense by default are left out; then a
            layer that turns out to have nothing to prune becomes plain again.

    Returns:
        The layer.
    """
    if isinstance(layer, Prunable):
        raise ValueError(f"The layer is prunable already. Received: layer={layer!r}")
    if backend.workers() > 1:
        raise ValueError(
            "Keras's `fit` does not train in several processes with TensorFlow. It "
            "does so on its JAX backend (`keras.distribution.initialize`), and with "
            "several devices of one machine under `tf.distribute.MirroredStrategy`. "
            f"Received: a strategy with {backend.workers()} workers"
        )
    if weights is None:
        if layer.built:
            weights = candidates.choose(layer, by_default)
        elif not candidates.may_have_weights(layer):
            raise ValueError(
                f"{candidates.NOTHING_TO_PRUNE}. Received: layer={layer!r}"
            )
    state = PruningState(sparsity, pattern, track_gradients)
    state.chosen = weights
    state.origins = origins
    state.by_default = by_default
    base = _PrunableModel if isinstance(layer, keras.Model) else Prunable
    layer.__class__ = prunable_class.derive(base, type(layer))
    keras_private.attach(layer, STATE, state)
    if layer.built:
        _create_masks(layer)
    return layer


def revert(layer):
    """Gives a prunable layer back its own class, constraints and sublayers."""
    getattr(layer, STATE).release()
    keras_private.detach(layer, STATE)
    layer.__class__ = type(layer).plain_class
    return layer


def _create_masks(layer):
    """Makes the masks once every sublayer has its weights."""
    state = getattr(layer, STATE)
    if state.built:
        return
    # Not the layer itself: in its first call it may not be built, its sublayers are.
    others = [
        other for other in keras_private.sublayers(layer) if other not in (layer, state)
    ]
    if not all(other.built for other in others):
        return  # built by their first call; `Prunable.call` comes back here
    if state.chosen is None:
        # Where there is none this raises, and does so again in the next call.
        chosen = candidates.choose(layer, state.by_default)
        if not chosen:
            revert(layer)
            return
        state.chosen = chosen
    kernels = candidates.kernels(layer)
    weights = [kernels[index] for index in state.chosen]
    if state.origins is None:
        state.origins = [weight.path for weight in weights]
    with keras.name_scope(layer.name, caller=layer):
        state.create(weights, state.origins)
    keras_private.refresh(layer)


prunable_class.register(Prunable)
