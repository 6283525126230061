"""Phases in which all weights train: `Dense`, and `Redense` after a sparse one.

Knows numbers and names; knows no model, no optimizer and no mask.
"""

import dataclasses

from keras_dsd._shared import checks
from keras_dsd._shared.config import serializable
from keras_dsd.training.phases.base import Phase

RESTORES = ("random", "rewind", "zero")


@serializable
@dataclasses.dataclass(frozen=True)
class Dense(Phase):
    """Ordinary training, bit for bit what it would be without this library.

    The first D of DSD (Han et al. 2017, arXiv:1607.04381).

    Args:
        epochs: how long; with `until`, at most.
        lr_factor: the learning rate, as a multiple of the optimizer's own, or of what
            a callback has set for the epoch. Defaults to `None`: the factor of the
            phase before, 1 at first.
        until: a `Plateau` that ends the phase early. Defaults to `None`.

    Raises:
        TypeError, ValueError: `epochs` is not an integer of 1 or more, or another
            argument is not as said.

    >>> from keras_dsd import phases
    >>> phases.Dense(epochs=10).epochs
    10
    """


@serializable
@dataclasses.dataclass(frozen=True)
class Redense(Phase):
    """Training of all weights again: masks come off, survivors stay as they are.

    The second D of DSD: the weights come back at zero and train together with the
    survivors at a tenth of the learning rate.

    Args:
        epochs: how long; with `until`, at most.
        restore: what a weight that was pruned comes back with: `"zero"`; `"rewind"`,
            the value with which it was pruned (costs memory of one copy of the
            weights from the start); or `"random"`, a draw from Keras's default for
            kernels, Glorot uniform. Defaults to `"zero"`, as in the paper.
        lr_factor: as for `Dense`. Defaults to 0.1, as in the paper.
        until: as for `Dense`. Defaults to `None`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from keras_dsd import phases
    >>> phases.Redense(epochs=10).lr_factor
    0.1
    """

    restore: str = "zero"  # type: ignore[misc]
    lr_factor: float | None = 0.1

    def __post_init__(self):
        super().__post_init__()
        checks.one_of(self.restore, "restore", RESTORES)
