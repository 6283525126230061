"""What a run tells: a line as a phase begins, the epoch's logs, the audit log.

Copies no mask where no phase moves connections and no audit log is kept. Knows the
statistics of masks and a log file; knows no phase.
"""

import dataclasses
from typing import Any

from keras import ops

from keras_dsd.training import audit


@dataclasses.dataclass
class Update:
    """One update of masks, while it is made.

    Args:
        before: the masks before it, NumPy arrays; empty where no log is kept.
        fraction: the drop fraction, or `None` if it turned out that nothing was due.
        search: the `auto_sparsity.Search` for the sparsity with which a phase begins,
            or `None`.
    """

    before: list
    fraction: float | None = None
    search: Any = None


class Recorder:
    """Records what happens to the masks of one run.

    Args:
        statistics: the `MaskStatistics` of the run's weights.
        moves: whether any phase moves connections: then the epoch's logs tell.
        log: an `audit.AuditLog`, or `None`.
        announce: function of a line of text, called as a phase begins.
    """

    def __init__(self, statistics, moves, log, announce):
        self._statistics = statistics
        self._moves = moves
        self._log = log
        self.announce = announce
        self._before: list = []  # the masks that the epoch before ended with

    def begin(self, epoch):
        """A run begins, with `None`, or goes on at an epoch."""
        if self._log is not None:
            self._log.begin(epoch)

    def begin_epoch(self):
        """Remembers the masks that the epoch before ended with."""
        if self._moves:
            self._before = self._statistics.masks()

    def begin_phase(self):
        """Forgets what lived in earlier phases: a phase has its first masks."""
        if self._moves:
            self._statistics.forget_explored()
            self._before = self._statistics.masks()

    def begin_update(self):
        """Returns the `Update` that is about to be made."""
        return Update(self._arrays() if self._log else [])

    def write(self, update, position, step):
        """Writes an update to the log.

        Args:
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
            explored=self._explored(),
            weights=[
                audit.entry(path, old, new)
                for path, old, new in zip(
                    self._statistics.paths, update.before, self._arrays(), strict=True
                )
            ],
            search=update.search and update.search.to_dict(),
        )

    def sparsity(self):
        """Returns the fraction of the weights that the masks hold at zero."""
        return self._statistics.sparsity()

    def logs(self):
        """Returns what the epoch's logs get: the same float keys in every epoch."""
        if not self._moves:
            return {}
        return {
            "churn": float(self._statistics.churn(self._before)),
            "explored": float(self._statistics.explored()),
        }

    def _explored(self):
        statistics = self._statistics
        return statistics.explored() if self._moves else 1 - statistics.sparsity()

    def _arrays(self):
        """Returns all masks as NumPy arrays."""
        return list(map(ops.convert_to_numpy, self._statistics.masks()))
