"""Deploy: files for other programs, and proof that they hold the trained model."""

__all__ = [
    "saved_model",
]
