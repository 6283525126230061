"""Optimizers: which a model has, their slots (momenta, averages), learning rates."""

__all__ = [
    "learning_rates",
    "model_optimizers",
    "slots",
]
