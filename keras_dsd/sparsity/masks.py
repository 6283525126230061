"""Masks from arrays: arrays in, boolean masks out, True for what survives.

What a user calls on arrays is what a mask update compiles: `topk` does the ranking.
These functions first check what they are given. Knows no model, no layer and no phase.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_dsd import backend
from keras_dsd._shared import checks
from keras_dsd.sparsity import counts, patterns, topk


def magnitude(weights, sparsity, pattern=None):
    """Returns the mask that keeps the largest magnitudes of one weight tensor.

    Exactly floor(sparsity * size) entries are False, the sparsity taken as the decimal
    that was written. On a tie the entry with the lower index (C order) survives.

    Args:
        weights: floating array or tensor of any shape; integers count as float32.
        sparsity: number in [0, 1), the fraction of zeros. With an `NM` pattern, `None`
            or that pattern's own.
        pattern: see `patterns.get`. With `Block` the sparsity counts blocks.

    Returns:
        Boolean tensor of the shape of `weights`.

    Raises:
        TypeError: weights, sparsity or pattern of a wrong type.
        ValueError: a sparsity out of range or not the pattern's, a shape that the
            pattern does not fit, or a weight that is not finite.

    >>> from keras_dsd import masks
    >>> mask = masks.magnitude([[0.1, -0.9, 0.3], [0.9, -0.2, 0.5]], sparsity=0.5)
    >>> keras.ops.convert_to_numpy(mask).astype(int).tolist()
    [[0, 1, 0], [1, 0, 1]]
    >>> mask = masks.magnitude([[0.5], [-2.0], [1.0], [0.1]], None, pattern="2:4")
    >>> keras.ops.convert_to_numpy(mask).astype(int).tolist()
    [[0], [1], [1], [0]]
    """
    pattern = patterns.get(pattern)
    if pattern.sparsity is None or sparsity is not None:
        checks.sparsity(sparsity)
    if pattern.sparsity is None:
        zeros = counts.zeros
    elif sparsity in (None, pattern.sparsity) or (
        counts.as_fraction(sparsity) == pattern.sparsity
    ):
        zeros = None
    else:
        raise ValueError(
            f"{pattern} is a sparsity of {float(pattern.sparsity)}. "
            f"Received: sparsity={sparsity!r}"
        )
    tensor = _floating(weights, "weights")
    pattern.check(tuple(tensor.shape), "weights")
    count = zeros(pattern.units(tuple(tensor.shape)), sparsity) if zeros else 0
    return _checked([tensor], [pattern], [count], [False], ["weights"])[0]


def global_magnitude(weights, sparsity):
    """Returns the masks that keep the largest magnitudes of many tensors at once.

    One ranking for all: exactly floor(sparsity * total size) entries are False,
    wherever they lie. On a tie the earlier tensor, then the lower index survives.

    Args:
        weights: list of floating arrays or tensors of one dtype, of any shapes.
        sparsity: number in [0, 1), the fraction of zeros in all of them together.

    Returns:
        List of boolean tensors of the shapes of `weights`.

    Raises:
        TypeError: `weights` is not a list of arrays, or sparsity is not a number.
        ValueError: no or empty arrays, several dtypes, a sparsity out of range, or a
            weight that is not finite.

    >>> from keras_dsd import masks
    >>> found = masks.global_magnitude([[0.1, -0.9], [0.3, 0.8, -0.2]], sparsity=0.4)
    >>> [keras.ops.convert_to_numpy(mask).astype(int).tolist() for mask in found]
    [[0, 1], [1, 1, 0]]
    """
    checks.sparsity(sparsity)
    if not isinstance(weights, (list, tuple)):
        raise TypeError(
            "`weights` must be a list of arrays. "
            f"Received: weights of type {type(weights).__name__}"
        )
    if not weights:
        raise ValueError("`weights` must hold an array or more. Received: weights=[]")
    names = [f"weights[{i}]" for i in range(len(weights))]
    tensors = [_floating(*pair) for pair in zip(weights, names, strict=True)]
    zeros = counts.zeros(sum(math.prod(tensor.shape) for tensor in tensors), sparsity)
    free = [patterns.Unstructured()] * len(tensors)
    return _checked(tensors, free, [zeros] * len(tensors), [True] * len(tensors), names)


def drop_and_grow(weights, mask, growth_scores, fraction):
    """Returns the mask after the weakest connections gave way to new ones.

    floor(fraction * active) of the active weights with the smallest magnitudes are
    dropped (on a tie the higher index), and as many grown: those with the highest
    growth scores among all that are not active now, the dropped ones included (on a
    tie the lower index). So the number of active weights stays. The update of RigL
    (Evci et al. 2020, arXiv:1911.11134), with exact ties and no noise.

    Args:
        weights: floating array or tensor of any shape.
        mask: boolean (or 0/1) array of that shape, True where a weight is active.
        growth_scores: floating array of that shape, compared with their sign.
        fraction: number in [0, 1], the share of active weights to drop.

    Returns:
        Boolean tensor of the shape of `weights`. A weight that is True here and was
        False in `mask` starts at 0.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: shapes that differ, a fraction out of range, or values that are not
            finite.

    >>> from keras_dsd import masks
    >>> new = masks.drop_and_grow(
    ...     [0.9, -0.1, 0.0, 0.5], [1, 1, 0, 1], [0.0, 0.2, 0.7, 0.0], fraction=0.34
    ... )
    >>> keras.ops.convert_to_numpy(new).astype(int).tolist()
    [1, 0, 1, 1]
    """
    checks.fraction(fraction, "fraction")
    weights = _floating(weights, "weights")
    scores = _floating(growth_scores, "growth_scores")
    active = _boolean(mask)
    for tensor, name in ((active, "mask"), (scores, "growth_scores")):
        if tuple(tensor.shape) != tuple(weights.shape):
            raise ValueError(
                f"`{name}` must have the shape of `weights`, {tuple(weights.shape)}. "
                f"Received: {name} of shape {tuple(tensor.shape)}"
            )
    count = int(backend.count(active))
    moved = counts.zeros(count, fraction)
    ranks = topk.rank(weights, active)
    kept, sound = topk.best([ranks], [active], [count - moved])
    free = ops.logical_not(kept[0])
    ranks = topk.signed_rank(scores, free, moved)
    grown, growing = topk.best([ranks], kept, [moved], added=True)
    for flag, name in ((sound, "weights"), (growing, "growth_scores")):
        if not ops.convert_to_numpy(flag).all():
            raise ValueError(
                "Values that are not finite cannot be ranked. "
                f"Received: {name} with NaN or infinity"
            )
    return grown[0]


def _floating(weights, name):
    """Returns `weights` as a floating tensor of one entry or more."""
    try:
        if isinstance(weights, keras.KerasTensor):
            raise TypeError("It has no values.")
        tensor = ops.convert_to_tensor(weights)
        dtype = keras.backend.standardize_dtype(tensor.dtype)
    except Exception as error:  # every backend raises its own kind
        raise TypeError(
            f"`{name}` must be an array of numbers. "
            f"Received: {name} of type {type(weights).__name__}"
        ) from error
    if not dtype.startswith(("float", "bfloat", "int", "uint")):
        raise TypeError(
            f"`{name}` must be an array of real numbers. Received: dtype={dtype}"
        )
    if not math.prod(tensor.shape):
        raise ValueError(
            f"`{name}` must have an entry or more. "
            f"Received: shape={tuple(tensor.shape)}"
        )
    return tensor if "float" in dtype else ops.cast(tensor, "float32")


def _boolean(mask):
    """Returns `mask` as a boolean tensor."""
    try:
        values = np.asarray(ops.convert_to_numpy(ops.convert_to_tensor(mask)))
    except Exception as error:  # every backend raises its own kind
        raise TypeError(
            "`mask` must be an array of booleans. "
            f"Received: mask of type {type(mask).__name__}"
        ) from error
    if values.dtype != bool and not np.isin(values, (0, 1)).all():
        raise ValueError(
            "`mask` must hold booleans, or 0 and 1. "
            f"Received: mask of dtype {values.dtype} with other values"
        )
    return ops.convert_to_tensor(values.astype(bool))


def _checked(tensors, weight_patterns, zeros, shared, names):
    """Calls `topk.choose`; refuses weights that are not finite if they are known."""
    found, finite = topk.choose(tensors, weight_patterns, zeros, shared)
    if not backend.is_traced(finite):
        flags = ops.convert_to_numpy(finite)
        if not flags.all():
            name = names[int(flags.argmin())]
            raise ValueError(
                "Magnitudes that are not finite cannot be ranked. "
                f"Received: {name} with NaN or infinity"
            )
    return found
