"""Analysis: what a model's weights and masks look like, as arrays and tables."""

__all__ = [
    "inspection",
    "sparsity",
]
