"""The space that a search looks through, and the phases of one point in it.

Knows phases and numbers, and whoever suggests numbers only by `suggest_float`,
`suggest_int` and `suggest_categorical`, as Optuna's trials have them.
"""

import numbers

from keras_dsd import regrowth
from keras_dsd._shared import checks
from keras_dsd.training import phases

MOVING = ("static", "set", "rigl", "mest", "granet", "snfs")
# A pair of numbers is a range, a list a choice, and anything else stays as it is.
SPACE = {
    "method": ["dsd", "rigl", "set"],
    "sparsity": (0.1, 0.8),
    "distribution": ["uniform", "erk"],
    "sparse_share": (0.15, 0.5),  # of the epochs, of `dsd`
    "redense_share": (0.15, 0.5),
    "lr_factor": (0.03, 0.3),
    "restore": ["zero", "rewind"],
    "cycles": [1, 2],
}
LOGARITHMIC = ("lr_factor",)
WHOLE = ("cycles",)


def check(space):
    """Returns the whole space: that of `SPACE`, with what a user changed.

    Raises:
        TypeError, ValueError: a name is unknown, or a range is not one.
    """
    if space is not None and not isinstance(space, dict):
        raise TypeError(f"`space` must be a dict. Received: space={space!r}")
    found = {**SPACE, **(space or {})}
    for name, value in found.items():
        checks.one_of(name, "space", SPACE)
        if isinstance(value, list) and not value:
            raise ValueError(
                f"A list in `space` must not be empty. Received: {name}={value!r}"
            )
        if isinstance(value, tuple) and not _is_range(value):
            raise ValueError(
                "A range in `space` must be a pair of numbers above 0, the lower "
                f"first. Received: {name}={value!r}"
            )
    known = ("dsd", *MOVING)
    methods = found["method"]
    for method in methods if isinstance(methods, list) else [methods]:
        checks.one_of(method, "method", known)
    return found


def _is_range(value):
    return (
        len(value) == 2
        and all(isinstance(x, numbers.Real) for x in value)
        and 0 < value[0] < value[1]
    )


def suggest_phases(trial, epochs, space=None):
    """Returns the phases that a trial of a search suggests.

    For a search of one's own, with Optuna or with what suggests numbers alike.

    Args:
        trial: an `optuna.Trial`, or anything with its `suggest_float(name, low, high,
            log=...)`, `suggest_int(name, low, high)` and `suggest_categorical(name,
            choices)`.
        epochs: all epochs together, 3 or more; 5 or more where `cycles` may be 2.
        space: dict that changes `studies.spaces.SPACE`: a pair is a range, a list a
            choice, anything else is taken as it is. Defaults to `None`.

    Returns:
        A list of phases for `DSDCallback`. If the trial suggested RigL or another
        method that follows gradients, the model needs `track_gradients=True`.

    Raises:
        TypeError, ValueError: the space is not as said, or `epochs` are too few.

    Example:

    >>> from keras_dsd import studies
    >>> class First:
    ...     def suggest_float(self, name, low, high, log=False):
    ...         return low
    ...     def suggest_categorical(self, name, choices):
    ...         return choices[0]
    >>> [p.epochs for p in studies.suggest_phases(First(), epochs=20)]
    [14, 3, 3]
    """
    space = check(space)
    checks.integer(epochs, "epochs", at_least=1)
    method = _suggested(trial, "method", space)
    sparsity = _suggested(trial, "sparsity", space)
    distribution = _suggested(trial, "distribution", space)
    if method == "granet":  # it begins at .2, and can't get denser
        start = min(regrowth.GraNet().initial_sparsity, sparsity)
        method = regrowth.GraNet(initial_sparsity=start)
    if method != "dsd":
        return phases.dst(
            epochs, method=method, sparsity=sparsity, distribution=distribution
        )
    cycles = _suggested(trial, "cycles", space)
    shares = [
        _suggested(trial, f"{name}_share", space) for name in ("sparse", "redense")
    ]
    factor = _suggested(trial, "lr_factor", space)
    restore = _suggested(trial, "restore", space)
    sparse, redense = _parts(epochs, cycles, shares)
    found: list[phases.Phase] = [phases.Dense(epochs - cycles * (sparse + redense))]
    for cycle in range(1, cycles + 1):
        found.append(
            phases.Sparse(sparse, sparsity=sparsity, distribution=distribution)
        )
        found.append(phases.Redense(redense, lr_factor=factor**cycle, restore=restore))
    return found


def _parts(epochs, cycles, shares):
    """Returns the epochs of each sparse phase and of each after it, 1 at least."""
    checks.integer(epochs, "epochs", at_least=2 * cycles + 1)
    parts = [max(1, int(share * epochs / cycles)) for share in shares]
    while cycles * sum(parts) >= epochs:  # a dense phase comes first
        parts[parts.index(max(parts))] -= 1
    return parts


def _suggested(trial, name, space):
    wanted = space[name]
    if isinstance(wanted, list):
        return trial.suggest_categorical(name, wanted)
    if not isinstance(wanted, tuple):
        return wanted
    if name in WHOLE:
        return trial.suggest_int(name, *wanted)
    return trial.suggest_float(name, *wanted, log=name in LOGARITHMIC)


class Given:
    """Suggests what was suggested before."""

    def __init__(self, params):
        self._params = params

    def suggest_float(self, name, low, high, log=False):
        """As Optuna's trials."""
        return self._params[name]

    def suggest_int(self, name, low, high):
        """As Optuna's trials."""
        return self._params[name]

    def suggest_categorical(self, name, choices):
        """As Optuna's trials."""
        return self._params[name]


class Longest:
    """Suggests the phases that need the most epochs."""

    def suggest_float(self, name, low, high, log=False):
        """As Optuna's trials."""
        return low

    def suggest_int(self, name, low, high):
        """As Optuna's trials."""
        return high

    def suggest_categorical(self, name, choices):
        """As Optuna's trials."""
        if name == "method":
            return "dsd" if "dsd" in choices else choices[0]
        return max(choices) if name == "cycles" else choices[0]
