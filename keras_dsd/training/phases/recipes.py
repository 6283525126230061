"""Lists of phases that have a name, `dsd` say; `recipe` finds them by it.

Knows phases only.
"""

import inspect
from collections.abc import Callable

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
        sparsity: of the sparse phases, in [0, 1), or "auto". Defaults to 0.3.
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


def acdc(epochs, sparsity=0.8, cycles=4, *, end="sparse"):
    """Returns the phases of AC/DC: alternating compressed and decompressed training.

    A dense phase, then sparse and dense ones in turn, all at the rate of the optimizer
    (Peste et al. 2021, arXiv:2106.12379; masks of the largest magnitudes are chosen
    anew in each sparse phase).

    Args:
        epochs: all epochs together, at least 2 * cycles + 1.
        sparsity: of the sparse phases, in [0, 1), or "auto". Defaults to 0.8.
        cycles: how often sparse. Defaults to 4.
        end: "sparse": the last phase is sparse, as in the paper; "dense": a dense one
            comes after it. Defaults to "sparse".

    Returns:
        A list of phases for `DSDCallback`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from keras_dsd import phases
    >>> [type(phase).__name__ for phase in phases.acdc(epochs=4, cycles=2)]
    ['Dense', 'Sparse', 'Redense', 'Sparse']
    """
    cycles = checks.integer(cycles, "cycles", at_least=1)
    checks.one_of(end, "end", ("dense", "sparse"))
    count = 2 * cycles + (end == "dense")
    epochs = checks.integer(epochs, "epochs", at_least=count)
    part = epochs // count
    result: list[Phase] = [Dense(epochs - (count - 1) * part)]
    for index in range(1, count):
        result.append(
            Sparse(part, sparsity=sparsity)
            if index % 2
            else Redense(part, lr_factor=None)
        )
    return result


def restart(epochs, sparsity=0.5, cycles=2):
    """Returns the phases of training that begins anew with what magnitude kept.

    A cycle trains sparse at a tenth of the rate, then draws the pruned weights anew and
    trains all at the full rate, in the spirit of knowledge evolution (Taha et al.
    2021) and of fortuitous forgetting (Zhou et al. 2022); the last phase trains at a
    tenth of the rate.

    Args:
        epochs: all epochs together, at least 2 * cycles + 2.
        sparsity: of the sparse phases, in [0, 1), or "auto". Defaults to 0.5.
        cycles: how often weights are drawn anew. Defaults to 2.

    Returns:
        A list of phases for `DSDCallback`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from keras_dsd import phases
    >>> [phase.lr_factor for phase in phases.restart(epochs=8, cycles=1)]
    [None, 0.1, 1.0, 0.1]
    """
    cycles = checks.integer(cycles, "cycles", at_least=1)
    epochs = checks.integer(epochs, "epochs", at_least=2 * cycles + 2)
    part = epochs // (2 * cycles + 2)
    result: list[Phase] = [Dense(epochs - (2 * cycles + 1) * part)]
    for _ in range(cycles):
        result.append(Sparse(part, sparsity=sparsity, lr_factor=0.1))
        result.append(Redense(part, restore="random", lr_factor=1.0))
    result.append(Dense(part, lr_factor=0.1))
    return result


def _dsdsd(epochs, sparsity=0.3):
    return dsd(epochs, sparsity, cycles=2)


def _robust(epochs, sparsity=0.4):
    return dst(epochs, "rigl", sparsity)


def _litert_blocks(epochs, sparsity=0.9):
    # Zhu and Gupta (2017, arXiv:1710.01878) prune by a cubic ramp, here blocks.
    epochs = checks.integer(epochs, "epochs", at_least=2)
    dense = max(epochs // 3, 1)
    sparse = Sparse(epochs - dense, sparsity=sparsity, schedule="cubic", pattern="4x1")
    return [Dense(dense), sparse]


_RECIPES: dict[str, Callable[..., list[Phase]]] = {
    "acdc": acdc,
    "dsd": dsd,
    "dsdsd": _dsdsd,
    "dst": dst,
    "litert-blocks": _litert_blocks,
    "restart": restart,
    "robust": _robust,
}


def recipe(name, epochs, **options):
    """Returns the phases of a recipe by its name, for `DSDCallback`.

    Args:
        name: `"dsd"`, `"acdc"`, `"restart"` or `"dst"`: what `phases` has under that
            name; `"dsdsd"`: two cycles of DSD; `"robust"`: RigL at 40 %, where Wu et
            al. (2025) report the largest gain under corruptions; as all that asks for
            dense gradients, it needs `make_prunable(model, track_gradients=True)`;
            `"litert-blocks"`: dense, then pruned step by step to 90 % in blocks of four
            consecutive inputs, and left so: what LiteRT has kernels for, in dense
            layers.
        epochs: all epochs together.
        **options: arguments of the function of that name, say `sparsity`.

    Returns:
        A list of phases.

    Raises:
        TypeError, ValueError: there is no such recipe, or it takes no such option, or
            not with this value.

    >>> import keras_dsd as dsd
    >>> [phase.epochs for phase in dsd.recipe("dsd", epochs=30, sparsity=0.5)]
    [10, 10, 10]
    """
    make = checks.known(name, "name", _RECIPES)
    known = list(inspect.signature(make).parameters)[1:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(
            f"The recipe {name!r} takes {known}. Received: {unknown[0]}="
            f"{options[unknown[0]]!r}"
        )
    return make(epochs, **options)
