"""Where the k-th smallest entry of each group in a table lies: counting, not sorting.

Knows `keras.ops` only, so that XLA compiles it alike for TensorFlow and JAX, on CPU and
GPU: nothing but comparisons, sums and gathers, and no shape depends on the data.

Entries are compared as integer keys: the bits of |x| sort like |x| itself. A sample
brackets the wanted key. A pass over all entries counts, row by row, what lies below the
bracket and inside it; interpolation then sets a narrower one. When few rows still hold
a member they are gathered, and the search ends among them. A bracket of one key ends it
too: its members are ties, and the counts tell at which index to cut them.

Passes are few whatever the data: two or three for normal weights, one for a tensor of
equal ones, eight at most were seen. Where interpolation misses, the next two keys lie
farther off, and on the side where the wanted one must be; then the bracket is drawn in
to the keys that there are, so that one which many entries share, as pruned ones share
zero, soon is its end.
"""

import keras
import numpy as np
from keras import ops

from keras_dsd.backend.tables import KEYS, ROW, SIDE, Cuts

_PASSES = 3  # in one program, if they are due: a program of its own costs more
_ROUGH = 1024  # a sample is searched to within a 1024th
_BITS = 8  # of one packed count: a row has at most 64
_COUNT = (1 << _BITS) - 1


class Search:
    """Where to cut each tensor so that each group loses its smallest entries.

    In three parts, to be compiled one by one: a loop around passes over a large table
    in one program, and XLA would copy the table.

        bracket, is_due, odd = search.begin(zeros)
        while is_due:
            bracket, is_due = search.narrow(zeros, bracket)
        cuts = search.end(zeros, bracket, odd)

    Args:
        entries: floating tensor, from `tables.table`.
        layout: its `tables.Layout`.
        bits: function from floats to the integers that are their keys.

    `zeros` is an integer tensor (groups,): how many entries each group loses.
    """

    def __init__(self, entries, layout, bits):
        self._layout = layout
        rows = ops.reshape(entries, (-1, SIDE, SIDE))
        _, largest = KEYS[keras.backend.standardize_dtype(entries.dtype)]

        def below_largest(x):  # where the bracket of all keys ends
            return ops.minimum(bits(x), largest - 1)

        self._rows = _Rows(rows, layout.group_of_row, layout.totals, below_largest)
        self._room = _room(len(layout.group_of_row), self._rows.groups)

    def begin(self, zeros):
        """Returns a bracket, whether it is to be narrowed, and what is not finite."""
        rows, wanted = self._rows, _wanted(zeros)
        first, second = _from_sample(rows, self._layout, wanted)
        below, upto, odd = rows.count(first, second)
        lo, hi, less, most, none, full, *_, misses = _everything(rows, wanted)
        bracket = lo, hi, less, most, none, full, first, second, misses
        bracket = _settle(rows, wanted, bracket, below, upto)
        for _ in range(_PASSES):
            bracket = ops.cond(
                self._is_due(bracket),
                lambda bracket=bracket: _one_pass(rows, wanted, bracket),
                lambda bracket=bracket: bracket,
            )
        layout = self._layout
        odd = _totals(odd, layout.tensor_of_row, len(layout.sizes))
        return bracket, self._is_due(bracket), odd

    def narrow(self, zeros, bracket):
        """Returns the bracket after one more pass, and whether it is to go on."""
        rows, wanted = self._rows, _wanted(zeros)
        bracket = ops.cond(
            ops.any(ops.abs(bracket[-1]) > 1),
            lambda: _tighten(rows, wanted, bracket),
            lambda: bracket,
        )
        bracket = _one_pass(rows, wanted, bracket)
        return bracket, self._is_due(bracket)

    def end(self, zeros, bracket, odd):
        """Returns the `Cuts` of the tensors."""
        rows, wanted = self._rows, _wanted(zeros)
        few, wanted, bracket, ids = _gather(rows, wanted, bracket, self._room)
        bracket = _loop(few, wanted, bracket, _is_open)
        position = _position(few, wanted, bracket, ids)

        # A group that loses none is put right.
        key = ops.where(ops.cast(zeros, "int32") > 0, bracket[0], -1)
        groups = np.array(self._layout.groups, "int32")
        return Cuts(
            ops.take(key, groups),
            ops.take(position, groups) - self._layout.starts,
            odd <= self._layout.filling,
        )

    def _is_due(self, bracket):
        """Returns whether too many rows hold members to gather them."""
        lo, hi, _, _, below, upto, *_ = bracket
        holding = self._rows.spread(hi - lo > 1) & (upto > below)
        holding = ops.sum(ops.cast(holding, "int32")) + self._rows.groups
        return _is_open(lo, hi) & (holding > self._room)


def _wanted(zeros):
    return ops.maximum(ops.cast(zeros, "int32"), 1)


def _room(rows, groups):
    """Returns how many rows at most are gathered.

    The fewer the better: to gather one costs as much as passing over twenty. But a pass
    leaves each group some dozens that hold a member.
    """
    return max(rows // 32, min(48 * groups, rows // 8), 2 * groups)


class _Rows:
    """Entries in rows, each row of one group; of how many entries the groups are."""

    def __init__(self, entries, group, sizes, bits):
        self.entries, self.group, self.sizes, self.bits = entries, group, sizes, bits
        self.groups = len(sizes)
        dtype = keras.backend.standardize_dtype(entries.dtype)
        self.infinity, self.largest = KEYS[dtype]
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

    def largest_of(self, values):
        """From one value per entry to the largest per group.

        Of one group too by segments: XLA reduces to one number on one core only.
        """
        values = ops.max(ops.max(values, axis=1), axis=1)
        return ops.segment_max(values, ops.convert_to_tensor(self.group), self.groups)

    def keys(self):
        # Computed at every use: XLA does it on the way, and would write a copy here.
        return self.bits(self.entries)

    def count(self, low, high):
        """Returns counts per row: keys below `low`, below `high`, not finite."""
        keys, low, high = self.keys(), self.over_entries(low), self.over_entries(high)
        packed = ops.where(keys < high, 1 << _BITS, 0)
        packed = ops.where(keys < low, 1 + (1 << _BITS), packed)
        packed += ops.where(keys >= self.infinity, 1 << 2 * _BITS, 0)
        packed = ops.sum(ops.sum(packed, axis=1), axis=1)
        second = ops.right_shift(packed, _BITS) & _COUNT
        return packed & _COUNT, second, ops.right_shift(packed, 2 * _BITS)


def _totals(counts, segment, segments):
    if segments == 1:
        return ops.sum(counts, keepdims=True)
    return ops.segment_sum(counts, ops.convert_to_tensor(segment), segments)


# A bracket is a tuple, because loops carry tuples:
#   lo, hi           per group: the wanted key is in [lo, hi)
#   less, most       per group: how many keys are below lo, below hi
#   below, upto      per row: the same
#   first, second    per group: the two keys, lo < first < second <= hi, to count next
#   misses           per group: how often in a row the wanted key was above them (below:
#                    negative) and not between


def _everything(rows, wanted):
    """The bracket of all keys that there are."""
    lo = ops.zeros((rows.groups,), rows.key_dtype)
    none = ops.zeros((rows.group.shape[0],), "int32")
    least = ops.zeros_like(wanted)
    most = least + rows.sizes.astype("int32")
    counts = least, most, none, none + ROW
    return _aim(rows, wanted, lo, lo + rows.largest, *counts, least)


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

    def is_rough(lo, hi, less, most, *_):
        return ops.any((hi - lo > 1) & (most - less > max(size // _ROUGH, 2)))

    lo, hi, *_ = _loop(sample, ranks, _everything(sample, ranks), is_rough)
    return lo[:groups], ops.minimum(hi[groups:], rows.largest)


def _settle(rows, wanted, bracket, below_first, below_second):
    """Returns the part of the bracket that holds the wanted key, given the counts."""
    lo, hi, less, most, below, upto, first, second, misses = bracket
    least, middle = rows.totals(below_first), rows.totals(below_second)
    part = ops.where(wanted <= least, 0, ops.where(wanted <= middle, 1, 2))
    before = most - less
    lo, hi = _part(part, lo, first, second, hi)
    less, most = _part(part, less, least, middle, most)
    below, upto = _part(rows.spread(part), below, below_first, below_second, upto)
    too_low = (part == 2) & (misses >= 0)
    too_high = ((part == 0) & (misses <= 0)) | ((part == 1) & (misses < 0))
    misses = ops.where(too_low, misses + 1, ops.where(too_high, misses - 1, 0))
    # Hardly fewer members: they lie close together, most with one key perhaps.
    stuck = ops.where(part == 2, ops.maximum(misses, 2), ops.minimum(misses, -2))
    misses = ops.where(most - less > before - before // 4, stuck, misses)
    return _aim(rows, wanted, lo, hi, less, most, below, upto, misses)


def _part(number, *bounds):
    """Returns the two of four bounds that enclose part 0, 1 or 2."""
    a, b, c, d = bounds
    lower = ops.where(number == 0, a, ops.where(number == 1, b, c))
    return lower, ops.where(number == 0, b, ops.where(number == 1, c, d))


def _aim(rows, wanted, lo, hi, less, most, below, upto, misses):
    """Returns the bracket with the next two keys, around where the wanted one is due.

    If keys lay evenly in the bracket, the wanted one would be off by some multiple of
    the square root of their number. That they do not costs more the larger a share of
    all entries the bracket holds. After a miss the two keys are on its other side; if
    that is below, one of them tells whether the first key is all that is left.
    """
    members = ops.cast(most - less, "float32")
    width = ops.cast(hi - lo, "float32")
    centre = (ops.cast(wanted - less, "float32") - 0.5) / members
    share = members / rows.sizes.astype("float32")
    reach = 2 / ops.sqrt(members) + share / 4 + 1 / width
    down, up = misses < 0, misses > 0
    wide = ops.minimum(reach * 8 ** ops.cast(ops.abs(misses), "float32"), 0.25)

    def key(place):
        # Below 1, or rounding could carry the product over the largest integer.
        offset = ops.cast(ops.clip(place, 0, 0.999) * width, lo.dtype)
        return lo + ops.clip(offset, 1, ops.maximum(hi - lo - 1, 1))

    lower, upper = centre - wide, centre + wide
    first = ops.where(down, lo + 1, key(ops.where(up, centre + reach, lower)))
    second = ops.maximum(key(ops.where(down, lower, upper)) + 1, first + 1)
    return lo, hi, less, most, below, upto, first, second, misses


def _one_pass(rows, wanted, bracket):
    """Returns the bracket after counting its two next keys."""
    below, upto, _ = rows.count(*bracket[6:8])
    return _settle(rows, wanted, bracket, below, upto)


def _loop(rows, wanted, bracket, is_due):
    """Returns the bracket of a small table after as many passes as are due."""

    def one_pass(*bracket):
        return _one_pass(rows, wanted, _tighten(rows, wanted, bracket))

    return ops.while_loop(is_due, one_pass, bracket)


def _is_open(lo, hi, *_):
    """Returns whether a bracket is of more than one key."""
    return ops.any(hi - lo > 1)


def _tighten(rows, wanted, bracket):
    """Returns the bracket without what is empty at its ends: it takes another pass.

    Then keys that many entries share lie at the ends, sooner or later, where `_aim`
    looks for them.
    """
    lo, hi, less, most, below, upto, _, _, misses = bracket
    keys, start, end = rows.keys(), rows.over_entries(lo), rows.over_entries(hi)
    is_member = (keys >= start) & (keys < end)
    least = -rows.largest_of(ops.where(is_member, -keys, -rows.largest))
    end = rows.largest_of(ops.where(is_member, keys, -1)) + 1
    return _aim(rows, wanted, least, end, less, most, below, upto, misses)


def _tie(rows, wanted, bracket):
    """Returns, per row, its members, those up to its end, and the first that goes.

    Members are counted through the whole table. If the bracket is one key, they are
    all equal, and of these the last go: the first that goes is in the row where the
    count reaches it.
    """
    _, _, less, most, below, upto, *_ = bracket
    before = ops.cumsum(most - less) - (most - less)
    goes = rows.spread(before + most - wanted + 1)
    members = upto - below
    until = ops.cumsum(members)
    return members, until, goes, (until - members < goes) & (goes <= until)


def _gather(rows, wanted, bracket, room):
    """Returns the rows that hold members, and the same search within them.

    Of a group with a bracket of one key, only the row where its ties are cut.
    """
    lo, hi, less, *_ = bracket
    members, until, goes, ends_here = _tie(rows, wanted, bracket)
    is_open = hi - lo > 1
    taken = ops.where(rows.spread(is_open), members > 0, ends_here)
    lost = rows.totals(ops.where(ends_here, until - goes + 1, 0))
    wanted = ops.where(is_open, wanted - less, lost)

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
    none = ops.zeros_like(wanted)
    counts = none, few.totals(upto), ops.zeros_like(upto), upto
    return few, wanted, _aim(few, wanted, lo, hi, *counts, none), ids


def _position(rows, wanted, bracket, ids):
    """Returns, per group, the position in the table of the first tie that goes."""
    members, until, goes, here = _tie(rows, wanted, bracket)
    number = ops.arange(ids.shape[0], dtype="int32")
    row = rows.totals(ops.where(here, number, 0))
    rank = rows.totals(ops.where(here, goes - until + members, 0))
    entries = ops.reshape(ops.take(rows.keys(), row, axis=0), (-1, ROW))
    ties = ops.cast(entries == bracket[0][:, None], "int32")
    before = ops.cumsum(ties, axis=1) < rank[:, None]
    return ops.take(ids, row) * ROW + ops.sum(ops.cast(before, "int32"), axis=1)
