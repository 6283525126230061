"""How a phase changes the learning rate, whatever the optimizer was built with.

A rate that is a variable is scaled in the first batch of an epoch and given back before
the next begins: what else sets rates, `LearningRateScheduler` or `ReduceLROnPlateau`,
sets the rate that the factor is of. A `LearningRateSchedule` is put inside a
`PhaseLearningRate` for as long as training lasts. Anything else is refused. Knows
optimizers and factors; knows no phase.
"""

import math
from typing import Any

import keras

from keras_dsd._shared import checks, keras_private
from keras_dsd._shared.config import serializable
from keras_dsd.optimizers import slots as optimizer_slots

RATES = 7  # how many inner optimizers of a MultiOptimizer are remembered

_Schedule: Any = keras.optimizers.schedules.LearningRateSchedule


@serializable
class PhaseLearningRate(_Schedule):
    """A learning rate schedule times a factor.

    `DSDCallback` puts an optimizer's schedule into one while it trains and takes it
    out at the end, so it is seldom needed by hand.

    Args:
        schedule: a `keras.optimizers.schedules.LearningRateSchedule`.
        factor: number above 0. Defaults to 1.0.

    Raises:
        TypeError: `schedule` is no schedule.
        ValueError: `factor` is not above 0.

    >>> import keras
    >>> from keras_dsd import schedules
    >>> decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    >>> round(float(schedules.PhaseLearningRate(decay, factor=0.1)(10)), 4)
    0.005
    """

    def __init__(self, schedule, factor=1.0):
        if not isinstance(schedule, _Schedule):
            raise TypeError(
                "`schedule` must be a `keras.optimizers.schedules.LearningRateSchedule`"
                f". Received: schedule={schedule!r}"
            )
        self.schedule = schedule
        self.factor = checks.positive(factor, "factor")

    def __call__(self, step):
        """Returns the rate at optimizer step `step`."""
        return self.schedule(step) * self.factor

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "factor": self.factor,
        }

    @classmethod
    def from_config(cls, config):
        """Makes one from what `get_config` returned."""
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["factor"])


class Rates:
    """The learning rates of an optimizer, or of all optimizers within it.

    Args:
        optimizer: a `keras.optimizers.Optimizer`, or a list of them: each has its own.

    Attributes:
        factor: what the rates are to be multiplied by.
    """

    def __init__(self, optimizer):
        self._leaves = optimizer_slots.leaves(optimizer)
        self._own: dict = {}  # {index of an optimizer: (its own rate, the scaled one)}
        self.factor = 1.0

    def check(self):
        """Raises a ValueError if a factor could not be applied."""
        for leaf in self._leaves:
            source = keras_private.learning_rate_source(leaf)
            if not isinstance(source, (_Schedule, keras.Variable)):
                raise ValueError(
                    "`lr_factor` needs a learning rate that is a number or a "
                    "`LearningRateSchedule`; use `lr_factor=None` to leave the rate "
                    f"alone. Received: learning_rate={source!r} of {leaf!r}"
                )
        if len(self._leaves) > RATES:
            raise ValueError(
                f"`lr_factor` works with up to {RATES} optimizers. "
                f"Received: {len(self._leaves)}"
            )

    @property
    def is_due(self):
        """Whether `scale` has something to do."""
        return self.factor != 1 and not self._own and bool(list(self._numbers()))

    def _numbers(self):
        """Yields (index, optimizer, rate) of those whose rate is a variable."""
        for index, leaf in enumerate(self._leaves[:RATES]):
            source = keras_private.learning_rate_source(leaf)
            if isinstance(source, keras.Variable):
                yield index, leaf, float(keras.ops.convert_to_numpy(source))

    def wrap(self, factor):
        """Takes a factor: schedules get it now, numbers with the next `scale`."""
        self.factor = factor
        for leaf in self._leaves:
            source = keras_private.learning_rate_source(leaf)
            if isinstance(source, PhaseLearningRate):
                source.factor = factor
            elif isinstance(source, _Schedule) and factor != 1:
                leaf.learning_rate = PhaseLearningRate(source, factor)

    def scale(self):
        """Multiplies the rates that are numbers, if they are not."""
        if not self.is_due:
            return
        own = {index: rate for index, _, rate in self._numbers()}
        for index, rate in own.items():
            self._leaves[index].learning_rate = rate * self.factor
        scaled = {index: rate for index, _, rate in self._numbers()}
        self._own = {index: (rate, scaled[index]) for index, rate in own.items()}

    def own(self):
        """Returns the rates that were scaled, NaN for each that is not."""
        rates = [math.nan] * RATES
        for index, (rate, _) in self._own.items():
            rates[index] = rate
        return tuple(rates)

    def are_written(self):
        """Whether something else has set a rate since it was scaled."""
        return any(
            index in self._own and rate != self._own[index][1]
            for index, _, rate in self._numbers()
        )

    def give_back(self, is_relative=True):
        """Undoes `scale`.

        Args:
            is_relative: whether a rate that was set since is one that was read scaled
                and changed by a factor; else it is taken as it is.
        """
        for index, leaf, rate in self._numbers():
            own, scaled = self._own.get(index, (rate, rate))
            if rate == scaled:
                leaf.learning_rate = own
            elif is_relative:
                leaf.learning_rate = rate / self.factor
        self._own = {}

    def recover(self, own, factor):
        """Gives rates back that were restored scaled, or left so by an interrupt.

        An optimizer that is not the one of then has another rate, or no step behind it.

        Args:
            own: what `own` returned then.
            factor: the factor of then.
        """
        for index, leaf, rate in self._numbers():
            if int(keras.ops.convert_to_numpy(leaf.iterations)) == 0:
                continue
            dtype = keras_private.learning_rate_source(leaf).dtype
            # Its own place first; a run that was told of some optimizers only had
            # them at other places.
            for before in (own[index], *own):
                then = keras.ops.cast(before * factor, dtype)
                then = float(keras.ops.convert_to_numpy(then))
                if math.isclose(rate, then, rel_tol=1e-6):
                    leaf.learning_rate = before
                    break

    def traced_factors(self):
        """Returns the factors that a traced step holds as constants."""
        sources = map(keras_private.learning_rate_source, self._leaves)
        return tuple(
            source.factor for source in sources if isinstance(source, PhaseLearningRate)
        )

    def unwrap(self):
        """Gives optimizers their own schedules back."""
        self.factor = 1.0
        for leaf in self._leaves:
            source = keras_private.learning_rate_source(leaf)
            if isinstance(source, PhaseLearningRate):
                leaf.learning_rate = source.schedule
