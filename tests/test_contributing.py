"""CONTRIBUTING.md: its blocks of Python run as they stand, one after another."""

import pathlib
import re

import pytest

pytest.importorskip("cv2")

import keras_dsd

pytestmark = pytest.mark.one_backend

CONTRIBUTING = pathlib.Path(keras_dsd.__file__).parents[1] / "CONTRIBUTING.md"


@pytest.mark.skipif(not CONTRIBUTING.exists(), reason="an installed copy")
def test_recipes_run():
    blocks = re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text(), re.DOTALL)
    assert len(blocks) == 5
    namespace = {"__name__": "recipes"}
    for block in blocks:
        exec(block, namespace)
