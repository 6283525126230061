"""TODO."""

__all__ = [
    "conversion",
    "draws",
    "eligibility",
    "masked_reads",
    "position",
    "prunable",
    "pruning_state",
]
