"""Where weights are read from, piece by piece: models, `.keras` files, snapshots.

Only prunable weights, or of a plain model those that `make_prunable` would choose.
Knows models and files; changes nothing.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable

import keras

from keras_dsd._shared import files
from keras_dsd.analysis._shared import pieces, same_model
from keras_dsd.analysis.masks import moments as moments_
from keras_dsd.analysis.recording import snapshots

WANTED = "a model, the path of a `.keras` file, or a `Snapshot`"


@dataclasses.dataclass(frozen=True)
class Source:
    """The weights of one moment.

    Args:
        label: what it is called.
        shapes: {path of a weight: its shape}.
        pieces: function of a path that yields the weight's values in row-major order,
            arrays of rank 1.
    """

    label: int | str
    shapes: dict
    pieces: Callable


def stream(given, name):
    """Yields a `Source` for each moment, all with the paths of the first.

    Args:
        given: path of a folder of snapshots, whose boundaries of phases are taken; a
            list of models, paths of `.keras` files and `Snapshot`s, or a dict {label:
            one of these}.
        name: of the argument, for messages.

    Raises:
        TypeError: one is of another type.
        ValueError: there is none, they are not of one model, or snapshots are without
            weights.
    """
    first = None
    for number, (label, one) in enumerate(_listed(given, name)):
        source = read(one, f"{name}[{number}]", label)
        first = first or source.shapes
        yield _renamed(source, first, f"{name}[{number}]")
        del source, one  # else a model stays while the next one is loaded
    if first is None:
        raise ValueError(f"`{name}` must not be empty. Received: {name}={given!r}")


def _listed(given, name):
    """Yields (label or `None`, one)."""
    if is_folder(given):
        kept = [one for one in snapshots.read(given) if one.at != "within"]
        return ((None, one) for one in kept)
    if isinstance(given, dict):
        return iter(given.items())
    single = (str, bytes, os.PathLike, keras.layers.Layer, snapshots.Snapshot)
    if isinstance(given, single) or not hasattr(given, "__iter__"):
        raise TypeError(
            f"`{name}` must be the path of a folder of snapshots, or a list or dict, "
            f"each {WANTED}. Received: {name} of type {type(given).__name__}"
        )
    return ((None, one) for one in given)


def is_folder(given):
    """Returns whether it is the path of a folder."""
    if not isinstance(given, (str, os.PathLike)):
        return False
    return pathlib.Path(files.name_of(given)).is_dir()


def read(one, name, label=None):
    """Returns the `Source` of a model, a `.keras` file or a `Snapshot`.

    Raises:
        TypeError, ValueError: it is none of these; it holds nothing prunable.
    """
    if isinstance(one, snapshots.Snapshot):
        one.check_weights()
        return Source(label or one.label, one.shapes, one.pieces)
    if isinstance(one, (str, os.PathLike)):
        model = moments_.load(one, name)
        label = label or pathlib.Path(one).stem
    elif isinstance(one, keras.Model):
        model, label = one, label or one.name
    else:
        raise TypeError(
            f"`{name}` must be {WANTED}. Received: {name} of type {type(one).__name__}"
        )
    found = {path: weight for path, weight, _ in moments_.weights_of(model, name)}
    shapes = {path: tuple(weight.shape) for path, weight in found.items()}
    return Source(label, shapes, lambda path: pieces.of(found[path]))


def _renamed(source, first, name):
    same = same_model.paths(first, source.shapes, name)
    read_pieces = source.pieces
    return Source(source.label, first, lambda path: read_pieces(same[path]))
