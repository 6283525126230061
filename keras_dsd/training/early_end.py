"""Phases that end early: follows the metrics that `Plateau`s watch, through one run.

Knows plateaus, logs and the position that stores what was found; knows no model.
"""

import math
import warnings

import numpy as np


class EarlyEnd:
    """Decides whether a phase has come to its plateau.

    Metrics of validation are not in every epoch's logs (`validation_freq`), and those
    of other callbacks need not be: an epoch without the metric does not count.
    """

    def __init__(self):
        self._seen = set()  # metrics that have come in this run
        self._warned = set()

    def follow(self, plateau, logs, position, counts):
        """Looks at the logs of an epoch, and notes in `position` what they say.

        Args:
            plateau: the phase's `Plateau`.
            logs: dict of the epoch's metrics.
            position: the run's `Position`.
            counts: whether the epoch counts; not while a sparsity schedule runs.
        """
        monitor = plateau.monitor
        if monitor not in logs:
            # Validation gives the metrics of training, in the epochs in which it runs.
            is_validation = monitor.removeprefix("val_") in logs
            if not self._has_come(plateau, position) and not is_validation:
                self._warn(plateau, logs)
            return
        self._seen.add(monitor)
        if not counts:
            return
        value = float(np.float32(logs[monitor]))  # as it will be stored
        if plateau.improves(value, position.best):
            position.best, position.wait = value, 0
        else:
            position.wait += 1
        position.over = int(position.wait >= plateau.patience)

    def end_phase(self, plateau, logs, position, is_last):
        """Complains if a phase has used up its epochs and its metric never came.

        Args:
            plateau: the phase's `Plateau`.
            logs: dict of the metrics of its last epoch.
            position: the run's `Position`.
            is_last: whether no other phase follows, in which it may come.

        Raises:
            ValueError: in the last phase.
        """
        if self._has_come(plateau, position):
            return
        if is_last:
            raise ValueError(
                "`Plateau` watches a metric that the logs of no epoch held, so that it "
                f"could end no phase. The last: {sorted(logs)}. Validation metrics "
                "need `validation_data`, and a `validation_freq` that is not above the "
                f"number of epochs. Received: monitor={plateau.monitor!r}"
            )
        self._warn(plateau, logs)

    def _has_come(self, plateau, position):
        # A run that goes on knows it from its position.
        in_phase = position.wait > 0 or not math.isnan(position.best)
        return plateau.monitor in self._seen or in_phase

    def _warn(self, plateau, logs):
        if plateau.monitor in self._warned:
            return
        self._warned.add(plateau.monitor)
        warnings.warn(
            f"`Plateau` watches {plateau.monitor!r}, which has not been in the logs so "
            f"far; they hold {sorted(logs)}. Epochs without it do not count.",
            stacklevel=2,
        )
