"""Dense-Sparse-Dense and dynamic sparse training for Keras 3, in plain `model.fit`."""

import importlib

from keras_dsd._shared import quiet

with quiet.import_of_keras():
    import keras  # noqa: F401  (before the modules below do)

from keras_dsd import regrowth
from keras_dsd._version import __version__
from keras_dsd.analysis.sparsity import sparsity_report
from keras_dsd.layers.conversion import make_prunable, strip
from keras_dsd.layers.prunable import Prunable
from keras_dsd.sparsity import distributions, masks, patterns, schedules
from keras_dsd.training import audit, phases
from keras_dsd.training.callback import DSDCallback

__all__ = [
    "DSDCallback",
    "Prunable",
    "__version__",
    "audit",
    "distributions",
    "make_prunable",
    "masks",
    "patterns",
    "phases",
    "regrowth",
    "schedules",
    "sparsity_report",
    "strip",
]


def __getattr__(name):
    # Needs packages that training does not, so it is imported when it is first used.
    if name == "robustness":
        return importlib.import_module("keras_dsd.robustness")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
