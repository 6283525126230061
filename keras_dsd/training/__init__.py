"""Training: a run of phases within Keras's `fit`.

`callback` is the only file that knows Keras's training loop. It decides nothing: it
asks the phases what is due, and tells the mask updates to do it.
"""

__all__ = [
    "audit",
    "callback",
    "phases",
]
