"""When learning rates are scaled and given back, in epochs that callbacks share.

Rates are scaled in an epoch's first batch, after all callbacks have set those of the
epoch, and stay so until all have logged them. Knows rates, a timeline and positions;
knows no training loop.
"""

import math
import warnings


class PhaseRates:
    """The learning rates of one run.

    Args:
        rates: the optimizer's `Rates`.
        timeline: the `Timeline`.
        position: the `Position` that is stored with the weights.
    """

    def __init__(self, rates, timeline, position):
        self._rates = rates
        self._timeline = timeline
        self._logs: dict = {}  # of the last epoch
        self._batches = 0  # that the epoch has begun
        self._is_told = False  # that a callback sets the rate in every step
        self.recover(position)

    @property
    def traced_factors(self):
        """The factors that a traced step holds as constants."""
        return self._rates.traced_factors()

    def recover(self, position):
        """Undoes what a run has scaled that was interrupted, or was restored."""
        factor = position.factor
        if math.isnan(factor) and position.phase in range(len(self._timeline.phases)):
            factor = self._timeline.last_factor(position.phase)  # of an old file
        self._rates.recover(position.rates, factor)
        self._note(position)

    def _note(self, position):
        position.rates, position.factor = self._rates.own(), self._rates.factor

    def begin_epoch(self, position):
        """Gives optimizers the rates that the factor is of, and notes it."""
        self._batches = 0
        self._give_back()
        self._note(position)

    def _give_back(self):
        # What sets rates as an epoch ends has read them scaled. It logs them.
        self._rates.give_back(_are_logged(self._logs) and not self._is_told)
        self._logs = {}

    def enter(self, index):
        """Takes the factor of the phase at `index`."""
        self._rates.wrap(self._timeline.last_factor(index))

    @property
    def are_due(self):
        """Whether `begin_batch` has something to do."""
        return self._rates.factor != 1 and self._batches < 2

    def begin_batch(self, position):
        """Scales rates in the first batch; looks in the second what became of them.

        Returns:
            Whether the position has changed.
        """
        self._batches += 1
        if self._rates.is_due:
            self._rates.scale()
            self._note(position)
            return True
        if self._rates.are_written() and not self._is_told:
            self._is_told = True
            warnings.warn(
                "A callback sets the learning rate in every step, so that `lr_factor` "
                "of the phases does not hold. Set it as epochs begin or end, as "
                "`LearningRateScheduler` and `ReduceLROnPlateau` do, or give the "
                "optimizer a `LearningRateSchedule`: those are scaled.",
                stacklevel=2,
            )
        return False

    def end_epoch(self, position, logs):
        """Looks who has logged rates, and may set those of the next epoch.

        What has done so already comes before this in the list of callbacks, and must
        not find the rate scaled when the next epoch begins.
        """
        self._logs = logs
        if _are_logged(logs):
            self._give_back()
            self._note(position)

    def finish(self):
        """Optimizers get their own rates and schedules back."""
        self._give_back()
        self._rates.unwrap()


def _are_logged(logs):
    return any(name.startswith("learning_rate") for name in logs)
