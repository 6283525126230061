"""Configs of prunable layers: those of their classes, with what makes them prunable.

`keras.layers.Dense.from_config(layer.get_config())` makes a plain layer, whatever a
`Dense` carries. So that is written into the entry "dtype", which every Keras layer has:
a serialized object, of which Keras reads the keys that it knows. Where a class writes
no such entry, it stands beside the others. Knows configs and classes only.
"""

import keras

from keras_dsd.sparsity import patterns

KEY = "prunable"


def options_of(state, plain_class):
    """Returns what a file holds of a prunable layer besides its own config.

    Args:
        state: the layer's `PruningState`.
        plain_class: the class that the layer had.
    """
    pattern = state.pattern
    return {
        "layer": _name_of(plain_class),
        "sparsity": state.sparsity,
        "pattern": pattern and keras.saving.serialize_keras_object(pattern),
        "track_gradients": state.track_gradients,
        "weights": None if state.chosen is None else list(state.chosen),
        "origins": None if state.origins is None else list(state.origins),
        "by_default": state.by_default,
    }


def with_options(config, options):
    """Returns the config of a plain layer with `options`, a dict; changes neither."""
    dtype = config.get("dtype")
    if isinstance(dtype, dict) and "class_name" in dtype:
        return {**config, "dtype": {**dtype, KEY: options}}
    return {**config, KEY: options}


def has_options(config):
    """Returns whether a config is that of a prunable layer."""
    dtype = config.get("dtype")
    return KEY in config or (isinstance(dtype, dict) and KEY in dtype)


def split(config):
    """Returns the plain layer, serialized, and the arguments that make it prunable.

    Args:
        config: one that `has_options`.
    """
    config = dict(config)
    if KEY in config:
        options = dict(config.pop(KEY))
    else:
        config["dtype"] = dict(config["dtype"])
        options = dict(config["dtype"].pop(KEY))
    pattern = options["pattern"]
    options["pattern"] = pattern and patterns.get(pattern)
    return {**options.pop("layer"), "config": config}, options


class _Instance:
    """Looks like an object of a class without being one, for Keras names objects."""

    def __init__(self, cls):
        self._class = cls

    @property  # type: ignore[misc] # read only, as `isinstance` needs no more
    def __class__(self):
        return self._class

    def get_config(self):
        return {}


def _name_of(cls):
    """Returns how Keras finds a class again, as it stands in files."""
    found = keras.saving.serialize_keras_object(_Instance(cls))
    return {key: found[key] for key in ("module", "class_name", "registered_name")}
