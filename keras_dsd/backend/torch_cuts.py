"""Where the k-th smallest entry of a group of tensors lies, on PyTorch.

Shapes may depend on data here: a sample brackets the wanted key, one pass over all
entries gathers what lies in the bracket, and `kthvalue` finds the key there. Another
pass finds the index at which ties are cut. Knows PyTorch, and tensors by their pieces.
"""

import functools
import math

import numpy as np
import torch

from keras_dsd.backend import torch_pieces
from keras_dsd.backend.torch_pieces import flags

_SAMPLE = 1 << 14  # sampled entries of a group, at most ...
_SPARED = 1 << 4  # ... and one in so many
_FEW = 1 << 12  # entries of a group that are searched without a sample


def cut(tensors, lost, bits):
    """Returns where a group of tensors loses its smallest entries.

    Args:
        tensors: list of floating tensors, ranked together.
        lost: integer, how many entries they lose together.
        bits: function from floats to the integers that are their keys.

    Returns:
        Key and index, integers as in `tables.Cuts`, the index counted over all tensors;
        and a tensor (tensors,), the largest key of each.
    """
    search = _Search(tensors, bits)
    if lost == 0:
        *_, largest = search.count(-1, 0)
        return -1, 0, largest
    found = None
    if search.size > _FEW:
        found = search.between(search.sampled(lost), lost)
    return found or search.between(search.everything, lost)  # the sample may mislead


class _Search:
    def __init__(self, tensors, bits):
        self._tensors = tensors
        self._bits = bits
        self._pieces = [[piece for (piece,) in torch_pieces.of(t)] for t in tensors]
        end = torch.iinfo(bits(tensors[0].new_zeros(())).dtype).max
        self.everything = -1, end  # a bracket of all keys
        self.size = sum(tensor.numel() for tensor in tensors)

    def sampled(self, lost):
        """Returns two keys, between which the one of rank `lost` probably lies."""
        share = min(_SAMPLE / self.size, 1 / _SPARED)
        sample = []
        for tensor in self._tensors:
            places = _places(tensor.numel(), share).to(tensor.device)
            sample.append(self._bits(tensor.reshape(-1)[places]))
        sample = torch.cat(sample)
        size, share = len(sample), lost / self.size
        reach = 4 * (size * share * (1 - share)) ** 0.5 + 4
        low, high = int(size * share - reach), int(size * share + reach)
        least, end = self.everything
        return (
            int(sample.kthvalue(low + 1).values) if low >= 0 else least,
            int(sample.kthvalue(high + 1).values) if high < size else end,
        )

    def between(self, bracket, lost):
        """Returns what `cut` does if the key is in the bracket, else `None`."""
        low, high = bracket
        below, upto, members, largest = self.count(low, high)
        if lost <= below or (low == high and lost > upto):
            return None
        if lost <= upto:
            key = low
        elif lost <= upto + len(members):
            key = int(members.kthvalue(lost - upto).values)
            below = upto + int(torch.count_nonzero(members < key))
        else:
            key, below = high, upto + len(members)
        index = self._first_that_goes(key, lost - below)
        return None if index is None else (key, index, largest)

    def count(self, low, high):
        """Counts all keys by a bracket, in one pass.

        A key that half of all entries share comes to be an end of the bracket, so those
        that are `low` or `high` are not gathered.

        Returns:
            How many keys are below `low`; how many up to it; those between `low` and
            `high`; and the largest of each tensor.
        """
        below, upto, members, largest = [], [], [], []
        for pieces in self._pieces:
            tops = []
            for keys in map(self._keys, pieces):
                is_above = flags(torch.gt, keys, low)
                below.append(torch.count_nonzero(flags(torch.lt, keys, low)))
                upto.append(keys.numel() - torch.count_nonzero(is_above))
                members.append(keys[is_above & flags(torch.lt, keys, high)])
                tops.append(keys.amax())
            largest.append(torch.stack(tops).amax())
        return (
            int(torch.stack(below).sum()),
            int(torch.stack(upto).sum()),
            torch.cat(members),
            torch.stack(largest),
        )

    def _first_that_goes(self, key, going):
        """Returns the index at which ties are cut, or `None` if they are too few."""
        pieces = [piece for pieces in self._pieces for piece in pieces]
        counts = [int(torch.count_nonzero(self._ties(one, key))) for one in pieces]
        staying = sum(counts) - going
        if staying < 0:
            return None
        until = np.cumsum(counts)
        index = int(np.searchsorted(until, staying, side="right"))
        places = torch.nonzero(self._ties(pieces[index], key))
        place = int(places[staying - until[index] + counts[index]])
        return sum(piece.numel() for piece in pieces[:index]) + place

    def _ties(self, piece, key):
        return flags(torch.eq, self._keys(piece), key)

    def _keys(self, piece):
        return self._bits(piece).reshape(-1)


@functools.lru_cache(maxsize=64)
def _places(size, share):
    """Returns places spread over a tensor, one at random of each stride.

    Weights may repeat with some period. Drawn by NumPy, so that the user's random state
    is left alone.
    """
    count = math.ceil(size * share)
    places = np.arange(count) + np.random.default_rng(0).random(count)
    return torch.from_numpy((places * size / count).astype("int64"))
