"""Optimizers: slots (momenta, accumulators, averages) and learning rates of any."""

__all__ = [
    "learning_rates",
    "slots",
]
