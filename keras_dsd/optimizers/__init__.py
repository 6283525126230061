"""Optimizers: which a model has, their slots (momenta, averages), learning rates."""

__all__ = [
    "held",
    "learning_rates",
    "slots",
]
