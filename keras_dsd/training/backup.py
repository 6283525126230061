"""`Backup`: all that a run has come to, in one file that is whole at every moment.

Knows Keras's `fit` and files; knows nothing of masks and phases, which are saved with
the weights.
"""

import contextlib
import hashlib
import json
import os

import keras

from keras_dsd._shared import checks, files, keras_private
from keras_dsd.optimizers import model_optimizers

ENDING = ".weights.h5"
DIGEST = hashlib.sha256().digest_size
LENGTH = 8  # bytes that hold the length of the notes


class Backup(keras.callbacks.Callback):
    """Lets a run that was killed at any moment go on by the same command.

    At the end of every epoch it writes weights, masks, the optimizer's state, the
    state of `Dropout` and other random layers, and the number of the next epoch into
    one file. The new file is written beside the old one, synchronized to the disk and
    then takes its place, so a kill within a write costs the epoch in progress and no
    more. If `fit` finds the file, it goes on with what that holds, whatever its
    `initial_epoch`; a run that was trained to its end (also to an early one) is
    restored and not trained again.

    The file stays when training ends, so that a kill before the trained model is saved
    costs nothing either. Delete it to train anew. Give each `fit` of a program a path
    of its own. The file is a Keras weights file with some bytes after its end;
    `model.load_weights(path)` reads it too.

    It works with any Keras model, and anywhere in the list of callbacks; best at its
    end, so that it also saves what others change as an epoch ends. Not in the file are
    the state of other callbacks, say of `EarlyStopping`, and random states that are not
    the model's: of shuffled data and, on PyTorch, of random layers without a `seed`.

    Args:
        path: of the file, a str or an `os.PathLike` that ends in ".weights.h5". Its
            folder must exist.
        verbose: 0 for silence, 1 for a line when a run goes on. Defaults to 1.

    Raises:
        TypeError: `path` is neither a str nor an `os.PathLike`, `verbose` no integer.
        ValueError: the path's ending is another one, its folder does not exist;
            `verbose` is negative. From `fit`, before anything is changed: the file is
            damaged or of another run, the model or one of its optimizers is not built.
        OSError: from `fit`: the file can't be read or written.

    Example:

    >>> import os, tempfile
    >>> import keras, numpy as np, keras_dsd
    >>> x, y = np.ones((16, 8)), np.ones((16, 4))
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "run.weights.h5")
    >>> def command(*others):
    ...     model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    ...     keras_dsd.make_prunable(model).compile("sgd", "mse")
    ...     phases = keras_dsd.phases.dsd(epochs=3, sparsity=0.5)
    ...     dsd = keras_dsd.DSDCallback(phases, verbose=0)
    ...     callbacks = [dsd, keras_dsd.Backup(path), *others]
    ...     return model.fit(x, y, epochs=3, callbacks=callbacks, verbose=0)
    >>> def kill(epoch, logs):
    ...     if epoch == 2:
    ...         raise KeyboardInterrupt
    >>> try:
    ...     command(keras.callbacks.LambdaCallback(on_epoch_begin=kill))
    ... except KeyboardInterrupt:
    ...     history = command()
    Backup: 2 of 3 epochs are trained already.
    >>> history.epoch
    [2]
    >>> folder.cleanup()
    """

    def __init__(self, path, *, verbose=1):
        super().__init__()
        if not files.name_of(path).endswith(ENDING):
            raise ValueError(
                f"`path` must end in {ENDING!r}, as weights files of Keras do. "
                f"Received: path={path!r}"
            )
        self.path = files.writable(path)
        self.verbose = checks.integer(verbose, "verbose", at_least=0)

    def on_train_begin(self, logs=None):
        """Goes on with what the file holds, if there is one."""
        self._next = None  # epoch, once one has been trained
        self._is_due = False
        # Of a run that was killed within a write.
        files.unfinished(self.path).unlink(missing_ok=True)
        if self.path.exists():
            self._restore()

    def on_epoch_begin(self, epoch, logs=None):
        """Saves what could not be saved before."""
        keras_private.start_fit_at(self.model, None)
        if self._is_due:
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        """Saves what the epoch has come to."""
        self._next = epoch + 1
        self._is_due = True
        # A `DSDCallback` further down the list has not finished the epoch yet: then
        # this waits for the beginning of the next one.
        if "dsd_phase" in (logs or {}):
            self._save()

    def on_train_end(self, logs=None):
        """Saves what training has come to."""
        keras_private.start_fit_at(self.model, None)
        if self._next is not None:
            self._save(ended=self.params["epochs"])

    def _save(self, ended=None):
        model = self.model
        notes = {
            "epoch": self._next,
            "ended": ended,
            "variables": _description(model),
            "seeds": [_array(seed).tolist() for seed in _seeds(model)],
        }
        with files.replacing(self.path) as new:
            model.save_weights(new)
            _seal(new, notes)
        self._is_due = False

    def _restore(self):
        model = self.model
        notes = _notes(self.path)
        _check_built(model, notes["variables"])
        _check_same(self.path, notes["variables"], _description(model))
        model.load_weights(self.path)
        for seed, value in zip(_seeds(model), notes["seeds"], strict=True):
            seed.assign(value)
        epochs = self.params["epochs"]
        epoch = epochs if notes["ended"] == epochs else notes["epoch"]
        keras_private.start_fit_at(model, epoch)
        if self.verbose:
            what = (
                "training has come to its end already"
                if epoch >= epochs
                else f"{epoch} of {epochs} epochs are trained already"
            )
            print(f"Backup: {what}.")


def _seeds(model):
    """Returns the states of random layers, which weights files leave out."""
    return [v for v in model.variables if v.name == "seed_generator_state"]


def _array(variable):
    return keras.ops.convert_to_numpy(variable)


def _description(model):
    """Returns what tells a run's model from another: its variables, as text.

    Without the names of layers: a second model in one process has others.
    """
    described = [_text(variable.name, variable) for variable in model.variables]
    for optimizer in model_optimizers.of(model).values():
        name = type(optimizer).__name__
        described += [_text(name, variable) for variable in optimizer.variables]
    return described


def _text(name, variable):
    return f"{name} {tuple(variable.shape)} {variable.dtype}"


def _check_built(model, saved):
    if not model.built:
        raise ValueError(
            "Build the model before `fit`, say by calling it on a batch: the weights "
            f"in a backup need a place. Received: model={model!r}"
        )
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    unbuilt = [
        name for name, one in model_optimizers.of(model).items() if not one.built
    ]
    if unbuilt and saved != _description(model):
        raise ValueError(
            "Build each optimizer of the model before `fit`, with the variables that "
            "it trains: its state in a backup needs a place. "
            f"Received: {unbuilt}, which are not built"
        )


def _check_same(path, saved, found):
    if saved == found:
        return
    pairs = zip(saved, found, strict=False)
    differing = (f"{one!r}, not {other!r}" for one, other in pairs if one != other)
    what = next(differing, f"{len(saved)} variables, not {len(found)}")
    raise ValueError(
        f"The backup is of another run, with another model or optimizer: it holds "
        f"{what}. Delete it, or give this run another path. "
        f"Received: path={str(path)!r}"
    )


def _seal(path, notes):
    """Appends notes, their length, and a digest of all before to a weights file.

    What reads HDF5 stops where the file says that it ends.
    """
    text = json.dumps(notes).encode()
    with open(path, "rb+") as file:
        file.seek(0, os.SEEK_END)
        file.write(text + len(text).to_bytes(LENGTH, "big"))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.write(digest)


def _notes(path):
    """Returns the notes in a file; ValueError unless it is what `_seal` left."""
    size = path.stat().st_size - DIGEST
    digest = hashlib.sha256()
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        while file.tell() < size:
            digest.update(file.read(min(size - file.tell(), 1 << 20)))
        if file.read() == digest.digest():
            file.seek(size - LENGTH)
            length = int.from_bytes(file.read(LENGTH), "big")
            file.seek(size - LENGTH - length)
            return json.loads(file.read(length))
    raise ValueError(
        "The file is damaged, or is no backup. Delete it to train from the start. "
        f"Received: path={str(path)!r}"
    )
