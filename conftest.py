"""Doctests import every module: leave out those of backends that are not running."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

collect_ignore_glob = [
    f"keras_dsd/backend/{name}*.py"
    for name in ("jax", "tensorflow", "torch")
    if name != keras.backend.backend()
]
