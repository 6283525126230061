"""Analysis: what a model's weights, masks and loss look like, as arrays and tables."""

from keras_dsd.analysis.agreement import Agreement, agreement
from keras_dsd.analysis.churn import Churn, churn
from keras_dsd.analysis.connections import (
    Connections,
    WeightConnections,
    connections,
)
from keras_dsd.analysis.dead_neurons import DeadNeurons, dead_neurons
from keras_dsd.analysis.effective_rank import EffectiveRank, effective_rank
from keras_dsd.analysis.gradient_flow import GradientFlow, gradient_flow
from keras_dsd.analysis.heat_maps import HeatMap, filter_map, head_map, input_map
from keras_dsd.analysis.histograms import Histograms, histograms
from keras_dsd.analysis.loss_line import loss_line
from keras_dsd.analysis.loss_line_result import LossLine
from keras_dsd.analysis.overlap import Overlap, overlap
from keras_dsd.analysis.returned import returned
from keras_dsd.analysis.returned_loss import ReturnedLoss, returned_loss
from keras_dsd.analysis.returned_result import Returned
from keras_dsd.analysis.sensitivity import sensitivity
from keras_dsd.analysis.sensitivity_result import Sensitivity
from keras_dsd.analysis.sharpness import sharpness
from keras_dsd.analysis.sharpness_result import Sharpness
from keras_dsd.analysis.snapshot_callback import Snapshots
from keras_dsd.analysis.survival import Survival, survival
from keras_dsd.analysis.weight_norms import WeightNorms, weight_norms

__all__ = [
    "Agreement",
    "Churn",
    "Connections",
    "DeadNeurons",
    "EffectiveRank",
    "GradientFlow",
    "HeatMap",
    "Histograms",
    "LossLine",
    "Overlap",
    "Returned",
    "ReturnedLoss",
    "Sensitivity",
    "Sharpness",
    "Snapshots",
    "Survival",
    "WeightConnections",
    "WeightNorms",
    "agreement",
    "churn",
    "connections",
    "dead_neurons",
    "effective_rank",
    "filter_map",
    "gradient_flow",
    "head_map",
    "histograms",
    "input_map",
    "inspection",
    "loss_line",
    "overlap",
    "returned",
    "returned_loss",
    "sensitivity",
    "sharpness",
    "snapshots",
    "sparsity",
    "survival",
    "weight_norms",
]
