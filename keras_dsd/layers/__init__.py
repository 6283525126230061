"""Layers: who carries masks, which weights may have one, and how a mask holds."""

__all__ = [
    "conversion",
    "digest",
    "draws",
    "eligibility",
    "guards",
    "holding",
    "masked_reads",
    "position",
    "prunable",
    "pruned_weight",
    "pruning_state",
]
