"""The log of a run's mask updates: one line of JSON for each, in one file.

A run that was killed and goes on finds its log as it was when the lost work began.
Knows files and NumPy masks; knows no model and no training loop.
"""

import json
import os

import numpy as np

from keras_dsd._shared import checks, files, mask_log
from keras_dsd._shared.mask_log import read

__all__ = [
    "AuditLog",
    "entry",
    "read",
]


class AuditLog:
    """A file to which a run writes its mask updates. Creating one writes nothing.

    Args:
        path: the file's path, a str or an `os.PathLike`. Its folder must exist.

    Raises:
        TypeError: `path` is neither.
        ValueError: its folder does not exist, or it is no regular file, say a folder.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> from keras_dsd import audit
    >>> old, new = np.array([True, False]), np.array([False, True])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "audit.jsonl")
    ...     log = audit.AuditLog(path)
    ...     log.begin(None)
    ...     log.write(step=100, epoch=2, phase=0, drop_fraction=0.3, explored=0.4,
    ...         weights=[audit.entry("dense/kernel", old, new)])
    ...     (record,) = audit.read(path)
    >>> record["step"], record["weights"][0]["grown"]
    (100, 1)
    """

    def __init__(self, path):
        self.path = files.writable(path)

    def begin(self, epoch):
        """Prepares the file for a run; call it once, before the run's first `write`.

        The file is replaced as a whole: whatever goes wrong, it is the old or the new.

        Args:
            epoch: the epoch with which a resumed run goes on, an integer: updates of
                earlier epochs stay, later ones, and what is no update, go. `None` for
                a new run: the file starts empty.

        Raises:
            TypeError, ValueError: `epoch` is neither `None` nor an integer >= 0.
            OSError: the file can't be read or written.
        """
        kept = []
        if epoch is not None:
            epoch = checks.integer(epoch, "epoch", at_least=0)
            kept = [line for line in self._lines() if _is_before(epoch, line)]
        with files.replacing(self.path) as new:
            new.write_bytes(b"".join(line + b"\n" for line in kept))

    def _lines(self):
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []

    # One argument for each key of the record: together they are the format.
    def write(  # noqa: PLR0913
        self, *, step, epoch, phase, drop_fraction, explored, weights, search=None
    ):
        """Appends one update, as one line.

        Args:
            step: optimizer steps since training began.
            epoch: the epoch that is running, counted from 0 as `fit` does.
            phase: index of the phase.
            drop_fraction: fraction of the active connections that were to be dropped,
                in [0, 1].
            explored: share of all connections that have ever been active in the phase,
                in [0, 1].
            weights: list with what `entry` returns for each weight.
            search: dict that tells how `sparsity="auto"` found the sparsity of the
                phase that begins with this update: `metric`, `grows`, `baseline`,
                `tolerance`, `sparsity`, `by_weight` and `trials`, a list of [path or
                None, sparsity, value]. Defaults to `None`: the line has no such key.

        Raises:
            TypeError, ValueError: an argument is not as said; nothing is written.
            OSError: the file can't be written.
        """
        record = mask_log.checked(
            step, epoch, phase, drop_fraction, explored, weights, search
        )
        line = json.dumps(record).encode() + b"\n"
        with open(self.path, "ab") as file:
            file.write(line)
            file.flush()
            # A backup written after it must not outlive it when the power fails.
            os.fsync(file.fileno())


def entry(path, old, new):
    """Returns what the log says of one weight: how its mask changed.

    Args:
        path: the weight's path.
        old: its mask before the update, a bool array, True where it is active.
        new: its mask after the update.

    Returns:
        A dict: "path"; "size", the number of connections; "kept", those active before
        and after; "dropped", before only; "grown", after only; "sha256", of the new
        mask in row-major order, eight connections to a byte.

    Raises:
        TypeError: `path` is no str, or a mask no bool array.
        ValueError: the masks differ in shape.

    Example:

    >>> import numpy as np
    >>> found = entry("kernel", np.array([True, True]), np.array([True, False]))
    >>> found["size"], found["kept"], found["dropped"], found["grown"]
    (2, 1, 1, 0)
    """
    if not isinstance(path, str):
        raise TypeError(f"`path` must be a str. Received: path={path!r}")
    for name, mask in (("old", old), ("new", new)):
        if getattr(mask, "dtype", None) != np.bool_:
            raise TypeError(f"`{name}` must be a bool array. Received: {name}={mask!r}")
    if old.shape != new.shape:
        raise ValueError(
            "`old` and `new` must have the same shape. "
            f"Received: old.shape={old.shape}, new.shape={new.shape}"
        )
    return {
        "path": path,
        "size": int(new.size),
        "kept": int(np.count_nonzero(old & new)),
        "dropped": int(np.count_nonzero(old & ~new)),
        "grown": int(np.count_nonzero(~old & new)),
        "sha256": mask_log.digest(new),
    }


def _is_before(epoch, line):
    try:
        return mask_log.parse(line)["epoch"] < epoch
    except ValueError:
        return False
