"""Lists of phases that have a name: `dsd` and `dst`.

Knows phases only.
"""

from keras_dsd import regrowth
from keras_dsd._shared import checks
from keras_dsd.training.phases.base import Phase
from keras_dsd.training.phases.dense import Dense, Redense
from keras_dsd.training.phases.sparse import Sparse


def dsd(epochs, sparsity=0.3, cycles=1):
    """Returns the phases of DSD, or with more cycles DSDSD...

    Equal parts, the dense phase taking what is left over. Every `Redense` trains at a
    tenth of the rate before it, and keeps that rate for the sparse phase after it.

    Args:
        epochs: all epochs together, at least 2 * cycles + 1.
        sparsity: of the sparse phases, in [0, 1). Defaults to 0.3.
        cycles: how often sparse and dense again. Defaults to 1.

    Returns:
        A list of phases for `DSDCallback`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from keras_dsd import phases
    >>> [type(phase).__name__ for phase in phases.dsd(epochs=30)]
    ['Dense', 'Sparse', 'Redense']
    """
    cycles = checks.integer(cycles, "cycles", at_least=1)
    epochs = checks.integer(epochs, "epochs", at_least=2 * cycles + 1)
    checks.sparsity(sparsity)
    part = epochs // (2 * cycles + 1)
    result: list[Phase] = [Dense(epochs - 2 * cycles * part)]
    for cycle in range(1, cycles + 1):
        result.append(Sparse(part, sparsity=sparsity))
        result.append(Redense(part, lr_factor=float(f"1e-{cycle}")))
    return result


def dst(epochs, method="rigl", sparsity=0.5, *, distribution="erk", update_every=100):
    """Returns the phases of dynamic sparse training: one, sparse from the start.

    Random masks first, then connections move as `method` says.

    Args:
        epochs: all epochs, 1 or more.
        method: name or instance of a method of `regrowth`. Defaults to `"rigl"`.
        sparsity: fraction of weights that are zero, in [0, 1). Defaults to 0.5.
        distribution: as for `Sparse`. Defaults to `"erk"`.
        update_every: optimizer steps between two updates, or `None`: once an epoch.
            Defaults to 100, as in RigL.

    Returns:
        A list of phases for `DSDCallback`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from keras_dsd import phases
    >>> phases.dst(epochs=10, method="set")[0].regrowth.drop_fraction
    0.3
    """
    return [
        Sparse(
            epochs,
            sparsity=sparsity,
            distribution=distribution,
            regrowth=regrowth.get(method),
            update_every=update_every,
        )
    ]
