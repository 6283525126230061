"""Checks of arguments: what passes comes back, what does not is said in one form."""

import numpy as np
import pytest

from keras_dsd._shared import checks

PASS = [
    (checks.sparsity, (0.5,), 0.5),
    (checks.fraction, (1, "x"), 1),
    (checks.share, (1.0, "x"), 1.0),
    (checks.positive, (3, "x"), 3),
    (checks.not_negative, (0, "x"), 0),
    (checks.boolean, (False, "x"), False),
    (checks.listed, (("a", "b"), "x", "names"), ["a", "b"]),
    (checks.function, (None, "x", "a step"), None),
    (checks.known, ("a", "x", {"a": 1}), 1),
    (checks.one_of, ("b", "x", ("a", "b")), "b"),
]
REFUSED = [
    (checks.sparsity, (1.0, "x"), ValueError),
    (checks.fraction, (float("nan"), "x"), ValueError),
    (checks.share, (0, "x"), ValueError),
    (checks.positive, (float("inf"), "x"), ValueError),
    (checks.not_negative, (-1, "x"), ValueError),
    (checks.positive, (True, "x"), TypeError),
    (checks.boolean, (1, "x"), TypeError),
    (checks.listed, ("ab", "x", "names"), TypeError),
    (checks.listed, (3, "x", "names"), TypeError),
    (checks.function, (3, "x", "a step"), TypeError),
    (checks.known, ("c", "x", {"a": 1}), ValueError),
    (checks.one_of, ("c", "x", ("a", "b")), ValueError),
    (checks.one_of, (None, "x", ("a", "b")), TypeError),
]


@pytest.mark.parametrize(("check", "arguments", "expected"), PASS)
def test_what_passes_comes_back(check, arguments, expected):
    assert check(*arguments) == expected


@pytest.mark.parametrize(("check", "arguments", "error"), REFUSED)
def test_what_does_not_is_said(check, arguments, error):
    with pytest.raises(error) as caught:
        check(*arguments)
    assert str(caught.value).endswith(f"Received: x={arguments[0]!r}")


def test_integers_come_back_as_pythons_own():
    found = checks.integer(np.int64(3), "x", at_least=1)
    assert found == 3 and type(found) is int
    for value, error in ((0, ValueError), (True, TypeError), (1.0, TypeError)):
        with pytest.raises(error, match=r"1 or more\. Received: x="):
            checks.integer(value, "x", at_least=1)


def test_names_are_listed():
    with pytest.raises(ValueError, match=r"Unknown `x`\. Known: \['a', 'b'\]"):
        checks.one_of("c", "x", ("b", "a"))
