"""TODO."""

__all__ = [
    "saved_model",
]
