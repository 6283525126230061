"""TODO."""

__all__ = [
    "audit",
    "callback",
    "phases",
]
