"""Deploy: what leaves the house, and proof that it is the model that was trained."""

__all__ = [
    "saved_model",
]
