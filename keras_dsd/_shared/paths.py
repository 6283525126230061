"""Paths of weights, and regular expressions that name them.

Each is searched in a path as `re.search` does it, so "head" names "net/head/kernel".
Knows strings only.
"""

import collections
import re


def check(expressions, name, received):
    """Raises if something in `expressions` is no regular expression.

    Args:
        expressions: any iterable.
        name: of the argument that holds them.
        received: that argument, for the message.

    Raises:
        TypeError: something is no string.
        ValueError: a string is no regular expression.
    """
    for expression in expressions:
        wanted = f"`{name}` must hold regular expressions, as strings"
        if not isinstance(expression, str):
            raise TypeError(f"{wanted}. Received: {name}={received!r}")
        try:
            re.compile(expression)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(
                f"{wanted} ({error}). Received: {name}={received!r}"
            ) from error


def names(expressions, path):
    """Returns whether one of `expressions` is found in a path.

    >>> names(["conv", "head"], "net/head/kernel")
    True
    """
    return any(re.search(expression, path) for expression in expressions)


def distinct(paths):
    """Returns a list in which no path stands twice: one that comes again is numbered.

    Keras gives layers of one name in different models within a model the same paths.

    >>> distinct(["a/kernel", "b/kernel", "a/kernel"])
    ['a/kernel', 'b/kernel', 'a/kernel (2)']
    """
    seen: collections.Counter = collections.Counter()
    found = []
    for path in paths:
        seen[path] += 1
        found.append(path if seen[path] == 1 else f"{path} ({seen[path]})")
    return found


def look_up(table, path, default):
    """Returns what a dict {expression: value} says of a path: the first found decides.

    >>> look_up({"head": 0.0, "net": 0.25}, "net/head/kernel", 0.5)
    0.0
    """
    found = (value for key, value in table.items() if names([key], path))
    return next(found, default)


def must_match(expressions, paths, name, received):
    """Raises a ValueError if one of `expressions` is found in none of `paths`.

    Args:
        expressions: iterable of regular expressions.
        paths: list of the paths of all weights that can be pruned.
        name: of the argument that holds the expressions.
        received: that argument, for the message.
    """
    for expression in expressions:
        if not any(names([expression], path) for path in paths):
            raise ValueError(
                f"`{name}` holds {expression!r}, which matches no weight that can be "
                f"pruned: {paths}. Received: {name}={received!r}"
            )
