"""Where the k-th smallest entry of a group of tensors lies: counting, not sorting.

Knows `keras.ops` only, so that XLA compiles it alike for TensorFlow and JAX, on CPU and
GPU: nothing but comparisons, sums and gathers, and no shape depends on the data.

Entries are compared as integer keys: the bits of |x| sort like |x| itself. A sorted
sample brackets the wanted key. A pass over all entries counts, row by row, what lies
below the bracket and inside it; interpolation then sets a narrower one. When few rows
still hold a member they are gathered, and the search ends among them. A bracket of one
key ends it too: its members are ties, and the counts tell at which index to cut them. A
bracket that misses is followed by a wider one, so that no data can make the passes
many: normal weights take two or three, a tensor of equal ones takes one.
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
_GATHERED = 16  # rows are gathered when at most one in so many holds a member
_TINY = 1 << 16  # entries that are sorted, if they belong to ...
_FEW = 16  # ... so many groups or fewer
_ALONE = 1 << 22  # entries from which on a group has a table of its own
_SHARED = 1 << 25  # entries in a table that groups share
_SAMPLE = 1 << 16  # most entries of all groups that are sampled ...
_SAMPLED = 1 << 8  # ... one in so many of a smaller group
_BITS = 8  # of one packed count: a row has at most 64
_COUNT = (1 << _BITS) - 1
_KEYS = {  # of infinity, and the largest that there is: keys between them are NaN
    "float16": (0x7C00, 0x7FFF),
    "bfloat16": (0x7F80, 0x7FFF),
    "float32": (0x7F800000, 0x7FFFFFFF),
    "float64": (0x7FF << 52, (1 << 63) - 1),
}


class Cut(NamedTuple):
    """Where the smallest |entries| of a tensor end, as tensors of rank 0.

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

    @functools.cached_property
    def rows(self):
        """The number of rows of each tensor."""
        return -(-np.array(self.sizes) // ROW)

    @functools.cached_property
    def starts(self):
        """The position of each tensor's first entry."""
        return ((np.cumsum(self.rows) - self.rows) * ROW).astype("int32")

    @functools.cached_property
    def totals(self):
        """The entries of each group."""
        return np.bincount(self.groups, self.sizes).astype("int64")

    @functools.cached_property
    def sample(self):
        """Positions (groups, samples) of entries spread over each group.

        One at a random place of every stride: weights may repeat with some period.
        """
        sizes, totals = np.array(self.sizes), self.totals
        count = min(_SAMPLE // len(totals), int(totals.max()) // _SAMPLED)
        count = max(count // ROW, 1) * ROW
        places = np.arange(count) + np.random.default_rng(0).random(count)
        ranks = (places / len(places) * totals[:, None]).astype("int64")
        ranks += (np.cumsum(totals) - totals)[:, None]  # in the table but for filling
        ends = np.cumsum(sizes)
        tensor = np.searchsorted(ends, ranks, side="right")
        return (ranks + (self.starts - (ends - sizes))[tensor]).astype("int32")


def table(tensors):
    """Returns the tensors below each other as rows, filled up with NaN.

    NaN because its key is above that of infinity: filling is never among the smallest.
    """
    pieces = []
    for tensor in tensors:
        flat = ops.reshape(tensor, (-1,))
        pieces.append(flat)
        if missing := -flat.shape[0] % ROW:
            pieces.append(ops.full((missing,), float("nan"), dtype=flat.dtype))
    whole = pieces[0] if len(pieces) == 1 else ops.concatenate(pieces)
    return ops.reshape(whole, (-1, SIDE, SIDE))


def cut_all(scores, zeros, groups, bits, cut_table):
    """Returns the `Cut` of each tensor, from as few tables as is sensible.

    Small groups share a table, which copies them; a large one has its own, which for a
    single tensor needs no copy. What is tiny altogether is sorted: it costs nothing,
    and the search a second or two to compile.

    Args:
        scores: list of floating tensors.
        zeros: integer tensor (groups,): how many entries each group loses.
        groups: list of lists of indices into `scores`, each index once.
        bits: function from floats to the integers that are their keys.
        cut_table: function of a list of tensors, of the `zeros` of their groups and of
            their `Layout`, which returns a `Cut` of tensors (tensors,).
    """
    sizes = [math.prod(score.shape) for score in scores]
    cuts = [None] * len(scores)
    for numbers in _tables(scores, sizes, groups):
        order = [i for number in numbers for i in groups[number]]
        if len(numbers) <= _FEW and sum(sizes[i] for i in order) <= _TINY:
            found = []
            for number in numbers:
                members = [scores[i] for i in groups[number]]
                found += _cut_by_sorting(members, zeros[number], bits)
        else:
            local = [n for n, number in enumerate(numbers) for _ in groups[number]]
            layout = Layout(tuple(sizes[i] for i in order), tuple(local))
            lost = ops.take(zeros, np.array(numbers))
            table = cut_table([scores[i] for i in order], lost, layout)
            found = map(Cut, *(ops.unstack(part) for part in table))
        for i, cut_of_tensor in zip(order, found, strict=True):
            cuts[i] = cut_of_tensor
    return cuts


def _tables(scores, sizes, groups):
    """Returns lists of numbers of groups, each list for one table."""
    tables, unfinished = [], {}
    for number, group in enumerate(groups):
        dtypes = {keras.backend.standardize_dtype(scores[i].dtype) for i in group}
        if len(dtypes) > 1:
            raise ValueError(
                "Weights of different dtypes cannot be ranked together. "
                f"Received: dtypes={sorted(dtypes)}"
            )
        size, (dtype,) = sum(sizes[i] for i in group), dtypes
        if size >= _ALONE:
            tables.append([number])
            continue
        filled, numbers = unfinished.get(dtype, (_SHARED, []))
        if filled + size > _SHARED:
            filled, numbers = 0, []
            tables.append(numbers)
        numbers.append(number)
        unfinished[dtype] = filled + size, numbers
    return tables


def _cut_by_sorting(tensors, lost, bits):
    pieces = [bits(ops.reshape(tensor, (-1,))) for tensor in tensors]
    keys = ops.concatenate(pieces)
    wanted = ops.maximum(lost, 1)
    key = ops.take(ops.sort(keys), wanted - 1)
    ties = ops.cumsum(ops.cast(keys == key, "int32"))
    first_that_goes = ops.sum(ops.cast(keys <= key, "int32")) - wanted + 1
    index = ops.sum(ops.cast(ties < first_that_goes, "int32"))
    key = ops.where(lost > 0, key, -1)
    infinity, _ = _KEYS[keras.backend.standardize_dtype(tensors[0].dtype)]
    starts = np.cumsum([0, *(piece.shape[0] for piece in pieces[:-1])])
    return [
        Cut(key, index - int(start), ops.max(piece) < infinity)
        for piece, start in zip(pieces, starts, strict=True)
    ]


def cut(entries, layout, zeros, bits):
    """Returns where to cut each tensor so that each group loses its smallest entries.

    Args:
        entries: floating tensor (rows, SIDE, SIDE), from `table`.
        layout: a `Layout`.
        zeros: integer tensor (groups,), how many entries each group loses.
        bits: function from floats to the integers that are their keys.

    Returns:
        A `Cut` of three tensors (tensors,).
    """
    tensors, groups = len(layout.sizes), np.array(layout.groups, "int32")
    tensor_of_row = np.repeat(np.arange(tensors, dtype="int32"), layout.rows)
    rows = _Rows(entries, groups[tensor_of_row], layout.totals, bits)
    zeros = ops.cast(zeros, "int32")
    wanted = ops.maximum(zeros, 1)  # a group that loses none is put right at the end

    bracket, odd = _first_bracket(rows, layout, wanted)
    enough = max(len(tensor_of_row) // _GATHERED, 2 * rows.groups)
    bracket = _narrow(rows, wanted, bracket, enough)
    few, wanted, bracket, ids = _gather(rows, wanted, bracket, enough)
    bracket = _narrow(few, wanted, bracket, 0)
    position = _position(few, wanted, bracket, ids)

    key = ops.where(zeros > 0, bracket[0], -1)
    filling = (layout.rows * ROW - np.array(layout.sizes)).astype("int32")
    finite = _totals(odd, tensor_of_row, tensors) <= filling
    return Cut(
        ops.take(key, groups), ops.take(position, groups) - layout.starts, finite
    )


class _Rows:
    """Entries in rows, each row of one group; of how many entries the groups are."""

    def __init__(self, entries, group, sizes, bits):
        self.entries, self.group, self.sizes, self.bits = entries, group, sizes, bits
        self.groups = len(sizes)
        dtype = keras.backend.standardize_dtype(entries.dtype)
        self.infinity, self.largest = _KEYS[dtype]
        self.key_dtype = "int64" if dtype == "float64" else "int32"

    def spread(self, values):
        """From one value per group to one per row (broadcast where that is enough)."""
        return values if self.groups == 1 else ops.take(values, self.group)

    def over_entries(self, values):
        """From one value per group to a tensor that goes with the entries."""
        return self.spread(values)[:, None, None]

    def totals(self, counts):
        """From one count per row to the sum per group."""
        return _totals(counts, self.group, self.groups)

    def keys(self):
        # Computed at every use: XLA does it on the way, and would write a copy here.
        return self.bits(self.entries)

    def count(self, low, high):
        """Returns counts per row: keys below `low`, below `high`, not finite."""
        keys, low, high = self.keys(), self.over_entries(low), self.over_entries(high)
        packed = ops.where(keys >= self.infinity, 1 << 2 * _BITS, 0)
        packed = ops.where(keys < high, 1 << _BITS, packed)
        packed = ops.where(keys < low, 1 + (1 << _BITS), packed)
        packed = ops.sum(ops.sum(packed, axis=1), axis=1)
        second = ops.right_shift(packed, _BITS) & _COUNT
        return packed & _COUNT, second, ops.right_shift(packed, 2 * _BITS)


def _totals(counts, segment, segments):
    if segments == 1:
        return ops.sum(counts, keepdims=True)
    return ops.segment_sum(counts, ops.convert_to_tensor(segment), segments)


# A bracket is a tuple, because loops carry tuples:
#   lo, hi         per group: the wanted key is in [lo, hi)
#   below, upto    per row: how many keys are below lo, below hi
#   first, second  per group: the two keys, lo < first < second <= hi, to count next
#   misses         per group: how often in a row [first, second) missed the wanted key


def _first_bracket(rows, layout, wanted):
    """One pass over all entries, with a bracket from a sample."""
    lo, hi = ops.zeros((rows.groups,), rows.key_dtype), rows.largest
    hi = ops.full_like(lo, rows.largest)
    none = ops.zeros((rows.group.shape[0],), "int32")
    first, second = _from_sample(rows, layout, wanted)
    below, upto, odd = rows.count(first, second)
    bracket = lo, hi, none, none + ROW, first, second, ops.zeros_like(wanted)
    return _settle(rows, wanted, bracket, below, upto), odd


def _from_sample(rows, layout, wanted):
    """Returns, per group, two keys that the wanted one is very likely between."""
    groups, size = layout.sample.shape
    share = ops.cast(wanted, "float32") / layout.totals.astype("float32")
    reach = 3 * ops.sqrt(share * (1 - share) * size) + 4  # three standard deviations
    ranks = ops.concatenate([share * size - reach, share * size + reach])
    ranks = ops.cast(ops.clip(ranks, 1, size), "int32")
    # The sample twice, once for either rank.
    entries = ops.take(ops.reshape(rows.entries, (-1,)), np.tile(layout.sample, (2, 1)))
    entries = ops.reshape(entries, (-1, SIDE, SIDE))
    group = np.repeat(np.arange(2 * groups, dtype="int32"), size // ROW)
    sample = _Rows(entries, group, np.full(2 * groups, size), rows.bits)
    lo = ops.zeros((2 * groups,), rows.key_dtype)
    none = ops.zeros((group.shape[0],), "int32")
    bracket = _aim(
        sample, ranks, lo, lo + rows.largest, none, none + ROW, ops.zeros_like(ranks)
    )
    keys, *_ = _narrow(sample, ranks, bracket, 0)
    return keys[:groups], ops.minimum(keys[groups:], rows.largest - 1) + 1


def _settle(rows, wanted, bracket, below_first, below_second):
    """Returns the part of the bracket that holds the wanted key, given the counts."""
    lo, hi, below, upto, first, second, misses = bracket
    left = wanted <= rows.totals(below_first)
    right = wanted > rows.totals(below_second)
    lo = ops.where(left, lo, ops.where(right, second, first))
    hi = ops.where(left, first, ops.where(right, hi, second))
    misses = ops.where(left | right, misses + 1, 0)
    left, right = rows.spread(left), rows.spread(right)
    below = ops.where(left, below, ops.where(right, below_second, below_first))
    upto = ops.where(left, below_first, ops.where(right, upto, below_second))
    return _aim(rows, wanted, lo, hi, below, upto, misses)


def _aim(rows, wanted, lo, hi, below, upto, misses):
    """Returns the bracket with the next two keys, around where the wanted one is due.

    If keys lay evenly in the bracket, the wanted one would be off by some multiple of
    the square root of their number. That they do not costs more the larger a share of
    all entries the bracket holds.
    """
    below_group, upto_group = rows.totals(below), rows.totals(upto)
    members = ops.cast(upto_group - below_group, "float32")
    width = ops.cast(hi - lo, "float32")
    centre = (ops.cast(wanted - below_group, "float32") - 0.5) / members
    share = members / rows.sizes.astype("float32")
    reach = 2 / ops.sqrt(members) + share / 2 + 1 / width
    reach = ops.minimum(reach * 8 ** ops.cast(misses, "float32"), 0.25)

    def key(place):
        # Below 1, or rounding could carry the product over the largest integer.
        offset = ops.cast(ops.clip(place, 0, 0.999) * width, lo.dtype)
        return lo + ops.clip(offset, 1, ops.maximum(hi - lo - 1, 1))

    first, second = key(centre - reach), key(centre + reach) + 1
    return lo, hi, below, upto, first, second, misses


def _narrow(rows, wanted, bracket, enough):
    """Returns the bracket once `enough` rows hold all members, or it is one key."""

    def go_on(lo, hi, below, upto, *_):
        is_open = hi - lo > 1
        holding = rows.spread(is_open) & (upto > below)
        holding = ops.sum(ops.cast(holding, "int32")) + rows.groups
        return ops.any(is_open) & (holding > enough)

    def one_pass(*bracket):
        below, upto, _ = rows.count(*bracket[4:6])
        return _settle(rows, wanted, bracket, below, upto)

    return ops.while_loop(go_on, one_pass, bracket)


def _tie(rows, wanted, below, upto):
    """Returns, per row, how many members up to its end, and the first that goes.

    Members are counted through the whole table. If the bracket is one key, they are
    all equal, and of these the last go: the first that goes is in the row where the
    count reaches it.
    """
    members = upto - below
    until = ops.cumsum(members)
    total = rows.totals(members)
    before = ops.cumsum(total) - total
    goes = before + rows.totals(upto) - wanted + 1
    return until, rows.spread(goes), members


def _gather(rows, wanted, bracket, room):
    """Returns the rows that hold members, and the same search within them.

    Of a group with a bracket of one key, only the row where its ties are cut.
    """
    lo, hi, below, upto, *_ = bracket
    until, goes, members = _tie(rows, wanted, below, upto)
    ends_here = (until - members < goes) & (goes <= until)
    is_open = rows.spread(hi - lo > 1)
    taken = ops.where(is_open, members > 0, ends_here)
    lost = ops.where(ends_here, until - goes + 1, 0)
    wanted = ops.where(hi - lo > 1, wanted - rows.totals(below), rows.totals(lost))

    taken = ops.cast(taken, "int32")
    place = ops.where(taken > 0, ops.cumsum(taken) - 1, room)  # `room`: thrown away
    ids = ops.arange(rows.group.shape[0], dtype="int32")
    ids = ops.scatter(place[:, None], ids, (room + 1,))[:room]
    filled = ops.arange(room, dtype="int32") < ops.sum(taken)

    group = ops.take(rows.group, ids)
    few = _Rows(ops.take(rows.entries, ids, axis=0), group, rows.sizes, rows.bits)
    keys = few.keys()
    inside = (keys >= few.over_entries(lo)) & (keys < few.over_entries(hi))
    inside &= filled[:, None, None]
    few.entries = ops.where(inside, keys, few.largest)
    few.bits = lambda keys: keys
    upto = ops.where(filled, ops.take(members, ids), 0)
    none = ops.zeros_like(upto)
    bracket = _aim(few, wanted, lo, hi, none, upto, ops.zeros_like(wanted))
    return few, wanted, bracket, ids


def _position(rows, wanted, bracket, ids):
    """Returns, per group, the position in the table of the first tie that goes."""
    key, _, below, upto, *_ = bracket
    until, goes, members = _tie(rows, wanted, below, upto)
    here = (until - members < goes) & (goes <= until)
    row = ops.where(here, ops.arange(ids.shape[0], dtype="int32"), 0)
    row, rank = (
        rows.totals(row),
        rows.totals(ops.where(here, goes - until + members, 0)),
    )
    entries = ops.reshape(ops.take(rows.keys(), row, axis=0), (-1, ROW))
    ties = ops.cast(entries == key[:, None], "int32")
    before = ops.cumsum(ties, axis=1) < rank[:, None]
    return ops.take(ids, row) * ROW + ops.sum(ops.cast(before, "int32"), axis=1)
