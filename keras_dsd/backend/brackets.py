"""Brackets around the wanted key of each group, narrowed by counting.

A pass over all entries counts, row by row, what lies below two keys of each bracket and
between them. Where these two are aimed decides how many passes there are. Where
interpolation misses, the next two lie farther off, and on the side where the wanted key
must be; then the bracket is drawn in to the keys that there are, so that one which many
entries share, as pruned ones share zero, soon is its end. Knows `keras.ops` only.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_dsd.backend.tables import KEYS, ROW

_BITS = 8  # of one packed count: a row has at most 64
_COUNT = (1 << _BITS) - 1


class Rows:
    """Entries in rows, where each row belongs to one group, and the groups' sizes."""

    def __init__(self, entries, group, sizes, bits, block=1):
        self.entries, self.group, self.sizes, self.bits = entries, group, sizes, bits
        self.block = block  # this many successive rows are of one group
        self.groups = len(sizes)
        dtype = keras.backend.standardize_dtype(entries.dtype)
        self.infinity, self.largest = KEYS[dtype]
        self.key_dtype = "int64" if dtype == "float64" else "int32"

    def spread(self, values):
        """Turns one value per group into one per row, or into what broadcasts so."""
        return values if self.groups == 1 else ops.take(values, self.group)

    def over_entries(self, values):
        """Turns one value per group into a tensor that broadcasts with the entries."""
        return self.spread(values)[:, None, None]

    def totals(self, counts):
        """Returns the sum per group of one count per row."""
        return sums(counts, self.group, self.groups, self.block)

    def largest_of(self, values):
        """Returns the largest value per group of one value per entry.

        A single group is a segment too: XLA reduces to one number on one core only.
        """
        values = ops.reshape(ops.max(ops.max(values, axis=1), axis=1), (-1, self.block))
        group = ops.convert_to_tensor(self.group[:: self.block])
        return ops.segment_max(ops.max(values, axis=1), group, self.groups)

    def keys(self):
        """Returns all keys, computed anew: XLA would write out what is kept."""
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


class Bracket(NamedTuple):
    """Where the wanted key of each group is, and the keys to count next.

    A tuple, because loops carry tuples.

    Attributes:
        low: integer tensor (groups,), the wanted key is `low` or more ...
        high: integer tensor (groups,), ... and less than `high`.
        less: integer tensor (groups,), how many keys are less than `low`.
        most: integer tensor (groups,), how many keys are less than `high`.
        below: integer tensor (rows,), how many keys of a row are less than `low`.
        upto: integer tensor (rows,), how many keys of a row are less than `high`.
        first: integer tensor (groups,), the first key to count next, above `low`.
        second: integer tensor (groups,), the second, above `first`, `high` at most.
        misses: integer tensor (groups,), how many times in succession the wanted key
            was above both keys counted; negative if it was below both.
    """

    low: Any
    high: Any
    less: Any
    most: Any
    below: Any
    upto: Any
    first: Any
    second: Any
    misses: Any

    @property
    def is_open(self):
        """Whether each group's bracket is of more than one key."""
        return self.high - self.low > 1


def everything(rows, wanted):
    """Returns the bracket of all keys that there are."""
    low = ops.zeros((rows.groups,), rows.key_dtype)
    none = ops.zeros((rows.group.shape[0],), "int32")
    least = ops.zeros_like(wanted)
    bracket = Bracket(
        low=low,
        high=low + rows.largest,
        less=least,
        most=least + rows.sizes.astype("int32"),
        below=none,
        upto=none + ROW,
        first=low,
        second=low,
        misses=least,
    )
    return aim(rows, wanted, bracket)


def settle(rows, wanted, bracket, below_first, below_second):
    """Returns the part of the bracket that holds the wanted key, given the counts."""
    low, high, less, most, below, upto, first, second, misses = bracket
    least, middle = rows.totals(below_first), rows.totals(below_second)
    part = ops.where(wanted <= least, 0, ops.where(wanted <= middle, 1, 2))
    before = most - less
    low, high = _part(part, low, first, second, high)
    less, most = _part(part, less, least, middle, most)
    below, upto = _part(rows.spread(part), below, below_first, below_second, upto)
    too_low = (part == 2) & (misses >= 0)
    too_high = ((part == 0) & (misses <= 0)) | ((part == 1) & (misses < 0))
    misses = ops.where(too_low, misses + 1, ops.where(too_high, misses - 1, 0))
    # Hardly fewer members: they lie close together, most with one key perhaps.
    stuck = ops.where(part == 2, ops.maximum(misses, 2), ops.minimum(misses, -2))
    misses = ops.where(most - less > before - before // 4, stuck, misses)
    bracket = Bracket(low, high, less, most, below, upto, first, second, misses)
    return aim(rows, wanted, bracket)


def _part(index, *bounds):
    """Returns the two of four bounds that enclose part 0, 1 or 2."""
    a, b, c, d = bounds
    lower = ops.where(index == 0, a, ops.where(index == 1, b, c))
    return lower, ops.where(index == 0, b, ops.where(index == 1, c, d))


def aim(rows, wanted, bracket):
    """Returns the bracket with the next two keys, around where the wanted one is due.

    The keys that it had are not read. If entries lay evenly in the bracket, the wanted
    one would be off by some multiple of the square root of their count. That they do
    not costs more the larger a share of all entries the bracket holds. After a miss the
    two keys are on its other side; if that is below, one of them tells whether the
    first key is all that is left.
    """
    low, high, less, most, *_, misses = bracket
    members = ops.cast(most - less, "float32")
    width = ops.cast(high - low, "float32")
    # Entries lie evenly, not their keys: above a power of two a step of the key is
    # twice as long. Of a bracket with one such power in it, `lower` is the part below.
    octave = rows.infinity & -rows.infinity
    lower = high - high % octave - low
    is_crossed = (lower > 0) & (lower <= octave)
    lower = ops.where(is_crossed, ops.cast(lower, "float32"), width)
    centre = (ops.cast(wanted - less, "float32") - 0.5) / members
    share = members / rows.sizes.astype("float32")
    reach = 1 / ops.sqrt(members) + share / 2 + 1 / width
    down, up = misses < 0, misses > 0
    wide = ops.minimum(reach * 8 ** ops.cast(ops.abs(misses), "float32"), 0.25)

    def key(place):
        # Below 1, or rounding could carry the product over the largest integer. Of
        # two slopes, the steep one comes first.
        offset = ops.clip(place, 0, 0.999) * (2 * width - lower)
        offset = ops.cast(ops.minimum(offset, (offset + lower) / 2), low.dtype)
        return low + ops.clip(offset, 1, ops.maximum(high - low - 1, 1))

    left, right = centre - wide, centre + wide
    first = ops.where(down, low + 1, key(ops.where(up, centre + reach, left)))
    second = ops.maximum(key(ops.where(down, left, right)) + 1, first + 1)
    return bracket._replace(first=first, second=second)


def one_pass(rows, wanted, bracket):
    """Returns the bracket after counting its two next keys."""
    below, upto, _ = rows.count(bracket.first, bracket.second)
    return settle(rows, wanted, bracket, below, upto)


def loop(rows, wanted, bracket, is_due):
    """Returns the bracket of a small table after passes for as long as `is_due`."""

    def close_pass(*fields):
        return one_pass(rows, wanted, tighten(rows, wanted, Bracket(*fields)))

    found = ops.while_loop(
        lambda *fields: is_due(Bracket(*fields)), close_pass, bracket
    )
    return Bracket(*found)


def tighten(rows, wanted, bracket):
    """Returns the bracket without what is empty at its ends: it takes another pass.

    Then keys that many entries share lie at the ends, sooner or later, where `aim`
    looks for them.
    """
    keys = rows.keys()
    start, end = rows.over_entries(bracket.low), rows.over_entries(bracket.high)
    is_member = (keys >= start) & (keys < end)
    least = -rows.largest_of(ops.where(is_member, -keys, -rows.largest))
    end = rows.largest_of(ops.where(is_member, keys, -1)) + 1
    return aim(rows, wanted, bracket._replace(low=least, high=end))


def sums(counts, segment, segments, block=1):
    """Returns the sum of the counts of each segment.

    Blocks are summed first, for XLA sums segments on one core.
    """
    if segments == 1:
        return ops.sum(counts, keepdims=True)
    counts = ops.sum(ops.reshape(counts, (-1, block)), axis=1)
    segment = ops.convert_to_tensor(segment[::block])
    return ops.segment_sum(counts, segment, segments)
