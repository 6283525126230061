"""TODO."""

__all__ = [
    "sparsity",
]
