"""The class that is both `Prunable` and what a layer was, one for each plain class.

It answers all that Keras, Python and people ask of a layer's class as the plain one
would: its name, the signatures of `call` and `__init__`, whether its config is written
by hand, how it is pickled. Knows classes; knows no weights.
"""

import copyreg
import functools

import keras

PACKAGE, NAME = "keras_dsd", "Prunable"
_classes: dict[tuple, type] = {}
_metaclasses: dict[type, type] = {}


def derive(base, plain):
    """Returns the class of prunable layers whose plain class is `plain`.

    Args:
        base: `Prunable`, or a class derived from it.
        plain: a class of layers.
    """
    if (base, plain) not in _classes:
        # The name stays, for Keras addresses layers in weights files by the names of
        # their classes. The module is this one: in a process that has not imported it,
        # Keras would find the plain class in the plain one's, and lose the masks.
        namespace = {
            "plain_class": plain,
            "prunable_base": base,
            "__module__": __name__,
            "__qualname__": plain.__qualname__,
            "__doc__": plain.__doc__,
            "__init__": _told_as(plain.__init__, base.__init__),
            "call": _told_as(plain.call, base.call),
            # With the mark by which Keras tells that it is to write the config itself.
            "get_config": _told_as(plain.get_config, base.get_config),
        }
        both = _metaclass(type(plain))(plain.__name__, (base, plain), namespace)
        loads = keras.saving.get_registered_object(f"{PACKAGE}>{NAME}")
        _classes[base, plain] = register(both)
        register(loads)  # `load_model` goes on finding `Prunable` under the name
    return _classes[base, plain]


def register(cls):
    """Registers a class under the one name that all prunable layers have in files."""
    return keras.saving.register_keras_serializable(PACKAGE, NAME)(cls)


def _told_as(plain, method):
    """Returns `method` with name, signature, docstring and attributes of `plain`."""

    @functools.wraps(plain)
    def told(self, *args, **kwargs):
        return method(self, *args, **kwargs)

    return told


def _metaclass(plain):
    # Python pickles a class by its name, which is the plain one's; for the classes of
    # a metaclass of its own it asks.
    if plain not in _metaclasses:
        made = type("PrunableType", (plain,), {})
        copyreg.pickle(made, _reduce)
        _metaclasses[plain] = made
    return _metaclasses[plain]


def _reduce(cls):
    return derive, (cls.prunable_base, cls.plain_class)
