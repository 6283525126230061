"""Which method is meant: by name, by instance, or by the path of a weight.

Knows the methods; knows no model and no phase.
"""

from keras_dsd._shared import checks, paths
from keras_dsd.regrowth.base import Method
from keras_dsd.regrowth.methods import MEST, SET, SNFS, GraNet, RigL, Static

BY_NAME = {
    "granet": GraNet,
    "mest": MEST,
    "rigl": RigL,
    "set": SET,
    "snfs": SNFS,
    "static": Static,
}


def get(value):
    """Returns the method that is meant, or a dict of them.

    Args:
        value: a method, a name such as `"rigl"`, or a dict {regular expression
            searched in a weight's path: method or name}, of which the first that
            matches counts; other weights are static.

    Raises:
        TypeError: something else.
        ValueError: an unknown name, an empty dict, or a dict with a method that prunes
            all layers together, such as GraNet.

    >>> from keras_dsd import regrowth
    >>> regrowth.get("set")
    SET(drop_fraction=0.3, decay='constant', stop=1.0)
    """
    if isinstance(value, Method):
        return value
    if isinstance(value, dict):
        return _get_all(value)
    if not isinstance(value, str):
        raise TypeError(
            "`regrowth` must be a method, its name, or a dict of them by regular "
            f"expression. Known: {sorted(BY_NAME)}. Received: regrowth={value!r}"
        )
    return checks.known(value, "regrowth", BY_NAME)()


def _get_all(methods):
    if not methods:
        raise ValueError(f"`regrowth` is empty. Received: regrowth={methods!r}")
    paths.check(methods, "regrowth", methods)
    found = {key: get(value) for key, value in methods.items()}
    if any(isinstance(one, dict) or one.prunes for one in found.values()):
        raise ValueError(
            "A dict of methods holds no other dict, and no method that prunes all "
            f"layers together, such as GraNet. Received: regrowth={methods!r}"
        )
    return found


def check(value, known):
    """Raises a ValueError if a regular expression of a dict matches no known path."""
    if isinstance(value, dict):
        paths.must_match(value, known, "regrowth", value)


def choose(value, path):
    """Returns the method for the weight at `path`, given what `get` returned."""
    return paths.look_up(value, path, Static()) if isinstance(value, dict) else value


def shared(value):
    """Returns the method that all weights share, given what `get` returned.

    Where there is none (`None`, or a dict) it is as if they shared `Static()`.
    """
    return Static() if value is None or isinstance(value, dict) else value
