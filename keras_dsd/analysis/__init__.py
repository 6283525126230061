"""Analysis: what a model's weights and masks look like, as arrays and tables."""

from keras_dsd.analysis.agreement import Agreement, agreement
from keras_dsd.analysis.churn import Churn, churn
from keras_dsd.analysis.connections import (
    Connections,
    WeightConnections,
    connections,
)
from keras_dsd.analysis.heat_maps import HeatMap, filter_map, head_map, input_map
from keras_dsd.analysis.overlap import Overlap, overlap
from keras_dsd.analysis.sensitivity import sensitivity
from keras_dsd.analysis.sensitivity_result import Sensitivity
from keras_dsd.analysis.snapshot_callback import Snapshots
from keras_dsd.analysis.survival import Survival, survival

__all__ = [
    "Agreement",
    "Churn",
    "Connections",
    "HeatMap",
    "Overlap",
    "Sensitivity",
    "Snapshots",
    "Survival",
    "WeightConnections",
    "agreement",
    "churn",
    "connections",
    "filter_map",
    "head_map",
    "input_map",
    "inspection",
    "overlap",
    "sensitivity",
    "snapshots",
    "sparsity",
    "survival",
]
