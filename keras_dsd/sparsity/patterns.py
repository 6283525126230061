"""Patterns: which groups of weights live or die together.

A pattern is a small frozen value. It knows the shape of a weight and whether it fits;
it holds no weights, makes no masks and knows no model: `topk` makes masks by it.
"""

import dataclasses
import math
import numbers
import re
from fractions import Fraction

import keras

from keras_dsd._shared import checks
from keras_dsd._shared.config import Config, serializable


@dataclasses.dataclass(frozen=True)
class _Pattern(Config):
    """Answers what every pattern is asked, as `Unstructured` does."""

    @property
    def sparsity(self) -> Fraction | None:
        """The exact fraction of zeros; None where the pattern leaves it to the user."""
        return None

    def units(self, shape):
        """Returns how many units, each zero or alive as a whole, there are."""
        return math.prod(shape)

    def check(self, shape, path):
        """Raises an error that names `path` if a weight of `shape` does not fit."""
        whole = isinstance(shape, (tuple, list)) and all(
            isinstance(side, numbers.Integral) for side in shape
        )
        if not whole:
            raise TypeError(
                "`shape` must be the shape of a weight, a tuple of integers. "
                f"Received: path={path!r}, shape={shape!r}"
            )

    def _check_rank(self, shape, path):
        if len(shape) < 2:
            raise ValueError(
                f"{self} needs a weight of rank 2 or more. "
                f"Received: path={path!r}, shape={tuple(shape)}"
            )


@serializable
@dataclasses.dataclass(frozen=True)
class Unstructured(_Pattern):
    """Every weight for itself: any weight may be zero.

    The default, and the pattern of DSD (Han et al. 2017, arXiv:1607.04381). Fits every
    shape. A sparsity s means floor(s * size) zeros.

    >>> from keras_dsd import patterns
    >>> patterns.Unstructured()
    Unstructured()
    """


@serializable
@dataclasses.dataclass(frozen=True)
class NM(_Pattern):
    """N:M sparsity: n of every m consecutive weights along axis -2 survive.

    Axis -2 is the input of a `Dense` kernel (inputs, outputs) and the input channels
    of a convolution kernel (height, width, channels, filters): the direction in which
    hardware for 2:4 reads (Mishra et al. 2021, arXiv:2104.08378).

    The pattern fixes the sparsity: `NM(2, 4)` is 50 %, nothing else. A sparsity given
    beside it must equal `NM.sparsity` or be left out; whoever takes both compares
    them.

    Args:
        n: integer, 1 <= n <= m; how many weights of a group survive.
        m: integer; the weights in a group. It must divide axis -2.

    Raises:
        TypeError: `n` or `m` is not an integer.
        ValueError: `n` or `m` is out of range; from `check`, a weight of rank below 2
            or with an axis -2 that `m` does not divide.

    >>> from keras_dsd import patterns
    >>> patterns.NM(2, 4).sparsity
    Fraction(1, 2)
    >>> patterns.NM(2, 4).check((784, 300), "dense/kernel")
    >>> patterns.NM(2, 4).check((3, 3, 3, 16), "conv/kernel")
    Traceback (most recent call last):
    ValueError: NM(n=2, m=4) needs an axis -2 that 4 divides.
    Received: path='conv/kernel', shape=(3, 3, 3, 16)
    """

    n: int
    m: int

    def __post_init__(self):
        n = checks.integer(self.n, "n", at_least=1)
        m = checks.integer(self.m, "m", at_least=1)
        if n > m:
            raise ValueError(
                "`n`, the weights that survive, must not exceed `m`, the weights in a "
                f"group. Received: n={n}, m={m}"
            )
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "m", m)

    @property
    def sparsity(self) -> Fraction:
        """The exact fraction of zeros, (m - n) / m, as a `Fraction`."""
        return Fraction(self.m - self.n, self.m)

    def check(self, shape, path):
        """Raises an error that names `path` if a weight of `shape` does not fit."""
        super().check(shape, path)
        self._check_rank(shape, path)
        if shape[-2] % self.m:
            raise ValueError(
                f"{self} needs an axis -2 that {self.m} divides. "
                f"Received: path={path!r}, shape={tuple(shape)}"
            )


@serializable
@dataclasses.dataclass(frozen=True)
class Block(_Pattern):
    """Rectangles of weights over the last two axes, zero or alive as a whole.

    Leading axes stay apart: in a convolution kernel (height, width, channels, filters)
    no block spans two positions. All blocks of one tensor are ranked together by their
    mean |w|; a block at an edge, cut short, averages the weights that it has. A
    sparsity s means floor(s * blocks) zero blocks. After Narang et al. 2017
    (arXiv:1711.02782), who score a block by its maximum; the mean lets no single
    weight keep a block alive.

    Args:
        shape: pair of integers (rows, columns), both 1 or more.

    Raises:
        TypeError: `shape` is not a pair, or a side is not an integer.
        ValueError: a side below 1; from `check`, a weight of rank below 2.

    >>> from keras_dsd import patterns
    >>> patterns.Block((4, 4)).check((10, 3), "dense/kernel")  # edge blocks are fine
    """

    shape: tuple[int, int]

    def __post_init__(self):
        if not isinstance(self.shape, (tuple, list)) or len(self.shape) != 2:
            raise TypeError(
                "`shape` of a block must be a pair of integers (rows, columns). "
                f"Received: shape={self.shape!r}"
            )
        # A file holds a list; a tuple again compares and hashes like the original.
        sides = tuple(checks.integer(side, "shape", at_least=1) for side in self.shape)
        object.__setattr__(self, "shape", sides)

    def units(self, shape):
        """Returns the number of blocks, those cut short at an edge included."""
        *leading, rows, columns = shape
        return math.prod(
            [*leading, -(-rows // self.shape[0]), -(-columns // self.shape[1])]
        )

    def check(self, shape, path):
        """Raises an error that names `path` if a weight of `shape` does not fit."""
        super().check(shape, path)
        self._check_rank(shape, path)


def get(identifier):
    """Returns the pattern that `identifier` names.

    Args:
        identifier: None (`Unstructured()`, the default), a pattern (returned as it
            is), "unstructured", "n:m" such as "2:4", "rows x columns" such as "4x4"
            or "1x16", or the dict that Keras stores for a pattern.

    Raises:
        ValueError: a string or dict that describes no pattern.
        TypeError: anything else.

    >>> from keras_dsd import patterns
    >>> patterns.get("2:4")
    NM(n=2, m=4)
    >>> patterns.get("1x16")
    Block(shape=(1, 16))
    """
    if identifier is None:
        return Unstructured()
    if isinstance(identifier, _Pattern):
        return identifier
    cause = None
    if isinstance(identifier, str):
        if identifier == "unstructured":
            return Unstructured()
        found = re.fullmatch("([0-9]{1,9})([:x])([0-9]{1,9})", identifier)
        if found:
            first, second = int(found[1]), int(found[3])
            return NM(first, second) if found[2] == ":" else Block((first, second))
    elif isinstance(identifier, dict):
        try:
            stored = keras.saving.deserialize_keras_object(identifier)
        except Exception as error:  # Keras raises many kinds; ours says what is known
            cause = error
        else:
            if isinstance(stored, _Pattern):
                return stored
    kind = ValueError if isinstance(identifier, (str, dict)) else TypeError
    raise kind(
        "Unknown `pattern`. Known: None, 'unstructured', 'n:m' such as '2:4', "
        "'rows x columns' such as '4x4', or an instance (or stored config) of "
        f"Unstructured, NM, Block. Received: pattern={identifier!r}"
    ) from cause
