"""The rules, by the programs that large models are reckoned by.

The models of tests are small, and NumPy does what is done to small ones between steps
(`keras_dsd/training/arithmetic.py`). What users of large models and of GPUs get would
be seen by few tests. So the rules are held against that, but on TensorFlow, where they
are held against NumPy. The other tests take what a small model takes.
"""

import keras
import pytest

from tests import helpers


@pytest.fixture(autouse=True)
def reckoned_as_large_models(monkeypatch):
    """No model counts as small, but on TensorFlow."""
    if keras.backend.backend() != "tensorflow":
        helpers.reckon_as_large_models(monkeypatch)
