"""Fixtures for all tests: a quiet, deterministic Keras and a fresh session for each."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# One thread for each worker of pytest-xdist: more only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import keras
import numpy as np
import pytest

# A loaded machine is slow, not wrong. The same examples in every run, so that a change
# fails for what it does; `--hypothesis-profile=explore` looks for others.
hypothesis.settings.register_profile("tests", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def fresh_session():
    """Layer names start at 0 and every draw is the same, whatever ran before."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    keras.config.set_dtype_policy("float32")
    yield


@pytest.fixture
def rng():
    """A generator for test data, the same in every test."""
    return np.random.default_rng(7)
