"""Which entries of weights live: from scores to masks, on tensors that graphs hold.

Works in two steps, so that nothing is written before all is known: `decide` looks at
all weights and returns next to nothing (a threshold, a tie's index), `mask` turns it
into a mask, element by element. `best` picks some of a subset, for masks that move.
Knows patterns; knows no model, no layer and no phase.
"""

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_dsd import backend, patterns
from keras_dsd.backend.tables import KEYS


class Decision(NamedTuple):
    """What `mask` needs to know about a weight; tensors, so that graphs can carry it.

    Attributes:
        finite: scalar boolean tensor, whether all entries of the weight are.
        parts: tuple of tensors; key and index of the cut for `Unstructured`, nothing
            for `NM`, the mask of the blocks for `Block`.
    """

    finite: object
    parts: tuple


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


def best(ranks, among, numbers, *, together=False):
    """Returns masks of the highest ranks of each tensor, within a subset of it.

    On a tie the entry with the lower index (C order) is picked, between tensors one of
    the earlier.

    Args:
        ranks: list of floating tensors, from `rank` or `signed_rank`.
        among: list of boolean tensors of their shapes: the entries to pick from.
        numbers: integer tensor (tensors,), how many to pick of each; no more than there
            are. With `together`, of shape (1,).
        together: whether one ranking is made of all tensors, from `rank`.

    Returns:
        List of boolean tensors, and a boolean tensor (tensors,): whether all scores in
        the subset are finite.
    """
    groups = [[number] for number in range(len(ranks))]
    if together:
        groups = [list(range(len(ranks)))]
    sizes = [math.prod(one.shape) for one in ranks]
    totals = [sum(sizes[i] for i in group) for group in groups]
    zeros = ops.convert_to_tensor(totals, "int32") - ops.cast(numbers, "int32")
    cuts = backend.find_cuts(ranks, zeros, groups)
    picked = [
        _picked(one, some, cut.key, cut.index)
        for one, some, cut in zip(ranks, among, cuts, strict=True)
    ]
    return picked, ops.stack([ops.convert_to_tensor(cut.finite) for cut in cuts])


def rank(score, among):
    """Returns magnitudes that order `among` as |score| does, and are 0 elsewhere.

    Elementwise, to be `backend.fused` with what makes the score.
    """
    score = _wide(score)
    ranked = backend.from_bits(backend.bits(score) + 1, score.dtype)
    return _zero_outside(ranked, score, among)


def signed_rank(score, among, number):
    """Returns magnitudes by which `number` entries of `among` have the highest scores.

    The integers that order magnitudes have no room for a sign. So if there are enough
    positive scores, the others rank below all of them; else the positive ones are
    picked anyhow, and the others are ranked, the smallest magnitude first.
    """
    score = _wide(score)
    keys = backend.bits(score)
    positive = among & (score > 0)
    # The key of infinity; one less is the largest finite number's.
    top, _ = KEYS[keras.backend.standardize_dtype(score.dtype)]
    enough = ops.sum(ops.cast(positive, "int32")) >= number
    others = ops.where(enough, 1, ops.maximum(top - 2 - keys, 1))
    keys = ops.where(positive, ops.where(enough, keys + 1, top - 1), others)
    ranked = backend.from_bits(keys, score.dtype)
    return _zero_outside(ranked, score, among)


def _wide(score):
    # Exact, and then one above a number is no infinity.
    narrow = keras.backend.standardize_dtype(score.dtype) in ("float16", "bfloat16")
    return ops.cast(score, "float32") if narrow else score


def _zero_outside(ranked, score, among):
    ranked = ops.where(ops.isfinite(score), ranked, float("nan"))
    return ops.where(among, ranked, ops.zeros((), ranked.dtype))


@backend.fused
def count(mask):
    """Returns how many entries of a mask are True, as an int32 tensor."""
    return ops.sum(ops.cast(mask, "int32"))


@backend.fused
def _picked(ranked, among, key, index):
    return among & stays(ranked, key, index)
