"""TODO."""

__all__ = [
    "checks",
    "config",
    "directions",
    "keras_private",
    "quiet",
]
