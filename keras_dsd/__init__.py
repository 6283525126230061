"""Dense-Sparse-Dense and dynamic sparse training for Keras 3, in plain `model.fit`.

Its names are imported when they are first used, and Keras with them: so the command
answers at once, and only what is used needs its packages.
"""

import importlib
from typing import TYPE_CHECKING

from keras_dsd._shared import registration
from keras_dsd._version import __version__

if TYPE_CHECKING:
    from keras_dsd import analysis as analysis
    from keras_dsd import deploy as deploy
    from keras_dsd import regrowth
    from keras_dsd import reports as reports
    from keras_dsd import robustness as robustness
    from keras_dsd import studies as studies
    from keras_dsd.analysis.sparsity import sparsity_report
    from keras_dsd.layers.conversion import make_prunable, strip
    from keras_dsd.layers.holding import hold_zeros
    from keras_dsd.layers.prunable import Prunable
    from keras_dsd.sparsity import distributions, masks, patterns, schedules
    from keras_dsd.training import audit, phases
    from keras_dsd.training.backup import Backup
    from keras_dsd.training.callback import DSDCallback
    from keras_dsd.training.phases import recipe

__all__ = [
    "Backup",
    "DSDCallback",
    "Prunable",
    "__version__",
    "audit",
    "distributions",
    "hold_zeros",
    "make_prunable",
    "masks",
    "patterns",
    "phases",
    "recipe",
    "regrowth",
    "schedules",
    "sparsity_report",
    "strip",
]

# Where each name is. `analysis`, `reports`, `robustness` and `studies` are not in
# `__all__`, for they, or their plots, need further packages.
_PLACES = {
    "Backup": "keras_dsd.training.backup:Backup",
    "DSDCallback": "keras_dsd.training.callback:DSDCallback",
    "Prunable": "keras_dsd.layers.prunable:Prunable",
    "analysis": "keras_dsd.analysis",
    "audit": "keras_dsd.training.audit",
    "deploy": "keras_dsd.deploy",
    "distributions": "keras_dsd.sparsity.distributions",
    "hold_zeros": "keras_dsd.layers.holding:hold_zeros",
    "make_prunable": "keras_dsd.layers.conversion:make_prunable",
    "masks": "keras_dsd.sparsity.masks",
    "patterns": "keras_dsd.sparsity.patterns",
    "phases": "keras_dsd.training.phases",
    "recipe": "keras_dsd.training.phases:recipe",
    "regrowth": "keras_dsd.regrowth",
    "reports": "keras_dsd.reports",
    "robustness": "keras_dsd.robustness",
    "schedules": "keras_dsd.sparsity.schedules",
    "sparsity_report": "keras_dsd.analysis.sparsity:sparsity_report",
    "studies": "keras_dsd.studies",
    "strip": "keras_dsd.layers.conversion:strip",
}

registration.register_when_keras_is_imported()


def __getattr__(name):
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # First, while no other thread waits for a file of the package.
    importlib.import_module("keras")
    file, _, attribute = _PLACES[name].partition(":")
    value = importlib.import_module(file)
    if attribute:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_PLACES})
