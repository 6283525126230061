"""Corruption robustness: what a model's accuracy is worth on a bad day's images.

`corrupt` makes bad images and videos of good ones; `evaluate` measures a model on them.
Needs the extra `robustness`.
"""

from keras_dsd.robustness import _extras  # noqa: F401  (before the rest)
from keras_dsd.robustness.adversarial import fgsm, pgd
from keras_dsd.robustness.corruptions.catalog import STANDARD, names, register
from keras_dsd.robustness.corruptions.corrupting import corrupt
from keras_dsd.robustness.corruptions.frost_pictures import use_frost_photos
from keras_dsd.robustness.corruptions.sheet import contact_sheet
from keras_dsd.robustness.evaluating import evaluate
from keras_dsd.robustness.figures import (
    plot_fourier_sensitivity,
    plot_gain,
    plot_radius_accuracy,
)
from keras_dsd.robustness.frequency import fourier_sensitivity, radius_accuracy
from keras_dsd.robustness.published import npy_set, published_set
from keras_dsd.robustness.report import RobustnessReport

__all__ = [
    "STANDARD",
    "RobustnessReport",
    "command",
    "contact_sheet",
    "corrupt",
    "evaluate",
    "fgsm",
    "fourier_sensitivity",
    "names",
    "npy_set",
    "pgd",
    "plot_fourier_sensitivity",
    "plot_gain",
    "plot_radius_accuracy",
    "published_set",
    "radius_accuracy",
    "register",
    "use_frost_photos",
]
