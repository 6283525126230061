"""Watching connections move: what the epoch's logs and the audit log say of it.

Costs nothing where no phase moves connections and no log is kept. Knows the updates of
a run and a log file; knows no phase.
"""

import dataclasses

from keras import ops

from keras_dsd.training import audit


@dataclasses.dataclass
class Update:
    """One update of masks, while it is made.

    Args:
        before: the masks before it, NumPy arrays; empty where no log is kept.
        fraction: the drop fraction, or `None` if it turned out that nothing was due.
    """

    before: list
    fraction: float | None = None


class Watch:
    """Watches the masks of one run.

    Args:
        moves: whether any phase moves connections: then the epoch's logs tell.
        log: an `audit.AuditLog`, or `None`.
    """

    def __init__(self, moves, log):
        self._moves = moves
        self._log = log
        self._before: list = []

    def begin(self, epoch):
        """A run begins, with `None`, or goes on at an epoch."""
        if self._log is not None:
            self._log.begin(epoch)

    def begin_epoch(self, updates):
        """Remembers the masks that the epoch before ended with."""
        if self._moves:
            self._before = updates.masks()

    def begin_phase(self, updates):
        """Forgets what lived in earlier phases: the first masks of one are laid."""
        if self._moves:
            updates.forget_explored()
            self._before = updates.masks()

    def begin_update(self, updates):
        """Returns the `Update` that is about to be made."""
        return Update(list(map(_array, updates.masks())) if self._log else [])

    def write(self, updates, update, position, step):
        """Writes an update to the log.

        Args:
            updates: the run's `Updates`.
            update: the `Update`, made.
            position: the run's `Position`.
            step: optimizer steps since training began.
        """
        if self._log is None:
            return
        self._log.write(
            step=step,
            epoch=position.epoch,
            phase=position.phase,
            drop_fraction=float(update.fraction),
            explored=self._explored(updates),
            weights=[
                audit.entry(path, old, _array(new))
                for path, old, new in zip(
                    updates.paths, update.before, updates.masks(), strict=True
                )
            ],
        )

    def _explored(self, updates):
        return updates.explored() if self._moves else 1 - updates.sparsity()

    def logs(self, updates):
        """Returns what the epoch's logs get: the same float keys in every epoch."""
        if not self._moves:
            return {}
        return {
            "churn": float(updates.churn(self._before)),
            "explored": float(updates.explored()),
        }


def _array(mask):
    return ops.convert_to_numpy(mask)
