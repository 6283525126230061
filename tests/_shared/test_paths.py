"""Regular expressions on weights' paths: one way to check them and to search."""

import pytest

from keras_dsd._shared import paths


def test_an_expression_is_searched_anywhere():
    assert paths.names(["conv", "head$"], "net/conv_1/kernel")
    assert not paths.names(["conv", "head$"], "net/head/kernel")
    assert not paths.names([], "net/head/kernel")


def test_the_first_that_is_found_decides():
    table = {"head": 1, "kernel": 2}
    assert paths.look_up(table, "head/kernel", 3) == 1
    assert paths.look_up(table, "body/kernel", 3) == 2
    assert paths.look_up(table, "body/bias", 3) == 3


@pytest.mark.parametrize("expression", ["(", "x{99999999999}", b"head", None, 1])
def test_what_is_no_expression_is_refused(expression):
    error = ValueError if isinstance(expression, str) else TypeError
    with pytest.raises(error, match="`rules` must hold regular expressions") as caught:
        paths.check(["head", expression], "rules", "all of it")
    assert str(caught.value).endswith("Received: rules='all of it'")


def test_each_must_match_something():
    paths.must_match(["a", "b"], ["a/b"], "rules", None)
    with pytest.raises(
        ValueError, match=r"holds 'c', which matches no weight"
    ) as error:
        paths.must_match(["a", "c"], ["a/b"], "rules", {"c": 1})
    assert str(error.value).endswith("pruned: ['a/b']. Received: rules={'c': 1}")
