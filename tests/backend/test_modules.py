"""The modules of the three backends are alike: only one of them can be imported."""

import ast
import pathlib

import pytest

from keras_dsd import backend

FOLDER = pathlib.Path(backend.__file__).parent
FUNCTIONS = set(backend.__all__) - {"tables"}


def signatures(name):
    """Returns {public function: its arguments} of a module, from its text."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    return {
        node.name: ast.unparse(node.args)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


@pytest.mark.parametrize("name", ["jax", "tensorflow", "torch"])
def test_the_same_functions(name):
    assert signatures(name).keys() == FUNCTIONS
    assert signatures(name) == signatures("tensorflow")


def test_each_is_described():
    lines = backend.__doc__.splitlines()
    described = {
        line.split("(")[0] for line in lines if line.endswith(")") and line[0] != " "
    }
    assert described == FUNCTIONS


def test_no_other_name():
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        _ = backend.unknown
