"""Checks of arguments: each returns the value in its one form, or says what it got.

Every public function calls these before it changes anything, so all messages have
one shape: what was expected, then `Received: name=value`.
"""

import math
import numbers

import numpy as np


def sparsity(value, name="sparsity"):
    """Returns `value` if it is a fraction of weights in [0, 1)."""
    wanted = "a number in [0, 1), the fraction of weights that are zero"
    return _number(value, name, wanted, lambda value: 0 <= value < 1)


def integer(value, name, *, at_least):
    """Returns `value` as an int if it is a whole number >= `at_least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be an integer, {at_least} or more. "
            f"Received: {name}={value!r}"
        )
    if value < at_least:
        raise ValueError(
            f"`{name}` must be an integer, {at_least} or more. "
            f"Received: {name}={value!r}"
        )
    return int(value)


def boolean(value, name):
    """Returns `value` if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return value


def fraction(value, name):
    """Returns `value` if it is a number in [0, 1]."""
    return _number(value, name, "a number in [0, 1]", lambda value: 0 <= value <= 1)


def share(value, name):
    """Returns `value` if it is a number in (0, 1]."""
    if positive(value, name) > 1:
        raise ValueError(
            f"`{name}` must be a number in (0, 1]. Received: {name}={value!r}"
        )
    return value


def positive(value, name):
    """Returns `value` if it is a finite number above 0."""
    wanted = "a finite number above 0"
    return _number(value, name, wanted, lambda value: 0 < value < math.inf)


def not_negative(value, name):
    """Returns `value` if it is a finite number, 0 or more."""
    wanted = "a finite number, 0 or more"
    return _number(value, name, wanted, lambda value: 0 <= value < math.inf)


def _number(value, name, wanted, is_within):
    """Returns `value` if it is a real number within bounds, which NaN never is."""
    message = f"`{name}` must be {wanted}. Received: {name}={value!r}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(message)
    if not is_within(value):
        raise ValueError(message)
    return value


def listed(value, name, of):
    """Returns a list, or anything else that is iterable, as a list.

    Args:
        value: the argument. A string is not taken for a list of letters.
        name: of the argument.
        of: what it holds, in the plural.
    """
    try:
        if isinstance(value, (str, bytes, dict)):
            raise TypeError
        return list(value)
    except Exception as error:  # tensors have errors of their own
        raise TypeError(
            f"`{name}` must be a list of {of}. Received: {name}={value!r}"
        ) from error


def array(value, name):
    """Returns anything that NumPy can make an array of as an array."""
    try:
        return np.asarray(value)
    except Exception as error:  # that of a symbolic tensor, say, or of uneven lists
        raise TypeError(
            f"`{name}` must be an array. Received: {name} of type "
            f"{type(value).__name__} ({error})"
        ) from error


def function(value, name, of):
    """Returns `value` if it can be called, or is `None`."""
    if value is not None and not callable(value):
        raise TypeError(
            f"`{name}` must be a function of {of}. Received: {name}={value!r}"
        )
    return value


def known(value, name, choices):
    """Returns `choices[value]`, or lists the names that there are."""
    return choices[one_of(value, name, choices)]


def one_of(value, name, choices):
    """Returns `value` if it is one of the strings `choices`, or lists them."""
    if not isinstance(value, str) or value not in choices:
        error = ValueError if isinstance(value, str) else TypeError
        raise error(
            f"Unknown `{name}`. Known: {sorted(choices)}. Received: {name}={value!r}"
        )
    return value
