"""Training: a run of phases within Keras's `fit`.

`callback` drives it and decides nothing: it asks the phases what is due, and tells the
mask updates to do it. `backup` keeps what a run has come to. These two alone know
Keras's training loop.
"""

__all__ = [
    "audit",
    "backup",
    "callback",
    "phases",
]
