"""Analysis: what a model's weights, masks and loss look like, as arrays and tables."""

from keras_dsd.analysis import inspection, sparsity
from keras_dsd.analysis.masks.agreement import Agreement, agreement
from keras_dsd.analysis.masks.churn import Churn, churn
from keras_dsd.analysis.masks.connections import (
    Connections,
    WeightConnections,
    connections,
)
from keras_dsd.analysis.masks.heat_maps import HeatMap, filter_map, head_map, input_map
from keras_dsd.analysis.masks.overlap import Overlap, overlap
from keras_dsd.analysis.masks.survival import Survival, survival
from keras_dsd.analysis.on_data.dead_neurons import DeadNeurons, dead_neurons
from keras_dsd.analysis.on_data.gradient_flow import GradientFlow, gradient_flow
from keras_dsd.analysis.on_data.loss_line import loss_line
from keras_dsd.analysis.on_data.loss_line_result import LossLine
from keras_dsd.analysis.on_data.returned_loss import ReturnedLoss, returned_loss
from keras_dsd.analysis.on_data.sensitivity import sensitivity
from keras_dsd.analysis.on_data.sensitivity_result import Sensitivity
from keras_dsd.analysis.on_data.sharpness import sharpness
from keras_dsd.analysis.on_data.sharpness_result import Sharpness
from keras_dsd.analysis.recording import snapshots
from keras_dsd.analysis.recording.snapshot_callback import Snapshots
from keras_dsd.analysis.weights.effective_rank import EffectiveRank, effective_rank
from keras_dsd.analysis.weights.histograms import Histograms, histograms
from keras_dsd.analysis.weights.returned import returned
from keras_dsd.analysis.weights.returned_result import Returned
from keras_dsd.analysis.weights.weight_norms import WeightNorms, weight_norms

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
