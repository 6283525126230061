"""Studies: several runs over seeds, and the decision that they allow.

Knows models and data only by the functions that make them.
"""

__all__ = [
    "demo",
    "paired",
    "verdicts",
    "worth",
]
