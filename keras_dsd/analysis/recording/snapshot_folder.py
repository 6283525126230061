"""The snapshots of one run in one folder: which stay when a run goes on.

Two files may turn out not to be needed: what an epoch has come to (`last`), until the
next phase begins, and what training began with (`START`). Knows files; knows no model
and no training loop.
"""

import os
import uuid
from typing import Any

from keras_dsd.analysis.recording import snapshot_files, snapshots

START = "start.unfinished.h5"  # no snapshot yet, so `read` passes over it


class Folder:
    """The folder of one run.

    Args:
        path: `pathlib.Path`, which exists.

    Attributes:
        latest: the notes of the latest snapshot, or `None`.
        last: the notes of what the last epoch has come to, or `None`.
        start: the notes of what training began with, or `None`.
        run: id of the run.
    """

    def __init__(self, path):
        self.path = path
        self.latest: Any = None
        self.last: Any = None
        self.start: Any = None
        self.run: str | None = None
        self._journal: dict = {}

    def begin(self, epoch, shapes, digest):
        """A run begins with epoch 0, or goes on: what is of later epochs goes.

        Args:
            epoch: the epoch that begins.
            shapes: list of (path, shape) of the weights.
            digest: of the parts of the model that no phase changes.

        Raises:
            ValueError: a run goes on that is not the one of the snapshots; nothing is
                deleted.
        """
        old = snapshots.listed(self.path)
        notes = {file: snapshot_files.read_notes(file) for file in old if epoch}
        if notes:
            snapshots.read(self.path)  # refuses snapshots of several runs
            self._check_same(list(notes.values()), epoch, shapes, digest)
        for file in old:
            if file not in notes or notes[file]["epoch"] >= epoch:
                file.unlink()
                notes.pop(file, None)
        kept = sorted(notes.values(), key=snapshots.order)
        self.latest = kept[-1] if kept else None
        self.last = notes.get(self.path / snapshots.LAST)
        if not self.run:
            self.run = uuid.uuid4().hex

    def _check_same(self, found, epoch, shapes, digest):
        newest = max(found, key=snapshots.order)
        known = [(one["path"], tuple(one["shape"])) for one in newest["weights"]]
        journal = newest["journal"]
        # A run that was saved and killed before its snapshot was is an epoch further.
        is_next = max(map(int, journal), default=-1) == epoch - 2
        is_same = is_next or digest in journal.get(str(epoch - 1), [])
        if shapes != known or not is_same:
            raise ValueError(
                "The snapshots are of another run: epoch "
                f"{epoch - 1} of theirs did not end with these weights. Delete them, "
                "or give this run another folder. "
                f"Received: directory={str(self.path)!r}"
            )
        self.run = newest["run"]
        self._journal = {key: one for key, one in journal.items() if int(key) < epoch}

    def note(self, epoch, digest):
        """Remembers what an epoch ended with, by which a run that goes on is known."""
        seen = self._journal.setdefault(str(epoch), [])
        if digest not in seen:
            seen.append(digest)

    def write(self, notes, weights, is_last=False):
        """Writes a snapshot.

        Args:
            notes: as for `snapshot_files.write`.
            weights: as for `snapshot_files.write`.
            is_last: whether the next epoch's takes its place, if the phase goes on.
        """
        notes = {**notes, "run": self.run, "journal": self._journal}
        name = snapshots.LAST if is_last else _name(notes)
        snapshot_files.write(self.path / name, notes, weights)
        self.latest = notes
        if is_last:
            self.last = notes
            if notes["finished"]:
                self._drop_same()

    def write_start(self, notes, weights):
        """Writes what training begins with; `keep_start` or `drop_start` follows."""
        snapshot_files.write(self.path / START, notes, weights)
        self.start = notes

    def settle_last(self, is_end):
        """A phase begins: was `last` the end of the one before, or before its end?"""
        if is_end:
            os.replace(self.path / snapshots.LAST, self.path / _name(self.last))
            self._drop_same()
        else:
            (self.path / snapshots.LAST).unlink()
        self.last = None

    def _drop_same(self):
        """Drops the snapshot of the same moment that was due by the count."""
        name = _name({**self.last, "at": "within"})
        (self.path / name).unlink(missing_ok=True)

    def keep_start(self, at):
        """What training began with is a moment of the run, "before" it or an "end"."""
        notes = {**self.start, "at": at, "run": self.run, "journal": self._journal}
        snapshot_files.rewrite_notes(self.path / START, notes)
        os.replace(self.path / START, self.path / _name(notes))
        self.latest, self.start = notes, None

    def drop_start(self):
        """What training began with is not needed."""
        (self.path / START).unlink(missing_ok=True)
        self.start = None


def _name(notes):
    place = f"step{notes['step']:010d}-epoch{notes['epoch']:06d}-{notes['at']}"
    return place + snapshot_files.ENDING
