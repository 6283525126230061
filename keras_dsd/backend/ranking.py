"""Where the k-th smallest entry of each group in a table lies: counting, not sorting.

Knows `keras.ops` only, so that XLA compiles it alike for TensorFlow and JAX, on CPU and
GPU: nothing but comparisons, sums and gathers, and no shape depends on the data.

Entries are compared as integer keys: the bits of |x| sort like |x| itself. A sample
brackets the wanted key. A pass over all entries counts, row by row, what lies below the
bracket and inside it; interpolation then sets a narrower one. When few rows still hold
a member they are gathered, and the search ends among them. A bracket of one key ends it
too: its members are ties, and the counts tell at which index to cut them.

Passes are few whatever the data: two or three for a tensor of normal weights, one for
equal ones, three to five for many tensors, six at most were seen (`brackets` says
how).
"""

import keras
import numpy as np
from keras import ops

from keras_dsd.backend import brackets
from keras_dsd.backend.tables import KEYS, ROW, SIDE, Cuts

_PASSES = 3  # in one program, if they are due: a program of its own costs more
_ROUGH = 1024  # a sample is searched to within a 1024th


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

        self._rows = brackets.Rows(
            rows, layout.group_of_row, layout.totals, below_largest, layout.block
        )
        self._room = _room(len(layout.group_of_row), self._rows.groups)

    def begin(self, zeros):
        """Returns a bracket, whether it is to be narrowed, and what is not finite."""
        rows, wanted = self._rows, _wanted(zeros)
        first, second = _from_sample(rows, self._layout, wanted)
        below, upto, odd = rows.count(first, second)
        lo, hi, less, most, none, full, *_, misses = brackets.everything(rows, wanted)
        bracket = lo, hi, less, most, none, full, first, second, misses
        bracket = brackets.settle(rows, wanted, bracket, below, upto)
        for _ in range(_PASSES):
            bracket = ops.cond(
                self._is_due(bracket),
                lambda bracket=bracket: brackets.one_pass(rows, wanted, bracket),
                lambda bracket=bracket: bracket,
            )
        layout = self._layout
        odd = brackets.sums(odd, layout.tensor_of_row, len(layout.sizes), layout.block)
        return bracket, self._is_due(bracket), odd

    def narrow(self, zeros, bracket):
        """Returns the bracket after one more pass, and whether it is to go on."""
        rows, wanted = self._rows, _wanted(zeros)
        bracket = ops.cond(
            self._is_stuck(bracket),
            lambda: brackets.tighten(rows, wanted, bracket),
            lambda: bracket,
        )
        bracket = brackets.one_pass(rows, wanted, bracket)
        return bracket, self._is_due(bracket)

    def end(self, zeros, bracket, odd):
        """Returns the `Cuts` of the tensors."""
        rows, wanted = self._rows, _wanted(zeros)
        few, wanted, bracket, ids = _gather(rows, wanted, bracket, self._room)
        bracket = brackets.loop(few, wanted, bracket, brackets.is_open)
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
        lo, hi, *_ = bracket
        is_open = hi - lo > 1
        holding = self._holding(is_open, bracket) + self._rows.groups
        return ops.any(is_open) & (holding > self._room)

    def _is_stuck(self, bracket):
        """Returns whether that is so because of brackets that can't be narrowed."""
        lo, hi, *_, misses = bracket
        is_stuck = (hi - lo > 1) & (ops.abs(misses) > 1)
        return self._holding(is_stuck, bracket) > self._room // 2

    def _holding(self, groups, bracket):
        _, _, _, _, below, upto, *_ = bracket
        holding = self._rows.spread(groups) & (upto > below)
        return ops.sum(ops.cast(holding, "int32"))


def _wanted(zeros):
    return ops.maximum(ops.cast(zeros, "int32"), 1)


def _room(rows, groups):
    """Returns how many rows at most are gathered.

    The fewer the better: to gather one costs as much as passing over twenty. But a pass
    leaves each group some dozens that hold a member.
    """
    return max(rows // 32, min(32 * groups, rows // 8), 2 * groups)


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
    sample = brackets.Rows(entries, group, np.full(2 * groups, size), rows.bits)

    def is_rough(lo, hi, less, most, *_):
        return ops.any((hi - lo > 1) & (most - less > max(size // _ROUGH, 2)))

    lo, hi, *_ = brackets.loop(
        sample, ranks, brackets.everything(sample, ranks), is_rough
    )
    return lo[:groups], ops.minimum(hi[groups:], rows.largest)


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
    few = brackets.Rows(
        ops.take(rows.entries, ids, axis=0), group, rows.sizes, rows.bits
    )
    keys = few.keys()
    inside = (keys >= few.over_entries(lo)) & (keys < few.over_entries(hi))
    inside &= filled[:, None, None]
    few.entries = ops.where(inside, keys, few.largest)
    few.bits = lambda keys: keys
    upto = ops.where(filled, ops.take(members, ids), 0)
    none = ops.zeros_like(wanted)
    counts = none, few.totals(upto), ops.zeros_like(upto), upto
    return few, wanted, brackets.aim(few, wanted, lo, hi, *counts, none), ids


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
