"""`Plateau`: when a phase ends before its `epochs` are over.

Knows numbers and names of metrics; knows no model.
"""

import dataclasses
import math

from keras_dsd._shared import checks, directions
from keras_dsd._shared.config import Config, serializable


@serializable
@dataclasses.dataclass(frozen=True)
class Plateau(Config):
    """Ends a phase before its `epochs` are over, once a metric no longer improves.

    Works as `keras.callbacks.EarlyStopping` does, within one phase: each phase starts
    to count anew. While a sparsity schedule still runs, nothing is counted, nor are
    epochs whose logs lack the metric (`validation_freq=2`). When a phase ends early the
    following ones come earlier, and `fit` ends with the last.

    Args:
        monitor: a key of the epoch's logs. Defaults to `"val_loss"`.
        patience: epochs without improvement after which the phase ends, 1 or more.
            Defaults to 3.
        min_delta: how much better, as an absolute value, counts as improvement.
            Defaults to 0.
        mode: `"min"`, `"max"` or `"auto"`: as the name ends, a counter behind it apart:
            acc, accuracy, auc, iou, precision, recall, score and the like are to grow,
            loss, error, mse, crossentropy and the like to shrink. Defaults to `"auto"`.

    Raises:
        TypeError, ValueError: an argument is not as said, or `mode` is `"auto"` and the
            name does not tell. From `fit`, at the end of the last phase: the metric
            never came. (It warns as soon as it looks like it.)

    >>> from keras_dsd import phases
    >>> phases.Dense(epochs=50, until=phases.Plateau("val_accuracy")).until.patience
    3
    """

    monitor: str = "val_loss"
    patience: int = 3
    min_delta: float = 0.0
    mode: str = "auto"

    def __post_init__(self):
        if not isinstance(self.monitor, str):
            raise TypeError(
                "`monitor` must be a key of the logs, a string. "
                f"Received: monitor={self.monitor!r}"
            )
        checks.integer(self.patience, "patience", at_least=1)
        checks.not_negative(self.min_delta, "min_delta")
        directions.grows(self.monitor, self.mode)  # or it is asked for

    def improves(self, value, best):
        """Returns whether `value` is better than `best` (NaN: there is none yet)."""
        if math.isnan(best):
            return not math.isnan(value)
        if directions.grows(self.monitor, self.mode):
            return value > best + self.min_delta
        return value < best - self.min_delta
