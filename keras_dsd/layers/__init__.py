"""Layers: who carries masks, which weights may have one, and how a mask holds."""

__all__ = [
    "candidates",
    "conversion",
    "digest",
    "draws",
    "eligibility",
    "guards",
    "holding",
    "layer_configs",
    "model_choice",
    "position",
    "prunable",
    "pruned_weight",
    "pruning_state",
    "state_files",
    "weight_views",
]
