"""What to install is said once, and as pyproject.toml has it."""

import pathlib
import re
import sys
import tomllib

import pytest

import keras_dsd
from keras_dsd._shared import extras

PYPROJECT = pathlib.Path(keras_dsd.__file__).parents[1] / "pyproject.toml"


@pytest.mark.skipif(not PYPROJECT.exists(), reason="no checkout")
@pytest.mark.parametrize("extra", extras.EXTRAS)
def test_packages_are_those_of_the_extra(extra):
    declared = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    names = [re.split("[<>=]", package)[0] for package in declared[extra]]
    assert sorted(extras.EXTRAS[extra].values()) == sorted(names)


def test_all_that_is_missing_is_named_in_one_line(monkeypatch):
    for module in ("rich", "sklearn"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(ImportError) as error:
        extras.require("demo", needed_by="a picture")
    assert str(error.value) == (
        "rich, scikit-learn not found. Install what a picture needs: "
        "pip install rich scikit-learn"
    )


def test_only_what_is_needed_is_looked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    extras.require("demo", "rich")
