"""TODO."""

__all__ = [
    "counts",
    "distributions",
    "masks",
    "patterns",
    "schedules",
    "topk",
]
