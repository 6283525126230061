"""What all phases share, and the number by which a stored run knows its phase again.

Knows numbers and names; knows no model, no optimizer and no mask.
"""

import dataclasses
import math
import numbers
import re
import zlib
from typing import Any, ClassVar

from keras_dsd._shared import checks
from keras_dsd._shared.config import Config
from keras_dsd.sparsity import counts
from keras_dsd.training.phases.plateau import Plateau


@dataclasses.dataclass(frozen=True)
class Phase(Config):
    """What all phases share: how long, at what learning rate, until when.

    Args:
        epochs: how long; with `until`, at most.
        lr_factor: the learning rate, as a multiple of the optimizer's own, or of what
            a callback has set for the epoch. Defaults to `None`: the factor of the
            phase before, 1 at first.
        until: a `Plateau` that ends the phase early. Defaults to `None`.

    Raises:
        TypeError, ValueError: an argument is not as said.
    """

    epochs: int
    _: dataclasses.KW_ONLY
    lr_factor: float | None = None
    until: Plateau | None = None

    def __post_init__(self):
        checks.integer(self.epochs, "epochs", at_least=1)
        if self.lr_factor is not None:
            checks.positive(self.lr_factor, "lr_factor")
        if self.until is not None and not isinstance(self.until, Plateau):
            raise TypeError(
                "`until` must be a `phases.Plateau` or None. "
                f"Received: until={self.until!r}"
            )

    # What only some phases say for themselves; to the others it does not matter.
    is_sparse: ClassVar[bool] = False  # whether masks are in force
    is_auto: ClassVar[Any] = False  # whether its sparsity is found in training
    is_ramp: ClassVar[Any] = (
        False  # whether its schedule begins where the phase before ended
    )
    sparsity: ClassVar[Any] = 0.0  # with which the phase ends
    regrowth: ClassVar[Any] = None
    update_every: ClassVar[Any] = None
    restore: ClassVar[str] = "zero"  # for masks that come off as the phase begins

    @property
    def fingerprint(self):
        """A number that tells this phase from others, the same in every process.

        What is as by default does not count, so that an option that a later release
        adds leaves stored runs in their phase.
        """
        return zlib.crc32(_written(self).encode()) & 0x7FFFFFFF

    @property
    def details(self):
        """What `DSDCallback` says of the phase, besides its length and its rate."""
        return ""


def _written(value):
    """Returns what tells a value from others, as text: as `repr`, but stable."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        pairs = [(f.name, _written(getattr(value, f.name)), f.default) for f in fields]
        told = [f"{name}={own}" for name, own, usual in pairs if own != _written(usual)]
        return f"{type(value).__name__}({', '.join(told)})"
    if isinstance(value, dict):  # the order counts: the first that matches decides
        items = [f"{_written(key)}: {_written(value[key])}" for key in value]
        return "{" + ", ".join(items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return repr(float(counts.as_fraction(value)))  # whatever its type
    return re.sub(" at 0x[0-9a-fA-F]+", "", repr(value))  # where a function lies
