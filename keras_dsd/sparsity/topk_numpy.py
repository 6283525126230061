"""Which entries of small weights live: the masks of `topk`, by NumPy.

The same functions, for arrays in the host's memory, where ranking some thousand numbers
takes less than compiling a program that does. Ranks are integers that sort like the
magnitudes they stand for. Knows arrays; knows no model, no layer and no phase.
"""

from typing import NamedTuple

import numpy as np

from keras_dsd.backend.tables import KEYS

_INTEGERS = {"float32": np.int32, "float64": np.int64}


class Decisions(NamedTuple):
    """The masks of some weights, and which weights are finite, as `topk.Decisions`."""

    finite: np.ndarray
    masks: list

    def columns(self, indices):
        """Returns what `mask` is to be given for some weights."""
        return ([self.masks[index] for index in indices],)


def decide(weights, weight_patterns, zeros, shared):
    """Returns the `Decisions`; arguments as of `topk.choose`, unstructured patterns."""
    keys, finite = [], []
    for weight in weights:
        key, infinity = _keys(weight)
        keys.append(key)
        finite.append((key < infinity).all())
    groups = [[index] for index, is_shared in enumerate(shared) if not is_shared]
    groups.append([index for index, is_shared in enumerate(shared) if is_shared])
    masks: dict = {}
    for group in filter(None, groups):
        stay = _staying([keys[index] for index in group], zeros[group[0]])
        masks.update(zip(group, stay, strict=True))
    return Decisions(np.array(finite), [masks[index] for index in range(len(weights))])


def mask(weight, pattern, decided):
    """Returns the mask that was decided for a weight."""
    return decided


def best(ranks, masks, picks, *, together=False, added=False):
    """Returns masks of the highest ranks within a subset of each; see `topk.best`."""
    groups = [[index] for index in range(len(ranks))]
    if together:
        groups = [list(range(len(ranks)))]
    found = []
    for group, picked in zip(groups, picks, strict=True):
        lost = sum(ranks[index].size for index in group) - picked
        stay = _staying([ranks[index] for index in group], lost)
        for index, kept in zip(group, stay, strict=True):
            found.append(masks[index] | kept if added else masks[index] & kept)
    finite = [(rank < KEYS[_DTYPES[rank.dtype]][0]).all() for rank in ranks]
    return found, np.array(finite)


def rank(score, among):
    """Returns numbers that order `among` as |score| does, and are 0 elsewhere."""
    keys, infinity = _keys(score)
    return np.where(among, np.minimum(keys, infinity) + 1, keys.dtype.type(0))


def signed_rank(score, among, picks):
    """Returns numbers by which `picks` entries have the highest scores; see `topk`."""
    keys, infinity = _keys(score)
    positive = among & (score > 0)
    enough = np.count_nonzero(positive) >= picks
    picked = keys + 1 if enough else infinity - 1
    others = keys.dtype.type(1) if enough else np.maximum(infinity - 2 - keys, 1)
    ranked = np.where(positive, picked, others)
    ranked = np.where(keys < infinity, ranked, infinity + 1)
    return np.where(among, ranked, keys.dtype.type(0))


def _keys(values):
    """Returns |values| as integers that sort like it, and that of infinity."""
    values = np.ascontiguousarray(values)
    if values.dtype.itemsize < np.dtype("float32").itemsize:
        values = values.astype("float32")
    integer = _INTEGERS[values.dtype.name]
    largest = integer(KEYS[values.dtype.name][1])
    return values.view(integer) & largest, integer(KEYS[values.dtype.name][0])


def _staying(keys, lost):
    """Returns which entries stay if the `lost` smallest of all go, the later first."""
    flat = np.concatenate([key.ravel() for key in keys])
    stay = np.ones(flat.shape, bool)
    if lost > 0:
        cut = np.partition(flat, lost - 1)[lost - 1]
        stay = flat > cut
        left = flat.size - lost - np.count_nonzero(stay)
        stay[np.flatnonzero(flat == cut)[:left]] = True
    ends = np.cumsum([key.size for key in keys])[:-1]
    pieces = zip(np.split(stay, ends), keys, strict=True)
    # Copies: each becomes a variable's own memory.
    return [piece.reshape(key.shape).copy() for piece, key in pieces]


_DTYPES = {np.dtype(integer): name for name, integer in _INTEGERS.items()}
