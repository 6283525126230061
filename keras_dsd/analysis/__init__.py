"""Analysis: what a model's weights and masks look like, as arrays and tables."""

from keras_dsd.analysis.sensitivity import sensitivity
from keras_dsd.analysis.sensitivity_result import Sensitivity

__all__ = [
    "Sensitivity",
    "inspection",
    "sensitivity",
    "sparsity",
]
