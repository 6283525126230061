"""TODO."""

__all__ = [
    "learning_rates",
    "slots",
]
