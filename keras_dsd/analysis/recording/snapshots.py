"""What `Snapshots` has kept of a run: its moments, masks and weights, read back.

Knows files and arrays; knows no model.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping

import numpy as np

from keras_dsd._shared import files
from keras_dsd.analysis.recording import snapshot_files

LAST = f"last{snapshot_files.ENDING}"
ORDER = ("before", "within", "end", "begin")  # of moments at one step


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """One moment of a run. Masks and weights are read from its file when asked for.

    Args:
        label: which it is, in words: "before pruning" and "after pruning", "end of
            sparse", "end of phase", "end" of a run that came to its end, "last" of one
            that did not, or "after epoch 4", "after step 300" in between.
        step: optimizer steps that had been made.
        epoch: the epoch that was running or had just ended, counted from 0.
        phase: index of the phase, `None` before the first and without `DSDCallback`.
        at: "before" training, "begin" of a phase whose masks have just been put on,
            "end" of an epoch, "within" a phase.
        masked: whether masks were in force.
        shapes: {path of a weight: its shape}. Paths are those that the weights had
            when they became prunable, as in the audit log.
        precision: of the weights, "float32" or "float16"; `None` if none are kept.
        run: id of the run.
        file: `pathlib.Path` of the file.
    """

    label: str
    step: int
    epoch: int
    phase: int | None
    at: str
    masked: bool
    shapes: dict
    precision: str | None
    run: str
    file: pathlib.Path

    @functools.cached_property
    def _notes(self):
        listed = snapshot_files.read_notes(self.file)["weights"]
        return {one["path"]: (index, one) for index, one in enumerate(listed)}

    @property
    def paths(self):
        """Paths of the weights, in the order of the model."""
        return list(self.shapes)

    @property
    def masks(self):
        """A new dict {path: bool array}, True where a weight lives.

        Where no mask was in force, all of it is True.
        """
        return {path: self.mask(path) for path in self.shapes}

    def mask(self, path):
        """Returns the mask of one weight, a bool array.

        Raises:
            ValueError: there is no such weight, or the file is damaged.
        """
        index, one = self._entry(path)
        if not one["masked"]:
            return np.ones(self.shapes[path], bool)
        return snapshot_files.read_mask(self.file, index, self.shapes[path])

    @property
    def weights(self):
        """A mapping {path: array} that reads each weight as it is asked for.

        Raises:
            ValueError: weights were not kept, see `Snapshots(weights=...)`.
        """
        self.check_weights()
        return Weights(self)

    def pieces(self, path):
        """Yields one weight's values in row-major order, arrays of at most 2**20.

        Raises:
            ValueError: there is no such weight, weights were not kept, or the file is
                damaged.
        """
        self.check_weights()
        yield from snapshot_files.read_pieces(self.file, self._entry(path)[0])

    def check_weights(self):
        """Raises a ValueError if weights were not kept."""
        if self.precision is None:
            raise ValueError(
                "Of this moment masks alone were kept: see `Snapshots(weights=...)`. "
                f"Received: moment {self.label!r} of {str(self.file)!r}"
            )

    def _entry(self, path):
        if path not in self.shapes:
            raise ValueError(
                f"There is no such weight. Known: {self.paths}. Received: path={path!r}"
            )
        return self._notes[path]


class Weights(Mapping):
    """{path: array} of a `Snapshot`, read as they are asked for, and not kept."""

    def __init__(self, moment):
        self._moment = moment

    def __getitem__(self, path):
        if path not in self._moment.shapes:
            raise KeyError(path)
        parts = list(self._moment.pieces(path))
        return np.concatenate(parts or [[]]).reshape(self._moment.shapes[path])

    def __iter__(self):
        return iter(self._moment.shapes)

    def __len__(self):
        return len(self._moment.shapes)


def read(directory):
    """Returns the moments that `Snapshots` has kept of a run.

    Args:
        directory: str or `os.PathLike`.

    Returns:
        List of `Snapshot`, in the order in which they were.

    Raises:
        TypeError: `directory` is neither a str nor an `os.PathLike`.
        ValueError: there is no such folder or no snapshot in it; a snapshot is damaged,
            of another version, or of another run than the rest.

    >>> import keras, keras_dsd, numpy as np, tempfile
    >>> from keras_dsd import analysis, phases
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = keras_dsd.make_prunable(model)
    >>> model.compile("sgd", "mse")
    >>> folder = tempfile.TemporaryDirectory()
    >>> dsd = keras_dsd.DSDCallback(phases.dsd(epochs=3, sparsity=0.5), verbose=0)
    >>> kept = analysis.Snapshots(folder.name, verbose=0)
    >>> history = model.fit(np.ones((16, 8)), np.ones((16, 4)), epochs=3, verbose=0,
    ...     callbacks=[dsd, kept])
    >>> moments = analysis.snapshots.read(folder.name)
    >>> [(moment.label, moment.step) for moment in moments]
    [('before pruning', 1), ('after pruning', 1), ('end of sparse', 2), ('end', 3)]
    >>> [mask.shape for mask in moments[1].masks.values()]
    [(8, 4)]
    >>> folder.cleanup()
    """
    folder = pathlib.Path(files.name_of(directory))
    if not folder.is_dir():
        raise ValueError(f"There is no such folder. Received: directory={directory!r}")
    found = {path: snapshot_files.read_notes(path) for path in listed(folder)}
    if not found:
        raise ValueError(
            f"There is no snapshot in the folder. Received: directory={directory!r}"
        )
    first = next(iter(found.values()))
    for path, notes in found.items():
        if (notes["run"], _shapes(notes)) != (first["run"], _shapes(first)):
            raise ValueError(
                "The folder holds snapshots of more than one run: "
                f"{path.name!r} is not of run {first['run']!r}. "
                f"Received: directory={directory!r}"
            )
    ordered = sorted(found, key=lambda path: order(found[path]))
    return [
        _moment(path, found[path], [found[later] for later in ordered[place + 1 :]])
        for place, path in enumerate(ordered)
    ]


def listed(folder):
    """Returns the paths of the snapshots in a folder."""
    return sorted(folder.glob(f"*{snapshot_files.ENDING}"))


def order(notes):
    """Returns by what the notes of a run's snapshots are sorted."""
    return notes["step"], notes["epoch"], ORDER.index(notes["at"])


def _shapes(notes):
    return {one["path"]: tuple(one["shape"]) for one in notes["weights"]}


def _moment(path, notes, later):
    masked = any(one["masked"] for one in notes["weights"])
    return Snapshot(
        _label(path, notes, masked, later),
        notes["step"],
        notes["epoch"],
        notes["phase"],
        notes["at"],
        masked,
        _shapes(notes),
        notes["precision"],
        notes["run"],
        path,
    )


def _label(path, notes, masked, later):
    if notes["at"] == "within":
        if notes["unit"] == "epochs":
            return f"after epoch {notes['epoch'] + 1}"
        return f"after step {notes['step']}"
    if notes["at"] == "begin":
        return "after pruning"
    if path.name == LAST:
        return "end" if notes["finished"] else "last"
    following = next((one["at"] for one in later if one["at"] != "within"), None)
    if masked:
        return "end of sparse"
    return "before pruning" if following == "begin" else "end of phase"
