"""Weights that were set back to those of an earlier epoch, masks left behind.

`EarlyStopping(restore_best_weights=True)` copies the arrays of `get_weights`, in which
there are no masks. What the weights were as each epoch ended tells of which epoch they
are, and their zeros tell the masks. Knows pruned weights and positions; knows no phase.
"""

import copy

from keras import ops

from keras_dsd.training import arithmetic


class EpochEnds:
    """What the weights of one run were as its epochs ended.

    Args:
        weights: list of `PrunedWeight`.
    """

    def __init__(self, weights):
        self._weights = weights
        self._by = arithmetic.of(weights)
        self._positions: dict = {}
        self._last = None

    def note(self, position):
        """An epoch has ended, at a `Position`."""
        self._last = self._sums()
        self._positions[self._last] = copy.copy(position)

    def find(self):
        """Returns where the run stood when the weights were what they are.

        Returns:
            A `Position`; `None` if they are those of the last epoch, or of none.
        """
        now = self._sums()
        if now == self._last or now not in self._positions:
            return None
        return copy.copy(self._positions[now])

    def _sums(self):
        # Sums on the device, for weights may lie on several: some numbers for each,
        # equal to the bit where the weights are.
        by, some = self._by, self._by.ops
        values = [by.cast(by.read(w.variable), "float32") for w in self._weights]
        sums = [some.stack([some.sum(v), some.sum(some.square(v))]) for v in values]
        return ops.convert_to_numpy(some.stack(sums)).tobytes()


def follow_zeros(states, targets):
    """Gives layers the masks of the zeros that their weights have now.

    Args:
        states: list of `PruningState`.
        targets: the `Targets` of the phase that the weights are of, `None` if dense.
    """
    for state in states:
        if targets and any(targets.prunes(weight) for weight in state.pruned):
            state.follow_zeros()
        else:
            state.forget_masks()
