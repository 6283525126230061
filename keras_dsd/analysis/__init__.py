"""Analysis: what a model's weights and masks look like, as arrays and tables."""

from keras_dsd.analysis.agreement import Agreement, agreement
from keras_dsd.analysis.churn import Churn, churn
from keras_dsd.analysis.overlap import Overlap, overlap
from keras_dsd.analysis.sensitivity import sensitivity
from keras_dsd.analysis.sensitivity_result import Sensitivity
from keras_dsd.analysis.snapshot_callback import Snapshots

__all__ = [
    "Agreement",
    "Churn",
    "Overlap",
    "Sensitivity",
    "Snapshots",
    "agreement",
    "churn",
    "inspection",
    "overlap",
    "sensitivity",
    "snapshots",
    "sparsity",
]
