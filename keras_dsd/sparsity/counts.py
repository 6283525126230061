"""How many weights a sparsity means: the one place where a fraction becomes a count.

Knows numbers only. Every mask, distribution and report counts with these functions.
"""

import functools
from fractions import Fraction

import numpy as np


def as_fraction(sparsity):
    """Returns a sparsity as the decimal that was written.

    `Fraction(0.29)` is a little less than 29/100, so that 0.29 of 100 weights would
    be 28; what the user wrote is 29/100.

    >>> as_fraction(0.29)
    Fraction(29, 100)
    """
    if isinstance(sparsity, np.floating):
        return Fraction(str(sparsity))  # shortest decimal for its own precision
    if isinstance(sparsity, float):
        return Fraction(repr(sparsity))
    return Fraction(sparsity)


# Fractions are slow where there are hundreds. By type: a float32 and the float that
# equals it are not the same decimal.
@functools.lru_cache(maxsize=1024, typed=True)
def zeros(size, sparsity):
    """Returns floor(sparsity * size), the exact number of zeros in a tensor.

    >>> zeros(100, 0.29)
    29
    """
    return int(as_fraction(sparsity) * size)
