"""Which optimizers train a model: those that it holds, or those that a user names.

Beside the one that `compile` gave it, many a model keeps its own: a GAN has one for
each net. Knows models and optimizers; knows no masks.
"""

import keras

from keras_dsd._shared import keras_private
from keras_dsd.optimizers import slots

_Optimizer = keras.optimizers.Optimizer


def of(model):
    """Returns {name: optimizer} of all that a model and the models within it hold.

    As attributes, or in lists and dictionaries that are attributes, as Keras finds what
    it saves; the compiled one comes first. One that is wrapped by another, in a
    `LossScaleOptimizer` say, is a part of that.

    Args:
        model: a `keras.Model` or a layer.
    """
    found = {}
    compiled = getattr(model, "optimizer", None)
    if isinstance(compiled, _Optimizer):
        found["optimizer"] = compiled
    for layer in keras_private.sublayers(model):
        prefix = "" if layer is model else f"{layer.name}."
        for name, value in vars(layer).items():
            if not name.startswith("_self_"):  # what TensorFlow lists of others
                found.update(_within(value, prefix + name))
    return _without_parts(found)


def _within(value, name):
    """Yields (name, optimizer) of an attribute's value."""
    if isinstance(value, _Optimizer):
        yield name, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _within(one, f"{name}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from _within(one, f"{name}[{index}]")


def _without_parts(found):
    """Leaves out what has come by another name, or is within another optimizer."""
    seen: set = set()
    for optimizer in found.values():
        if slots.leaves(optimizer) != [optimizer]:
            seen.update(map(id, slots.leaves(optimizer)))
    result = {}
    for name, optimizer in found.items():
        if id(optimizer) not in seen:
            seen.add(id(optimizer))
            result[name] = optimizer
    return result


def check(optimizers):
    """Raises a TypeError or ValueError unless that is a list of Keras optimizers."""
    is_list = isinstance(optimizers, (list, tuple))
    if not is_list or not all(isinstance(one, _Optimizer) for one in optimizers):
        raise TypeError(
            "`optimizers` must be a list of `keras.optimizers.Optimizer`. Received: "
            f"optimizers={optimizers!r}"
        )
    if not optimizers or len(set(map(id, optimizers))) < len(optimizers):
        raise ValueError(
            "`optimizers` must hold one optimizer or more, each once. Received: "
            f"optimizers={optimizers!r}"
        )


def chosen(model, optimizers=None):
    """Returns {name: optimizer} of those that train a model.

    In the order in which the model holds them, whatever the list's: what is stored of
    each is found again by its place.

    Args:
        model: a `keras.Model` or a layer.
        optimizers: list of those that a user named; `None`: all that it holds.
    """
    found = of(model)
    if optimizers is None:
        return found
    # A model that is compiled with mixed precision wraps the one that it was given.
    named = {id(one) for one in optimizers}
    result = {
        name: optimizer
        for name, optimizer in found.items()
        if id(optimizer) in named or _only_part(optimizer) in named
    }
    known = {id(one) for one in result.values()} | set(map(_only_part, result.values()))
    for index, optimizer in enumerate(optimizers):
        if id(optimizer) not in known:
            result[f"optimizers[{index}]"] = optimizer
    return result


def _only_part(optimizer):
    """Returns the id of the one optimizer within another, or its own."""
    leaves = slots.leaves(optimizer)
    return id(leaves[0]) if len(leaves) == 1 else id(optimizer)


def described(optimizers):
    """Returns {name: optimizer} as a line of text."""
    return ", ".join(
        f"{name} ({keras_private.optimizer_class(optimizer).__name__})"
        for name, optimizer in optimizers.items()
    )
