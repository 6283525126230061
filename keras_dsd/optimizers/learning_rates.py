"""How a phase changes the learning rate, whatever the optimizer was built with.

A rate that is a variable is set. A `LearningRateSchedule` is put inside a
`PhaseLearningRate` for as long as training lasts. Anything else is refused. Knows
optimizers and factors; knows no phase.
"""

from typing import Any

import keras

from keras_dsd._shared import checks, keras_private
from keras_dsd.optimizers import slots as optimizer_slots

RATES = 8  # how many inner optimizers of a MultiOptimizer are remembered

_Schedule: Any = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable(package="keras_dsd")
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
        optimizer: a `keras.optimizers.Optimizer`.
    """

    def __init__(self, optimizer):
        self._leaves = optimizer_slots.leaves(optimizer)

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
                f"`lr_factor` works with up to {RATES} optimizers in one. "
                f"Received: {len(self._leaves)}"
            )

    def read(self):
        """Returns the rates now, one for each optimizer; NaN stands for a schedule."""
        rates = [
            float(keras.ops.convert_to_numpy(source))
            if isinstance(source, keras.Variable)
            else float("nan")
            for source in map(keras_private.learning_rate_source, self._leaves)
        ][:RATES]
        return tuple(rates + [float("nan")] * (RATES - len(rates)))

    def apply(self, factor, first):
        """Sets each rate to `factor` times the `first` one that `read` returned."""
        for leaf, rate in zip(self._leaves, first, strict=False):
            source = keras_private.learning_rate_source(leaf)
            if isinstance(source, PhaseLearningRate):
                source.factor = factor
            elif isinstance(source, _Schedule):
                leaf.learning_rate = PhaseLearningRate(source, factor)
            else:
                leaf.learning_rate = rate * factor

    def rewrap(self, factor):
        """Gives schedules the factor of the phase that a restored run goes on with.

        A rate that is a variable was restored with the optimizer.
        """
        for leaf in self._leaves:
            source = keras_private.learning_rate_source(leaf)
            if isinstance(source, PhaseLearningRate):
                source.factor = factor
            elif isinstance(source, _Schedule) and factor != 1:
                leaf.learning_rate = PhaseLearningRate(source, factor)

    def traced_factors(self):
        """Returns the factors that a traced step holds as constants."""
        sources = map(keras_private.learning_rate_source, self._leaves)
        return tuple(
            source.factor for source in sources if isinstance(source, PhaseLearningRate)
        )

    def unwrap(self):
        """Gives optimizers their own schedules back."""
        for leaf in self._leaves:
            source = keras_private.learning_rate_source(leaf)
            if isinstance(source, PhaseLearningRate):
                leaf.learning_rate = source.schedule
