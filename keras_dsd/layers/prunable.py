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
from keras_dsd.layers import eligibility, masked_reads, prunable_class
from keras_dsd.layers.masked_reads import MaskedReads
from keras_dsd.layers.pruning_state import PruningState
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
            that lists its layers (`make_prunable` wraps those); `sparsity` is outside
            of [0, 1).

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
        if lists_its_layers(layer):
            raise ValueError(
                "A model that lists its layers is wrapped by "
                f"`make_prunable(model)`. Received: layer={layer!r}"
            )
        if sparsity is not None:
            checks.sparsity(sparsity)
        if pattern is not None:
            pattern = patterns.get(pattern)
        checks.boolean(track_gradients, "track_gradients")
        if not can_have_weights(layer):
            _refuse_without_weights(layer)
        return wrap(
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
            dataclasses.replace(masked_reads.of(weight), decay=0.0)  # which is there
            for weight in self.weights
            if masked_reads.of(weight) is not None and id(weight) not in own
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
        """Returns the layer's own config and, under "prunable", what wraps it.

        Flat, for wrappers such as `Bidirectional` edit the config of their layer.
        """
        return {**super().get_config(), "prunable": _config(self)}

    @classmethod
    def from_config(cls, config):
        """Makes the plain layer and wraps it."""
        config = dict(config)
        options = dict(config.pop("prunable"))
        plain = options.pop("layer")
        layer = keras.saving.deserialize_keras_object({**plain, "config": config})
        pattern = options["pattern"]
        options["pattern"] = pattern and patterns.get(pattern)
        return wrap(layer, **options)

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


def lists_its_layers(layer):
    """Returns whether the config of `layer` lists its layers.

    Of such a container (Sequential, Functional, Bidirectional, TimeDistributed) each
    layer is wrapped by itself. Any other is wrapped as a whole, sublayers included, for
    its `from_config` builds those anew, and plain.
    """
    if isinstance(layer, keras.Model):
        if type(layer).call is keras.Model.call:
            return True  # it has none: its layers are called by a `train_step` alone
        try:
            return "layers" in layer.get_config()
        except Exception:  # no config, so no file from which layers come back plain
            return True
    return isinstance(layer, (keras.layers.Bidirectional, keras.layers.TimeDistributed))


def wrap(
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
        weights: which of the layer's kernels, by their numbers (see `_kernels`); none
            of them if they are tied to another layer's. Defaults to `None`: all that
            can be pruned, chosen when the layer is built.
        origins: the paths under which these weights were first wrapped, from a file.
            Defaults to `None`: the ones that they have.
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
    if layer.built and weights is None:
        weights = _choose(layer, by_default)
        if not weights:
            _refuse_without_weights(layer)
    state = PruningState(sparsity, pattern, track_gradients)
    state.plain = _identity(layer)
    state.chosen = weights
    state.origins = origins
    state.by_default = by_default
    base = _PrunableModel if isinstance(layer, keras.Model) else Prunable
    layer.__class__ = prunable_class.derive(base, type(layer))
    keras_private.attach(layer, STATE, state)
    if layer.built:
        _create_masks(layer)
    return layer


def unwrap(layer):
    """Gives a prunable layer back its own class, constraints and sublayers."""
    getattr(layer, STATE).release()
    keras_private.detach(layer, STATE)
    layer.__class__ = type(layer).plain_class
    return layer


def cannot_prune(weight, owner):
    """Returns why `weight`, which the layer `owner` owns, can't be pruned, or `None`.

    What `eligibility` says, and that a model which lists its layers is made prunable
    layer by layer: what it owns besides has no layer that could carry a mask.
    """
    if reason := eligibility.cannot_prune(weight, owner):
        return reason
    if lists_its_layers(owner):
        return "held by the model itself, not by one of its layers"
    return None


def candidates(layer):
    """Returns [(number, weight, owner)] of the weights of `layer` that can be pruned.

    Weights that a `Prunable` within `layer` covers, made by hand, are not among them.
    """
    covered = {
        id(weight.variable)
        for sublayer in keras_private.sublayers(layer)
        if isinstance(sublayer, PruningState)
        for weight in sublayer.pruned
    }
    owners = eligibility.owners(layer)
    return [
        (number, weight, owners[id(weight)])
        for number, weight in enumerate(_kernels(layer))
        if not eligibility.cannot_prune(weight, owners[id(weight)])
        and id(weight) not in covered
    ]


def can_have_weights(layer):
    """Returns whether a layer has weights or may make some when it is built.

    One that takes the default `build` and has no sublayer makes none.
    """
    own_build = type(layer).build is not keras.layers.Layer.build
    return bool(layer.weights or own_build or keras_private.children(layer))


def _refuse_without_weights(layer):
    raise ValueError(
        "The layer has no weight to prune (floating-point, trainable, rank 2 or more). "
        f"Received: layer={layer!r}"
    )


def _kernels(layer):
    """Returns the weights by whose numbers a file says which ones are pruned.

    Without what a `Prunable` within carries, for that depends on its training.
    """
    carried = {
        id(weight)
        for sublayer in keras_private.sublayers(layer)
        if isinstance(sublayer, PruningState)
        for weight in sublayer.weights
    }
    return [w for w in eligibility.kernels(layer) if id(w) not in carried]


def _choose(layer, by_default):
    return [
        number
        for number, weight, owner in candidates(layer)
        if not (by_default and eligibility.kept_dense(weight, owner))
    ]


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
        chosen = _choose(layer, state.by_default)
        if not chosen and state.by_default:
            unwrap(layer)
            return
        if not chosen:
            _refuse_without_weights(layer)
        state.chosen = chosen
    kernels = _kernels(layer)
    weights = [kernels[number] for number in state.chosen]
    if state.origins is None:
        state.origins = [weight.path for weight in weights]
    with keras.name_scope(layer.name, caller=layer):
        state.create(weights, state.origins)
    keras_private.refresh(layer)


def _identity(layer):
    """Returns how Keras finds the plain class of `layer` again."""
    try:
        found = keras.saving.serialize_keras_object(layer)
    except Exception:  # a layer without a config; asked for one, it raises by itself
        return None
    return {key: found[key] for key in ("module", "class_name", "registered_name")}


def _config(layer):
    state = getattr(layer, STATE)
    pattern = state.pattern
    return {
        "layer": state.plain,
        "sparsity": state.sparsity,
        "pattern": pattern and keras.saving.serialize_keras_object(pattern),
        "track_gradients": state.track_gradients,
        "weights": None if state.chosen is None else list(state.chosen),
        "origins": None if state.origins is None else list(state.origins),
        "by_default": state.by_default,
    }


prunable_class.register(Prunable)
