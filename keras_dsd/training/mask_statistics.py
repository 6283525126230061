"""What the masks of a model are, in numbers: sparsity, churn, explored.

`explored` is the in-time over-parametrization of Liu et al. 2021 (arXiv:2102.02887).
Knows pruned weights; changes nothing but its own memory of what has lived.
"""

from keras import ops

from keras_dsd.training import arithmetic


class MaskStatistics:
    """Measures the masks of some weights of one model.

    Args:
        weights: list of `PrunedWeight`.
    """

    def __init__(self, weights):
        self._weights = weights
        self._size = sum(weight.size for weight in weights)
        self._by = arithmetic.of(weights)
        self._counts = self._by.compiled(self._by.counts)

    @property
    def paths(self):
        """The paths that the weights had when they were first made prunable.

        Those are the same in every part of a run that was stopped and goes on, for
        `load_model` gives the weights of some models other paths.
        """
        return [weight.origin for weight in self._weights]

    def masks(self):
        """Returns copies of all masks."""
        return [
            self._by.ops.copy(self._by.read(weight.mask)) for weight in self._weights
        ]

    def sparsity(self):
        """Returns the fraction of the weights that the masks hold at zero.

        A weight that a mask has pruned and that is not zero counts for what it is.
        """
        read = self._by.read
        active = self._count(
            [
                read(weight.mask) | self._by.ops.not_equal(read(weight.variable), 0)
                for weight in self._weights
            ]
        )
        return (self._size - active) / self._size

    def churn(self, before):
        """Returns the fraction of the living weights that were not alive `before`.

        Args:
            before: what `masks` returned then.
        """
        now = [self._by.read(weight.mask) for weight in self._weights]
        grown = [new & ~old for new, old in zip(now, before, strict=True)]
        return self._count(grown) / max(self._count(now), 1)

    def explored(self):
        """Returns the fraction of the weights that have lived in the phase."""
        lived = [self._by.read(weight.explored) for weight in self._weights]
        return self._count(lived) / self._size

    def forget_explored(self):
        """Only what lives now has lived: a phase begins."""
        for weight in self._weights:
            weight.explored.assign(self._by.ops.copy(self._by.read(weight.mask)))

    def _count(self, masks):
        """Returns how many entries of all masks together are True."""
        return int(ops.convert_to_numpy(self._counts(masks)).astype("int64").sum())
