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

        bracket, is_due, nonfinite = search.begin(zeros)
        while is_due:
            bracket, is_due = search.narrow(zeros, bracket)
        cuts = search.end(zeros, bracket, nonfinite)

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
        self._capacity = _capacity(len(layout.group_of_row), self._rows.groups)

    def begin(self, zeros):
        """Returns a bracket, whether to narrow it, and counts of what is not finite."""
        rows, wanted = self._rows, _wanted(zeros)
        first, second = _from_sample(rows, self._layout, wanted)
        below, upto, nonfinite = rows.count(first, second)
        bracket = brackets.everything(rows, wanted)
        bracket = bracket._replace(first=first, second=second)
        bracket = brackets.settle(rows, wanted, bracket, below, upto)
        for _ in range(_PASSES):
            bracket = ops.cond(
                self._is_due(bracket),
                lambda bracket=bracket: brackets.one_pass(rows, wanted, bracket),
                lambda bracket=bracket: bracket,
            )
        layout = self._layout
        nonfinite = brackets.sums(
            nonfinite, layout.tensor_of_row, len(layout.sizes), layout.block
        )
        return bracket, self._is_due(bracket), nonfinite

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

    def end(self, zeros, bracket, nonfinite):
        """Returns the `Cuts` of the tensors."""
        rows, wanted = self._rows, _wanted(zeros)
        few, wanted, bracket, ids = _gather(rows, wanted, bracket, self._capacity)
        bracket = brackets.loop(
            few, wanted, bracket, lambda bracket: ops.any(bracket.is_open)
        )
        position = _position(few, wanted, bracket, ids)

        # A group that loses none is put right.
        key = ops.where(ops.cast(zeros, "int32") > 0, bracket.low, -1)
        groups = np.array(self._layout.groups, "int32")
        return Cuts(
            ops.take(key, groups),
            ops.take(position, groups) - self._layout.starts,
            nonfinite <= self._layout.filling,
        )

    def _is_due(self, bracket):
        """Returns whether too many rows hold members to gather them."""
        holding = self._holding(bracket.is_open, bracket) + self._rows.groups
        return ops.any(bracket.is_open) & (holding > self._capacity)

    def _is_stuck(self, bracket):
        """Returns whether that is so because of brackets that can't be narrowed."""
        is_stuck = bracket.is_open & (ops.abs(bracket.misses) > 1)
        return self._holding(is_stuck, bracket) > self._capacity // 2

    def _holding(self, groups, bracket):
        """Returns how many rows of some groups hold members of the brackets."""
        holding = self._rows.spread(groups) & (bracket.upto > bracket.below)
        return ops.sum(ops.cast(holding, "int32"))


def _wanted(zeros):
    return ops.maximum(ops.cast(zeros, "int32"), 1)


def _capacity(rows, groups):
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

    def is_rough(bracket):
        members = bracket.most - bracket.less
        return ops.any(bracket.is_open & (members > max(size // _ROUGH, 2)))

    bracket = brackets.everything(sample, ranks)
    bracket = brackets.loop(sample, ranks, bracket, is_rough)
    return bracket.low[:groups], ops.minimum(bracket.high[groups:], rows.largest)


def _tie(rows, wanted, bracket):
    """Returns, per row, its members, those up to its end, and the first that goes.

    Members are counted through the whole table. If the bracket is one key, they are
    all equal, and of these the last go: the first that goes is in the row where the
    count reaches it.
    """
    in_group = bracket.most - bracket.less
    before = ops.cumsum(in_group) - in_group
    goes = rows.spread(before + bracket.most - wanted + 1)
    members = bracket.upto - bracket.below
    until = ops.cumsum(members)
    return members, until, goes, (until - members < goes) & (goes <= until)


def _gather(rows, wanted, bracket, capacity):
    """Returns the rows that hold members, and the same search within them.

    A group with a bracket of one key keeps only the row where its ties are cut.
    """
    members, until, goes, ends_here = _tie(rows, wanted, bracket)
    is_open = bracket.is_open
    taken = ops.where(rows.spread(is_open), members > 0, ends_here)
    lost = rows.totals(ops.where(ends_here, until - goes + 1, 0))
    wanted = ops.where(is_open, wanted - bracket.less, lost)

    taken = ops.cast(taken, "int32")
    place = ops.where(taken > 0, ops.cumsum(taken) - 1, capacity)  # there: dropped
    ids = ops.arange(rows.group.shape[0], dtype="int32")
    ids = ops.scatter(place[:, None], ids, (capacity + 1,))[:capacity]
    filled = ops.arange(capacity, dtype="int32") < ops.sum(taken)

    group = ops.take(rows.group, ids)
    few = brackets.Rows(
        ops.take(rows.entries, ids, axis=0), group, rows.sizes, rows.bits
    )
    keys = few.keys()
    inside = keys >= few.over_entries(bracket.low)
    inside &= keys < few.over_entries(bracket.high)
    inside &= filled[:, None, None]
    few.entries = ops.where(inside, keys, few.largest)
    few.bits = lambda keys: keys
    upto = ops.where(filled, ops.take(members, ids), 0)
    none = ops.zeros_like(wanted)
    bracket = bracket._replace(
        less=none,
        most=few.totals(upto),
        below=ops.zeros_like(upto),
        upto=upto,
        misses=none,
    )
    return few, wanted, brackets.aim(few, wanted, bracket), ids


def _position(rows, wanted, bracket, ids):
    """Returns, per group, the position in the table of the first tie that goes."""
    members, until, goes, here = _tie(rows, wanted, bracket)
    index = ops.arange(ids.shape[0], dtype="int32")
    row = rows.totals(ops.where(here, index, 0))
    rank = rows.totals(ops.where(here, goes - until + members, 0))
    entries = ops.reshape(ops.take(rows.keys(), row, axis=0), (-1, ROW))
    ties = ops.cast(entries == bracket.low[:, None], "int32")
    before = ops.cumsum(ties, axis=1) < rank[:, None]
    return ops.take(ids, row) * ROW + ops.sum(ops.cast(before, "int32"), axis=1)
