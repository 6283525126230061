"""TODO."""

__all__ = [
    "audit_view",
]
