"""Masks from magnitudes: arrays in, boolean masks out, True for what survives.

The functions that a user calls on arrays are those that a mask update compiles:
`choose` does the ranking, `magnitude` and `global_magnitude` check what they are given
first. An update works in two steps, so that nothing is written before all is known:
`decide` looks at all weights and returns next to nothing (a threshold, a tie's index),
`mask` turns it into a mask, element by element. Knows patterns and counts; knows no
model, no layer and no phase.
"""

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_dsd import _checks, backend, counts, patterns


class Decision(NamedTuple):
    """What `mask` needs to know about a weight; tensors, so that graphs can carry it.

    Attributes:
        finite: scalar boolean tensor, whether all entries of the weight are.
        parts: tuple of tensors; key and index of the cut for `Unstructured`, nothing
            for `NM`, the mask of the blocks for `Block`.
    """

    finite: object
    parts: tuple


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
        _checks.sparsity(sparsity)
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
    number = zeros(pattern.units(tuple(tensor.shape)), sparsity) if zeros else 0
    return _checked([tensor], [pattern], [number], [False], ["weights"])[0]


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
    _checks.sparsity(sparsity)
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


def choose(weights, weight_patterns, zeros, shared):
    """Returns new masks of many weights, and which weights are finite.

    Args:
        weights: list of floating tensors.
        weight_patterns: list of patterns that fit them.
        zeros: integer tensor or list (weights,): how many entries, with `Block` how
            many blocks, become zero; without meaning for `NM`. Of weights with one
            ranking the first says how many zeros they get together.
        shared: list of booleans, whether a weight takes part in the one ranking. Such
            weights are unstructured and of one dtype.

    Returns:
        List of boolean tensors, and a boolean tensor (weights,).
    """
    decisions = decide(weights, weight_patterns, zeros, shared)
    finite = ops.stack([decision.finite for decision in decisions])
    together = zip(weights, weight_patterns, decisions, strict=True)
    return [mask(*one) for one in together], finite


def decide(weights, weight_patterns, zeros, shared):
    """Returns a `Decision` for each weight; arguments as of `choose`."""
    scores, groups = {}, []  # scores by number of the weight; groups of these numbers
    together = [number for number, is_shared in enumerate(shared) if is_shared]
    dtypes = {keras.backend.standardize_dtype(weights[i].dtype) for i in together}
    if len(dtypes) > 1:
        raise ValueError(
            "Weights of different dtypes cannot be ranked together. "
            f"Received: dtypes={sorted(dtypes)}"
        )
    for number, pattern in enumerate(weight_patterns):
        if isinstance(pattern, patterns.NM):
            continue
        is_block = isinstance(pattern, patterns.Block)
        weight = weights[number]
        scores[number] = _block_scores(weight, pattern) if is_block else weight
        if not shared[number]:
            groups.append([number])
    if together:
        groups.append(together)
    cuts = _find_cuts(scores, zeros, groups)

    results = []
    for number, (weight, pattern) in enumerate(
        zip(weights, weight_patterns, strict=True)
    ):
        if isinstance(pattern, patterns.NM):
            results.append(Decision(ops.all(ops.isfinite(weight)), ()))
            continue
        key, index, finite = cuts[number]
        if isinstance(pattern, patterns.Block):
            # Laid over the very scores that were ranked: computed again, they might
            # round differently.
            results.append(Decision(finite, (stays(scores[number], key, index),)))
        else:
            results.append(Decision(finite, (key, index)))
    return results


def _find_cuts(scores, zeros, groups):
    """`backend.find_cuts` for dicts by number; the first of a group has its zeros."""
    if not groups:
        return {}
    place = {number: i for i, number in enumerate(scores)}
    firsts = np.array([group[0] for group in groups])
    zeros = ops.take(ops.convert_to_tensor(zeros, "int32"), firsts)
    groups = [[place[number] for number in group] for group in groups]
    cuts = backend.find_cuts(list(scores.values()), zeros, groups)
    return dict(zip(scores, cuts, strict=True))


def mask(weight, pattern, decision):
    """Returns the mask that was decided for a weight: elementwise, for XLA to fuse."""
    if isinstance(pattern, patterns.NM):
        return _largest_of_each(weight, pattern.n, pattern.m)
    if isinstance(pattern, patterns.Block):
        return _spread_blocks(decision.parts[0], pattern.shape, weight.shape)
    return stays(weight, *decision.parts)


def stays(scores, key, index):
    """Returns which entries stay, given the key and index of a `tables.Cut`."""
    keys = backend.bits(scores)
    places = ops.arange(math.prod(scores.shape), dtype="int32")
    places = ops.reshape(places, scores.shape)
    return (keys > key) | ((keys == key) & (places < index))


def _largest_of_each(weight, n, m):
    """The n largest of every m along axis -2; of equal ones the first."""
    *leading, rows, columns = weight.shape
    keys = ops.reshape(backend.bits(weight), (*leading, rows // m, m, columns))
    place = ops.reshape(ops.arange(m, dtype="int32"), (m, 1))
    rank = ops.zeros_like(keys)
    for other in range(m):
        rival = keys[..., other : other + 1, :]
        wins = (rival > keys) | ((rival == keys) & (place > other))
        rank += ops.cast(wins, rank.dtype)
    return ops.reshape(rank < n, weight.shape)


def _block_scores(weight, pattern):
    """The mean magnitude of every block, one at an edge over the entries it has."""
    *leading, rows, columns = weight.shape
    height, width = pattern.shape
    padding = [(0, 0)] * len(leading) + [(0, -rows % height), (0, -columns % width)]
    padded = ops.pad(ops.cast(ops.abs(weight), "float32"), padding)
    down, across = -(-rows // height), -(-columns // width)
    blocks = ops.reshape(padded, (*leading, down, height, across, width))
    # Real entries of a block are those of its row of blocks times its column's.
    heights = np.minimum(rows - np.arange(down) * height, height)
    widths = np.minimum(columns - np.arange(across) * width, width)
    sizes = np.outer(heights, widths).astype("float32")
    return ops.sum(ops.sum(blocks, axis=-1), axis=-2) / sizes


def _spread_blocks(blocks, block_shape, shape):
    """From one entry per block to one per weight."""
    *leading, rows, columns = shape
    height, width = block_shape
    down, across = blocks.shape[-2:]
    wide = (*leading, down, height, across, width)
    spread = ops.broadcast_to(blocks[..., :, None, :, None], wide)
    spread = ops.reshape(spread, (*leading, down * height, across * width))
    return spread[..., :rows, :columns]


def _floating(weights, name):
    """Returns `weights` as a floating tensor of one entry or more."""
    try:
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


def _checked(tensors, weight_patterns, zeros, shared, names):
    """Calls `choose`; complains of weights that are not finite if they are known."""
    found, finite = choose(tensors, weight_patterns, zeros, shared)
    if not backend.is_traced(finite):
        flags = ops.convert_to_numpy(finite)
        if not flags.all():
            name = names[int(flags.argmin())]
            raise ValueError(
                "Magnitudes that are not finite cannot be ranked. "
                f"Received: {name} with NaN or infinity"
            )
    return found
