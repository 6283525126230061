"""TODO."""

__all__ = [
    "demo",
    "paired",
]
