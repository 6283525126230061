"""Which entries of weights live: from scores to masks, on tensors that graphs hold.

Works in two steps, so that nothing is written before all is known: `decide` looks at
all weights and returns next to nothing (a threshold, a tie's index), `mask` turns it
into a mask, element by element. `best` picks some of a subset, for masks that move.
Knows patterns; knows no model, no layer and no phase.
"""

import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_dsd import backend
from keras_dsd.backend.tables import KEYS, Cuts, take_rows
from keras_dsd.sparsity import patterns


class Decisions(NamedTuple):
    """What `mask` needs to know about weights.

    Attributes:
        finite: boolean tensor (weights,), whether all entries of each weight are.
        cuts: the `Cuts` of all that was ranked, or `None` if nothing was.
        place: {index of a weight: its place among the cuts}.
        blocks: {index of a weight: the mask of its blocks}.
    """

    finite: Any
    cuts: Cuts | None
    place: dict
    blocks: dict

    def columns(self, indices):
        """Returns what `mask` is to be given for some weights of one kind of pattern.

        Returns:
            Tuple of columns with an entry for each weight, tensors or lists: key and
            index of the cuts for `Unstructured`, nothing for `NM`, the masks of the
            blocks for `Block`.
        """
        if self.cuts is None or indices[0] not in self.place:
            return ()
        if indices[0] in self.blocks:
            return ([self.blocks[index] for index in indices],)
        places = [self.place[index] for index in indices]
        return take_rows(self.cuts.key, places), take_rows(self.cuts.index, places)


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
    found = []
    for index, one in enumerate(zip(weights, weight_patterns, strict=True)):
        columns = decisions.columns([index])
        found.append(mask(*one, *(column[0] for column in columns)))
    return found, decisions.finite


def decide(weights, weight_patterns, zeros, shared):
    """Returns the `Decisions`; arguments as of `choose`."""
    scores, groups = {}, []  # scores by index of the weight; groups of these indices
    together = [index for index, is_shared in enumerate(shared) if is_shared]
    dtypes = {keras.backend.standardize_dtype(weights[i].dtype) for i in together}
    if len(dtypes) > 1:
        raise ValueError(
            "Weights of different dtypes cannot be ranked together. "
            f"Received: dtypes={sorted(dtypes)}"
        )
    for index, pattern in enumerate(weight_patterns):
        if isinstance(pattern, patterns.NM):
            continue
        is_block = isinstance(pattern, patterns.Block)
        weight = weights[index]
        scores[index] = _block_scores(weight, pattern) if is_block else weight
        if not shared[index]:
            groups.append([index])
    if together:
        groups.append(together)
    place = {index: i for i, index in enumerate(scores)}
    cuts = _find_cuts(scores, zeros, groups, place)
    # From the very scores that were ranked: computed again, they might round
    # differently.
    blocks = {
        index: backend.stays(
            scores[index], cuts.key[place[index]], cuts.index[place[index]]
        )
        for index in scores
        if isinstance(weight_patterns[index], patterns.Block)
    }
    return Decisions(_finite(weights, cuts, place), cuts, place, blocks)


def _find_cuts(scores, zeros, groups, place):
    """Calls `backend.find_cuts`; the first weight of a group has the group's zeros."""
    if not groups:
        return None
    firsts = np.array([group[0] for group in groups])
    zeros = ops.take(ops.convert_to_tensor(zeros, "int32"), firsts)
    groups = [[place[index] for index in group] for group in groups]
    return backend.find_cuts(list(scores.values()), zeros, groups)


def _finite(weights, cuts, place):
    """Returns which weights are finite: of those that were ranked the cuts tell."""
    others = [i for i in range(len(weights)) if i not in place]
    found = [] if cuts is None else [cuts.finite]
    if others:
        found.append(ops.stack([_is_finite(weights[i]) for i in others]))
    whole = found[0] if len(found) == 1 else ops.concatenate(found)
    return take_rows(whole, np.argsort([*place, *others]))


_are_finite = backend.elementwise(ops.isfinite)


@backend.fused
def _is_finite(weight):
    return backend.count(_are_finite(weight)) == math.prod(weight.shape)


def mask(weight, pattern, *decided):
    """Returns the mask that was decided for a weight: elementwise, for XLA to fuse.

    Args:
        weight: floating tensor.
        pattern: its pattern.
        *decided: its entries of the `Decisions.columns`.
    """
    if isinstance(pattern, patterns.NM):
        return _largest_of_each(weight, pattern.n, pattern.m)
    if isinstance(pattern, patterns.Block):
        (blocks,) = decided
        return _spread_blocks(blocks, pattern.shape, weight.shape)
    return backend.stays(weight, *decided)


def _largest_of_each(weight, n, m):
    """Returns True for the n largest of every m along axis -2; of equals, the first."""
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
    """Returns the mean magnitude of every block, at an edge of the entries it has."""
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
    """Returns one entry per weight, given one per block."""
    *leading, rows, columns = shape
    height, width = block_shape
    down, across = blocks.shape[-2:]
    wide = (*leading, down, height, across, width)
    spread = ops.broadcast_to(blocks[..., :, None, :, None], wide)
    spread = ops.reshape(spread, (*leading, down * height, across * width))
    return spread[..., :rows, :columns]


def best(ranks, masks, picks, *, together=False, added=False):
    """Returns masks of the highest ranks of each tensor, within a subset of it.

    On a tie the entry with the lower index (C order) is picked, between tensors one of
    the earlier.

    Args:
        ranks: list of floating tensors, from `rank` or `signed_rank`.
        masks: list of boolean tensors of their shapes: the entries to pick from.
        picks: integer tensor (tensors,), how many to pick of each; no more than there
            are. With `together`, of shape (1,).
        together: whether one ranking is made of all tensors, from `rank`.
        added: whether to pick from what `masks` leave free, and to add it to them.

    Returns:
        List of boolean tensors, and a boolean tensor (tensors,): whether all scores in
        the subset are finite.
    """
    groups = [[index] for index in range(len(ranks))]
    if together:
        groups = [list(range(len(ranks)))]
    sizes = [math.prod(one.shape) for one in ranks]
    totals = [sum(sizes[i] for i in group) for group in groups]
    zeros = ops.convert_to_tensor(totals, "int32") - ops.cast(picks, "int32")
    cuts = backend.find_cuts(ranks, zeros, groups)
    apply = _with_picked if added else _picked
    found = [
        apply(one, mask, cuts.key[index], cuts.index[index])
        for index, (one, mask) in enumerate(zip(ranks, masks, strict=True))
    ]
    return found, cuts.finite


@backend.elementwise
def rank(score, among):
    """Returns magnitudes that order `among` as |score| does, and are 0 elsewhere."""
    keys, infinity = _keys(score)
    return _floats(ops.minimum(keys, infinity) + 1, score, among)


def signed_rank(score, among, picks):
    """Returns magnitudes by which `picks` entries of `among` have the highest scores.

    The integers that order magnitudes have no bit for a sign. So if there are enough
    positive scores, the others rank below all of them; else the positive ones are
    picked anyhow, and the others are ranked, the smallest magnitude first.
    """
    positive = _positive(score, among)
    return _signed_rank(score, among, positive, backend.count(positive) >= picks)


@backend.elementwise
def _positive(score, among):
    return among & (score > 0)


@backend.elementwise
def _signed_rank(score, among, positive, enough):
    keys, infinity = _keys(score)
    # The largest finite number's key is one below infinity's.
    picked = ops.where(enough, keys + 1, infinity - 1)
    others = ops.where(enough, 1, ops.maximum(infinity - 2 - keys, 1))
    ranked = ops.maximum(backend.masked(picked, positive), others)
    ranked = ops.where(keys < infinity, ranked, infinity + 1)
    return _floats(ranked, score, among)


def _keys(score):
    """Returns the keys of a score, and that of infinity: larger ones are NaN's.

    Of narrow floats those of float32, in which one above a number is no infinity.
    """
    dtype = _ranked_dtype(score)
    return backend.bits(ops.cast(score, dtype)), KEYS[dtype][0]


def _floats(keys, score, among):
    ranked = backend.from_bits(keys, _ranked_dtype(score))
    return backend.masked(ranked, among)


def _ranked_dtype(score):
    dtype = keras.backend.standardize_dtype(score.dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


@backend.fused
def _picked(ranked, among, key, index):
    return among & backend.stays(ranked, key, index)


@backend.fused
def _with_picked(ranked, mask, key, index):
    return mask | backend.stays(ranked, key, index)
