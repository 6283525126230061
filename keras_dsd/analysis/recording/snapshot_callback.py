"""`Snapshots`: keeps of a run what pictures of it need, and nothing more.

Knows Keras's `fit` and what prunable layers carry; which phase it is it reads from
them. What stays on disk is `snapshot_folder`'s business.
"""

import math
import pathlib
from typing import Any

import keras

from keras_dsd._shared import checks, config, files
from keras_dsd.analysis.recording import snapshot_files
from keras_dsd.analysis.recording.snapshot_folder import Folder
from keras_dsd.analysis.recording.snapshot_source import Source, in_words

UNITS = ("epochs", "steps")


@config.serializable
class Snapshots(keras.callbacks.Callback):
    """Keeps masks and weights of the moments that matter, for `keras_dsd.analysis`.

    At every boundary of phases: before pruning, after pruning, the end of a sparse
    phase, the end; and `every` so many epochs or optimizer steps in between, if asked
    for. Masks take a bit for each prunable weight. Nothing else is kept: no biases, no
    optimizer's state. `analysis.snapshots.read` reads them.

    Which epoch is a phase's last is known when the next one begins. So each epoch's end
    takes the place of that before, in one file, `last.snapshot.h5`. All files are whole
    at every moment.

    A run that was killed and goes on, with `keras_dsd.Backup` or `initial_epoch`, goes
    on with its snapshots: those of the epochs that it repeats are dropped. A run that
    begins with epoch 0 begins anew: the snapshots of an earlier one are deleted. List
    it after `DSDCallback`, so that it sees what that has done.

    Args:
        directory: a str or an `os.PathLike`, a folder for this run alone; made if it is
            not there, in a folder that is. Each process needs its own.
        every: integer; snapshots after every so many epochs or optimizer steps too.
            Defaults to `None`: of the boundaries alone.
        unit: "epochs" or "steps", what `every` counts. Defaults to "epochs".
        weights: of which moments weights are kept beside the masks: `True` for all,
            "boundaries" for those of the phases, `False` for none. Defaults to
            "boundaries".
        precision: of the kept weights, "float32" or "float16"; in "float16" what is
            not zero stays not zero. Defaults to "float32".
        verbose: 0 for silence, 1 for a line before training that says what it will
            take. Defaults to 1.

    Raises:
        TypeError, ValueError: an argument is not as said; from `fit`, before training:
            the model holds nothing prunable or is not built, the snapshots in the
            folder are of another run than the one that goes on.
        OSError: from `fit`: the folder can't be read or written.

    >>> from keras_dsd import analysis
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> kept = analysis.Snapshots(folder.name, every=100, unit="steps", weights=False)
    >>> kept.get_config()["every"]
    100
    >>> folder.cleanup()
    """

    def __init__(
        self,
        directory,
        *,
        every=None,
        unit="epochs",
        weights="boundaries",
        precision="float32",
        verbose=1,
    ):
        super().__init__()
        self.directory = files.name_of(directory)
        if not pathlib.Path(self.directory).absolute().parent.is_dir() or (
            pathlib.Path(self.directory).is_file()
        ):
            raise ValueError(
                "`directory` must be a folder, or a new one in a folder that exists. "
                f"Received: directory={directory!r}"
            )
        self.every = every
        if every is not None:
            self.every = checks.integer(every, "every", at_least=1)
        self.unit = checks.one_of(unit, "unit", UNITS)
        if not isinstance(weights, bool):
            checks.one_of(weights, "weights", ("boundaries",))
        self.weights = weights
        self.precision = checks.one_of(
            precision, "precision", snapshot_files.PRECISIONS
        )
        self.verbose = checks.integer(verbose, "verbose", at_least=0)

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            "directory": self.directory,
            "every": self.every,
            "unit": self.unit,
            "weights": self.weights,
            "precision": self.precision,
            "verbose": self.verbose,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the callback that `get_config` described."""
        return cls(**config)

    def needs(self, model):
        """Returns what a snapshot of a model takes, in bytes.

        Args:
            model: a `keras.Model` that is prunable and built.

        Returns:
            dict: `masks` and `weights`, of one snapshot on disk; `boundary`, what one
            at a boundary takes; `between`, one of `every`; `memory`, what is read of
            the model at a time, beside which nothing is held.
        """
        shapes = [shape for _, shape in Source(model).shapes]
        masks = sum(-(-math.prod(shape) // 8) for shape in shapes)
        weights = sum(map(math.prod, shapes))
        weights *= snapshot_files.PRECISIONS[self.precision]
        return {
            "masks": masks,
            "weights": weights,
            "boundary": masks + (weights if self.weights else 0),
            "between": masks + (weights if self.weights is True else 0),
            "memory": max(map(snapshot_files.memory_of, shapes)),
        }

    def set_model(self, model):
        """Checks that there is something to keep, before anything changes."""
        super().set_model(model)
        Source(model)

    def on_train_begin(self, logs=None):
        """Says what it will take, and keeps what training begins with."""
        self._of_model = Source(self.model)
        self._accumulation = self._source.accumulation
        self._epoch: Any = None  # none has begun
        self._batches = self._counted = 0  # of the epoch, and of the one before
        self._is_due = False
        path = pathlib.Path(self.directory)
        path.mkdir(exist_ok=True)
        self._folder = Folder(path)
        if self.verbose:
            print(self._told())
        source = self._source
        epoch = 0 if source.phase is None else source.position.epoch
        step = 0 if source.phase is None else self._steps(epoch + 1)
        self._folder.write_start(self._notes("before", epoch, step), source.arrays)

    def _told(self):
        needs, epochs = self.needs(self.model), self.params.get("epochs") or 0
        between = ""
        if self.every:
            count = f"{epochs // self.every} times" if self.unit == "epochs" else ""
            between = (
                f", and {in_words(needs['between'])} every {self.every} {self.unit}"
            )
            between += f" ({count})" if count else ""
        return (
            f"Snapshots in {self.directory!r}: {in_words(needs['boundary'])} on disk "
            f"for each boundary of phases and as much for the last epoch{between}; "
            f"{in_words(needs['memory'])} of memory while one is written."
        )

    def on_epoch_begin(self, epoch, logs=None):
        """Keeps what could not be kept before; knows which run it is."""
        if self._epoch is None:
            self._begin(epoch)
        if self._is_due or self._is_missing(epoch):
            self._keep_epoch(epoch - 1)
        self._epoch, self._batches = epoch, 0
        self._is_new = True

    def _begin(self, epoch):
        source = self._source
        try:
            self._folder.begin(epoch, source.shapes, source.digest)
        except ValueError:
            self._folder.drop_start()  # training does not begin
            raise

    def _is_missing(self, epoch):
        """Whether the epoch before has been restored and its end was not kept."""
        position, last = self._source.position, self._folder.last
        stands = position.phase >= 0 and position.epoch == epoch - 1
        return stands and (last is None or last["epoch"] != epoch - 1)

    def on_train_batch_begin(self, batch, logs=None):
        """Sees, after all callbacks have begun the epoch, whether a phase has begun."""
        if not self._is_new:
            return
        self._is_new = False
        folder, place = self._folder, self._source.place
        if folder.last and folder.last["place"] != place:
            folder.settle_last(is_end=folder.last["epoch"] == self._epoch - 1)
        if folder.start:
            self._settle_start(place)
        is_entered = folder.latest is None or folder.latest["place"] != place
        if self._source.is_masked and is_entered:
            self._write("begin", self._epoch, self._steps(self._epoch))

    def _settle_start(self, place):
        """Decides whether what training began with is one of the moments."""
        folder = self._folder
        start, latest = folder.start, folder.latest
        if not self._epoch and self._source.is_masked:
            folder.keep_start("before")
        elif (
            # Restored: killed after the epoch was saved, and before its end was kept.
            self._epoch
            and start["phase"] is not None
            and start["epoch"] == self._epoch - 1
            and start["place"] != place
            and (latest is None or latest["epoch"] < self._epoch - 1)
        ):
            folder.keep_start("end")
        else:
            folder.drop_start()

    def on_train_batch_end(self, batch, logs=None):
        """Keeps what is due with the optimizer step."""
        before, self._batches = self._batches, batch + 1
        if self.every and self.unit == "steps":
            step = self._steps(self._epoch, self._batches)
            if step // self.every > self._steps(self._epoch, before) // self.every:
                self._write("within", self._epoch, step)

    def on_epoch_end(self, epoch, logs=None):
        """Keeps what the epoch has come to."""
        self._counted = self._batches
        self._is_due = True
        # A `DSDCallback` further down the list has not finished the epoch yet: then
        # this waits for the beginning of the next one.
        if "dsd_phase" in (logs or {}):
            self._keep_epoch(epoch)

    def on_train_end(self, logs=None):
        """Keeps what training has come to."""
        position = self._source.position
        if self._epoch is not None:
            self._keep_epoch(self._epoch, finished=True)
        elif position.phase >= 0 and position.finished:
            # Restored, and not trained: killed before its end was kept, maybe.
            self._begin(position.epoch + 1)
            if self._folder.last and not self._folder.last["finished"]:
                self._keep_epoch(position.epoch, finished=True)
        self._folder.drop_start()

    def _keep_epoch(self, epoch, finished=False):
        self._is_due = False
        self._folder.note(epoch, self._source.digest)
        step = self._steps(epoch + 1)
        is_asked_for = self.every and self.unit == "epochs" and not finished
        if is_asked_for and (epoch + 1) % self.every == 0:
            self._write("within", epoch, step)
        self._write("end", epoch, step, is_last=True, finished=finished)

    def _write(self, at, epoch, step, is_last=False, finished=False):
        notes = {**self._notes(at, epoch, step), "finished": finished}
        self._folder.write(notes, self._source.arrays, is_last)

    def _notes(self, at, epoch, step):
        source = self._source
        is_kept = self.weights is True or (self.weights and at != "within")
        return {
            "at": at,
            "step": step,
            "epoch": epoch,
            "phase": source.phase,
            "place": source.place,
            "unit": self.unit,
            "finished": False,
            "precision": self.precision if is_kept else None,
            "weights": [
                {"path": path, "shape": list(shape)} for path, shape in source.shapes
            ],
        }

    @property
    def _source(self):
        _ = self.model  # on JAX that brings its variables up to date
        return self._of_model

    def _steps(self, epochs, batches=0):
        """Returns how many optimizer steps have been made, as the audit log counts."""
        in_epoch = self.params.get("steps") or self._counted
        return (epochs * in_epoch + batches) // self._accumulation
