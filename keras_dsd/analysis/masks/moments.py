"""Which connections are active at a moment: of a model, a file or masks, as bits.

A connection is active if a mask in force lets it live, or if its weight is not zero:
what a mask only wishes for does not count. Eight connections lie in a byte, so that
many moments of a large model fit in memory; of a model's weights no copy is made.
Reads models, changes nothing.
"""

import dataclasses
import math
import os
import pathlib

import keras
import numpy as np

from keras_dsd._shared import files, paths
from keras_dsd.analysis._shared import pieces, same_model, units
from keras_dsd.analysis.recording import snapshots
from keras_dsd.layers import conversion, eligibility, model_choice

WANTED = (
    "a model, the path of a `.keras` file, a `Snapshot`, or a dict {path of a weight: "
    "bool array}"
)


@dataclasses.dataclass(frozen=True)
class Moment:
    """The active connections of a model's weights.

    Args:
        label: what the moment is called: an index, the name of its file, the label of
            its snapshot.
        shapes: {path of a weight: its shape}.
        bits: {path: uint8 array, its connections in row-major order, eight to a byte}.
        units: {path: `units.Units`, which of its axes are neurons, filters, heads}.
    """

    label: int | str
    shapes: dict
    bits: dict
    units: dict


def read(moments, name, *, at_least=1):
    """Returns what `stream` yields as a list."""
    return list(stream(moments, name, at_least=at_least))


def stream(moments, name, *, at_least=1):
    """Yields a `Moment` for each, all with the same paths in the same order.

    Takes one after the other, so of a generator's masks no two are in memory at once.
    Numbers that Keras appends to the names of layers may differ between them, as they
    do between models that were built one after the other.

    Args:
        moments: list or another iterable of models, paths of `.keras` files, snapshots
            and dicts.
        name: of the argument, for messages.
        at_least: how many there must be.

    Raises:
        TypeError: one is of another type.
        ValueError: too few, or they are not of one model.
    """
    single = (str, bytes, os.PathLike, dict, keras.layers.Layer)
    if isinstance(moments, single) or not hasattr(moments, "__iter__"):
        raise TypeError(
            f"`{name}` must be a list, of each moment {WANTED}. "
            f"Received: {name} of type {type(moments).__name__}"
        )
    first, number = None, 0
    for one in moments:
        moment = read_one(one, f"{name}[{number}]", number)
        del one  # else it stays while the next one is made
        if first is not None:
            moment = _as_first(first, moment, f"{name}[{number}]")
        first = first or dataclasses.replace(moment, bits={})
        number += 1
        yield moment
    if number < at_least:
        raise ValueError(
            f"`{name}` must hold {at_least} or more. Received: {name} with {number}"
        )


def read_one(one, name, label=0):
    """Returns the `Moment` of a model, a `.keras` file, a snapshot or masks."""
    if isinstance(one, (str, os.PathLike)):
        model = load(one, name)
        label = pathlib.Path(one).stem
        return _of_model(model, name, label)
    if isinstance(one, keras.Model):
        return _of_model(one, name, label)
    if isinstance(one, snapshots.Snapshot):
        masks = ((path, one.mask(path)) for path in one.paths)  # one after the other
        return _of_masks(masks, one.label)
    if not isinstance(one, dict):
        raise TypeError(
            f"`{name}` must be {WANTED}. Received: {name} of type {type(one).__name__}"
        )
    _check(one, name)
    return _of_masks(one.items(), label)


def load(path, name):
    """Returns the model of a `.keras` file, not compiled."""
    file = pathlib.Path(files.name_of(path))
    if file.suffix != ".keras" or not file.is_file():
        raise ValueError(
            f"`{name}` must be the path of a `.keras` file. "
            f"Received: {name}={str(path)!r}"
        )
    return keras.models.load_model(file, compile=False)


def count(bits):
    """Returns how many connections are active, of an array of packed bits."""
    return int.from_bytes(bits.tobytes(), "little").bit_count()


def size(shape):
    """Returns how many connections a weight has, at least 1 to divide by."""
    return max(math.prod(shape), 1)


def packed(masks):
    """Returns bool arrays of rank 1, one after the other, as bits."""
    found, rest = [], np.zeros(0, bool)
    for piece in masks:
        piece = np.concatenate([rest, piece])
        whole = piece.size // 8 * 8
        found.append(np.packbits(piece[:whole]))
        rest = piece[whole:]
    return np.concatenate([*found, np.packbits(rest)])


def _check(masks, name):
    """Raises unless it is given masks that have names."""
    for path, mask in masks.items():
        if not isinstance(path, str) or getattr(mask, "dtype", None) != np.bool_:
            raise TypeError(
                f"`{name}` must be a dict {{path of a weight: bool array}}. Received: "
                f"{name}[{path!r}] of type {type(mask).__name__}, "
                f"dtype {getattr(mask, 'dtype', None)}"
            )
    if not masks:
        raise ValueError(f"`{name}` must hold masks. Received: {name}={{}}")


def _of_masks(masks, label):
    """Returns the `Moment` of (path, bool array) pairs."""
    shapes, bits, axes = {}, {}, {}
    for path, mask in masks:
        shapes[path] = np.shape(mask)
        bits[path] = np.packbits(mask, axis=None)
        axes[path] = units.of(path, shapes[path])
    return Moment(label, shapes, bits, axes)


def _of_model(model, name, label):
    shapes, bits, axes = {}, {}, {}
    owners = eligibility.owners(model)
    for path, variable, mask in weights_of(model, name):
        shapes[path] = tuple(variable.shape)
        bits[path] = packed(_active(variable, mask))
        axes[path] = units.of(path, shapes[path], owners[id(variable)])
    return Moment(label, shapes, bits, axes)


def _active(variable, mask):
    """Yields which of a variable's entries are active, piece by piece."""
    if mask is None:
        for values in pieces.of(variable):
            yield values != 0
    else:
        for values, lives in zip(pieces.of(variable), pieces.of(mask), strict=True):
            yield (values != 0) | lives


def weights_of(model, name):
    """Returns (path, variable, mask in force or `None`) of what is prunable, or may be.

    The path is the one that a weight had when it became prunable: in the audit log too.
    """
    if conversion.states(model):
        found = [
            (weight.origin, weight.variable, weight.mask if state.in_force else None)
            for state in conversion.built_states(model)
            for weight in state.pruned
        ]
    else:
        plain = model_choice.weights_by_default(model)
        found = [(variable.path, variable, None) for variable in plain]
    if not found:
        raise ValueError(
            f"{model_choice.why_nothing(model)}. Received: {name}={model!r}"
        )
    names = paths.distinct(path for path, _, _ in found)
    return [(name, *rest) for name, (_, *rest) in zip(names, found, strict=True)]


def _as_first(first, moment, name):
    """Returns a moment with the paths of the first one, in its order."""
    if moment.shapes != first.shapes:
        same = same_model.paths(first.shapes, moment.shapes, name)
        bits = {path: moment.bits[same[path]] for path in first.shapes}
    else:
        bits = {path: moment.bits[path] for path in first.shapes}
    return dataclasses.replace(first, label=moment.label, bits=bits)
