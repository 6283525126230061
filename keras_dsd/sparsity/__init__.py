"""Sparsity: how many weights go, when, how spread over layers, and which ones."""

__all__ = [
    "counts",
    "distributions",
    "masks",
    "patterns",
    "schedules",
    "topk",
    "topk_numpy",
    "trials",
]
