"""Tables: many tensors below each other, so that one search serves them all.

Decides which tensors share a table. `radix_select` searches a small one,
`sample_select` any.
Knows `keras.ops` only.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

# Entries that share one count are a "row": few, so that members spread over few rows.
# It is a square because XLA makes vector instructions of a sum in two steps.
SIDE = 8
ROW = SIDE * SIDE
_BLOCK = 8  # rows of one tensor that are summed together, where tensors share a table
KEYS = {  # of infinity, and the largest that there is: keys between them are NaN
    "float16": (0x7C00, 0x7FFF),
    "bfloat16": (0x7F80, 0x7FFF),
    "float32": (0x7F800000, 0x7FFFFFFF),
    "float64": (0x7FF << 52, (1 << 63) - 1),
}
_SMALL = (
    1 << 19
)  # entries of a table that `radix_select` searches, if they belong to ...
_FEW = 64  # ... so many groups or fewer
_ALONE = 1 << 22  # entries from which on a group has a table of its own
_SHARED = 1 << 25  # entries in a table that groups share
_SAMPLES = 1 << 18  # sampled entries over all groups, at most ...
_SAMPLE = 1 << 14  # ... of one group ...
_SPARED = 1 << 6  # ... and one in so many
_LARGE = 1 << 18  # entries of a mask that is worth counting on all cores


class Cuts(NamedTuple):
    """Where the smallest |entries| of each of some tensors end: tensors (tensors,).

    An entry stays if its key is above `key`, or equal to it at a flat index below
    `index`: of equal entries the later go first. `finite` tells whether all entries
    are.
    """

    key: Any
    index: Any
    finite: Any


@dataclasses.dataclass(frozen=True)
class Layout:
    """Which tensors lie in a table, one after the other, each from a new row on.

    Attributes:
        sizes: tuple of integers, the entries of each tensor.
        groups: tuple of integers from 0, not decreasing: tensors of one group are
            ranked together.
    """

    sizes: tuple
    groups: tuple

    @property
    def block(self):
        """How many rows at a time are of one tensor."""
        return _block(self.sizes)

    @functools.cached_property
    def rows(self):
        """The count of rows of each tensor."""
        return -(-np.array(self.sizes) // (self.block * ROW)) * self.block

    @functools.cached_property
    def starts(self):
        """The position of each tensor's first entry."""
        return ((np.cumsum(self.rows) - self.rows) * ROW).astype("int32")

    @functools.cached_property
    def totals(self):
        """The entries of each group."""
        return np.bincount(self.groups, self.sizes).astype("int64")

    @functools.cached_property
    def tensor_of_row(self):
        """The index of the tensor that each row belongs to."""
        return np.arange(len(self.sizes), dtype="int32").repeat(self.rows)

    @functools.cached_property
    def group_of_row(self):
        """The index of the group that each row belongs to."""
        return np.array(self.groups, "int32")[self.tensor_of_row]

    @functools.cached_property
    def filling(self):
        """How many entries each tensor was filled up by."""
        return (self.rows * ROW - np.array(self.sizes)).astype("int32")

    @property
    def is_small(self):
        """Whether `radix_select` is to search the table.

        That takes some milliseconds, an order more than `sample_select` does, but
        hardly any time to compile.
        """
        return sum(self.sizes) <= _SMALL and len(self.totals) <= _FEW

    @functools.cached_property
    def sample(self):
        """Positions (groups, samples) of entries spread over each group.

        One at a random place of every stride: weights may repeat with some period.
        """
        sizes, totals = np.array(self.sizes), self.totals
        count = min(_SAMPLES // len(totals), _SAMPLE, int(totals.max()) // _SPARED)
        count = max(count // ROW, 1) * ROW
        places = np.arange(count) + np.random.default_rng(0).random(count)
        ranks = (places / len(places) * totals[:, None]).astype("int64")
        ranks += (np.cumsum(totals) - totals)[:, None]  # in the table but for filling
        ends = np.cumsum(sizes)
        tensor = np.searchsorted(ends, ranks, side="right")
        return (ranks + (self.starts - (ends - sizes))[tensor]).astype("int32")


def _block(tensors):
    # One tensor alone isn't filled up for that: it would have to be copied.
    return 1 if len(tensors) == 1 else _BLOCK


def table(tensors):
    """Returns the tensors below each other as rows, filled up with NaN.

    NaN because its key is above that of infinity: filling is never among the smallest.
    """
    pieces = []
    unit = _block(tensors) * ROW
    for tensor in tensors:
        flat = ops.reshape(tensor, (-1,))
        pieces.append(flat)
        if missing := -flat.shape[0] % unit:
            pieces.append(ops.full((missing,), float("nan"), dtype=flat.dtype))
    whole = pieces[0] if len(pieces) == 1 else ops.concatenate(pieces)
    return ops.reshape(whole, (-1, SIDE, SIDE))


def stays(keys, key, index):
    """Returns which entries stay, by their keys, given a key and an index of `Cuts`."""
    key = ops.cast(key, keys.dtype)
    places = ops.arange(math.prod(keys.shape), dtype="int32")
    places = ops.reshape(places, keys.shape)
    return (keys > key) | ((keys == key) & (places < index))


def count(mask):
    """Returns how many entries of a mask are True, as an int32 tensor.

    Row by row first, of a large one: XLA would sum them all on one core.
    """
    flags = ops.cast(ops.reshape(mask, (-1,)), "int32")
    if flags.shape[0] < _LARGE:
        return ops.sum(flags)
    flags = ops.pad(flags, (0, -flags.shape[0] % ROW))
    counts = ops.sum(ops.sum(ops.reshape(flags, (-1, SIDE, SIDE)), axis=1), axis=1)
    return ops.segment_sum(counts, ops.zeros(counts.shape, "int32"), 1)[0]


def cut_all(scores, zeros, groups, cut_table):
    """Returns the `Cuts` of all tensors, from as few tables as is sensible.

    Small groups share a table, which copies them; a large one has its own, which for a
    single tensor needs no copy.

    Args:
        scores: list of floating tensors.
        zeros: integer tensor (groups,): how many entries each group loses.
        groups: list of lists of indices into `scores`, each index once.
        cut_table: function of a list of tensors, of the `zeros` of their groups and of
            their `Layout`, which returns their `Cuts`.
    """
    sizes = [math.prod(score.shape) for score in scores]
    found, tensors = [], []
    for chosen in _tables(scores, sizes, groups):
        order = [i for group in chosen for i in groups[group]]
        local = [place for place, group in enumerate(chosen) for _ in groups[group]]
        layout = _layout(tuple(sizes[i] for i in order), tuple(local))
        lost = ops.take(zeros, np.array(chosen))
        found.append(cut_table([scores[i] for i in order], lost, layout))
        tensors += order
    if len(found) > 1:
        found = [Cuts(*map(ops.concatenate, zip(*found, strict=True)))]
    return Cuts(*(take_rows(part, np.argsort(tensors)) for part in found[0]))


def take_rows(values, indices):
    """Returns some rows of a tensor, or itself if they are all of them in order."""
    if np.array_equal(indices, np.arange(values.shape[0])):
        return values
    return ops.take(values, np.array(indices), axis=0)


# Kept, because `tf.function` knows a layout again only while it lives.
_layout = functools.lru_cache(maxsize=256)(Layout)


def _tables(scores, sizes, groups):
    """Returns lists of indices of groups, each list for one table."""
    tables: list[list[int]] = []
    unfinished: dict[str, tuple[int, list[int]]] = {}
    for index, group in enumerate(groups):
        dtype = keras.backend.standardize_dtype(scores[group[0]].dtype)
        size = sum(sizes[i] for i in group)
        if size >= _ALONE:
            tables.append([index])
            continue
        filled, indices = unfinished.get(dtype, (_SHARED, []))
        if filled + size > _SHARED:
            filled, indices = 0, []
            tables.append(indices)
        indices.append(index)
        unfinished[dtype] = filled + size, indices
    return tables
