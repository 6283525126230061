"""Where a training run stands among its phases, as one small vector of integers.

Each prunable layer saves a copy with its masks, so that a run that was killed and
started again finds its phase, its plateau and its first learning rates in the weights
themselves, whatever restored them. Knows numbers only.
"""

import dataclasses
import math

import numpy as np

from keras_dsd.optimizers.learning_rates import RATES


@dataclasses.dataclass
class Position:
    """Where a run stands. All epochs are numbers as `fit` counts them, from 0.

    Args:
        phase: index of the phase, -1 before any.
        fingerprint: of the phase, to tell it from another at the same place.
        start: the epoch with which the phase began.
        epoch: the epoch that is running or ran last.
        time: when masks were last updated, in the unit of the phase's schedule; -1: not
            yet in this phase.
        steps: batches in an epoch, 0 as long as they are not known.
        wait: epochs without improvement (phases with `until`).
        over: 1 when the phase has been ended by its plateau.
        finished: 1 when `fit` has come to its end.
        in_force: 1 while masks are in force.
        best: best value of the monitored metric in the phase.
        rates: learning rate of each (inner) optimizer before the phase's factor, NaN
            while that is not applied.
        factor: the factor applied to `rates`; NaN in old files, which do not tell.
    """

    phase: int = -1
    fingerprint: int = 0
    start: int = 0
    epoch: int = 0
    time: int = -1
    steps: int = 0
    wait: int = 0
    over: int = 0
    finished: int = 0
    in_force: int = 0
    best: float = math.nan
    rates: tuple = (math.nan,) * RATES
    factor: float = math.nan

    INTEGERS = 10
    SIZE = INTEGERS + 1 + RATES + 1

    def to_array(self):
        """Returns an int32 array of shape (SIZE,); floats by their float32 bits.

        >>> Position.from_array(Position(phase=2, best=0.5).to_array()).phase
        2
        """
        values = dataclasses.astuple(self)
        integers = np.array(values[: self.INTEGERS], np.int32)
        floats = np.array([self.best, *self.rates, self.factor], np.float32)
        return np.concatenate([integers, floats.view(np.int32)])

    @classmethod
    def from_array(cls, array):
        """Returns the position that `to_array` wrote."""
        array = np.asarray(array, np.int32)
        best, *rates, factor = array[cls.INTEGERS :].view(np.float32).tolist()
        integers = array[: cls.INTEGERS].tolist()
        names = [field.name for field in dataclasses.fields(cls)]
        values = [*integers, best, tuple(rates), factor]
        return cls(**dict(zip(names, values, strict=True)))
