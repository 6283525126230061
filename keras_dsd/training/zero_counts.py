"""How many zeros each weight gets in a sparse phase: patterns, shares, exact counts.

Puts together what the phase says, what a layer says for itself and what a weight's
shape allows, and complains before anything is trained. Knows a phase and the shapes of
weights; knows no values.
"""

from keras_dsd import regrowth
from keras_dsd._shared import checks
from keras_dsd.regrowth import lookup
from keras_dsd.sparsity import counts, distributions, patterns


class Targets:
    """The targets of one sparse phase.

    Args:
        phase: a `phases.Sparse`.
        weights: list of `PrunedWeight`.

    Attributes:
        patterns: the pattern of each weight.
        final: the sparsity of each weight when the phase's schedule is over; `None`
            for weights that share one ranking. In a phase that is to become sparser
            by itself (GraNet), that when it begins.
        methods: by which of `regrowth` each weight's connections move, or `None`.
        follows: whether each weight's sparsity is the phase's, not the layer's own.

    Raises:
        TypeError, ValueError: a pattern does not fit a weight or contradicts its own
            sparsity, or the distribution returns something else than sparsities.
    """

    def __init__(self, phase, weights):
        self.patterns = []
        self.final = []
        self._weights = weights
        self.methods: list = []
        self.follows: list[bool] = []
        self._end = phase.initial_sparsity
        shares = self._shares(phase, [w for w in weights if self._follows(phase, w)])
        for weight in weights:
            pattern, final = self._pattern(phase, weight), self._own(weight)
            if self._follows(phase, weight):
                final = next(shares)
                if phase.initial_sparsity < phase.sparsity and (
                    pattern != patterns.Unstructured()
                ):
                    final = phase.sparsity  # GraNet prunes single connections only
            elif pattern.sparsity is not None:
                final = self._fixed(pattern, weight)
            pattern.check(weight.shape, weight.path)
            if final is None and pattern != patterns.Unstructured():
                raise ValueError(
                    'The "global" distribution ranks single weights, so the pattern '
                    f"must be unstructured. Received: pattern={pattern!r} for "
                    f"{weight.path}"
                )
            self.patterns.append(pattern)
            self.final.append(final)
            self.methods.append(self._method(phase, weight, pattern, final))
            self.follows.append(self._follows(phase, weight))
        lookup.check(phase.regrowth, [weight.path for weight in weights])

    def _method(self, phase, weight, pattern, final):
        """Returns what moves the weight's connections; what has a pattern is static."""
        if phase.regrowth is None or pattern != patterns.Unstructured():
            return None
        method = lookup.choose(phase.regrowth, weight.path)
        # What begins dense has nothing to exchange, but may get sparser by and by.
        stays_dense = final == 0 and not isinstance(method, regrowth.GraNet)
        if self._own(weight) == 0 or stays_dense:
            return None
        return None if isinstance(method, regrowth.Static) else method

    @staticmethod
    def _own(weight):
        # A layer that was frozen after it was wrapped does not train, so it is left
        # alone as one that is held dense.
        return weight.sparsity if weight.variable.trainable else 0

    def _pattern(self, phase, weight):
        if self._own(weight) == 0:  # held dense, so no pattern either
            return patterns.Unstructured()
        return phase.pattern if weight.pattern is None else weight.pattern

    def _follows(self, phase, weight):
        fixed = self._pattern(phase, weight).sparsity is not None
        return self._own(weight) is None and not fixed

    @staticmethod
    def _fixed(pattern, weight):
        own = weight.sparsity
        if own is not None and counts.as_fraction(own) != pattern.sparsity:
            raise ValueError(
                f"{pattern} is a sparsity of {float(pattern.sparsity)}. Received: "
                f"sparsity={own!r} for {weight.path}"
            )
        return float(pattern.sparsity)

    @staticmethod
    def _shares(phase, weights):
        if not weights:
            return iter(())
        distribution = distributions.get(phase.distribution)
        shares = distribution(
            [weight.shape for weight in weights],
            phase.initial_sparsity,
            [weight.path for weight in weights],
        )
        if not isinstance(shares, (list, tuple)) or len(shares) != len(weights):
            raise ValueError(
                f"`distribution` must return one sparsity for each of {len(weights)} "
                f"weights. Received: {shares!r}"
            )
        for share in shares:
            if share is not None:
                checks.sparsity(share, "distribution")
        return iter(shares)

    def zeros(self, sparsity):
        """Returns, for each weight, how many of its units are zero now.

        A unit is a single weight or a block. Weights that share one ranking get one
        number for all, at the first of them, and `None` at the others; N:M patterns
        need no number and get `None` too.

        Args:
            sparsity: that of the phase now, as its schedule says.
        """
        result: list = []
        shared = [
            w for w, f in zip(self._weights, self.final, strict=True) if f is None
        ]
        together = sum(weight.size for weight in shared)
        for weight, final, pattern in zip(
            self._weights, self.final, self.patterns, strict=True
        ):
            if final is None:
                is_first = weight is shared[0]
                result.append(counts.zeros(together, sparsity) if is_first else None)
            elif pattern.sparsity is not None:
                result.append(None)
            else:
                units = pattern.units(weight.shape)
                result.append(counts.zeros(units, self._at(sparsity, final)))
        return result

    def _at(self, sparsity, final):
        # In the proportion that the phase has reached; exact at both ends.
        if sparsity == self._end or self._end == 0:
            return final
        if final == self._end:
            return sparsity
        return final * sparsity / self._end

    def active(self, sparsity):
        """Returns how many of each weight are to live, `None` in one shared ranking."""
        zeros = self.zeros(sparsity)
        return [
            None if final is None or number is None else weight.size - number
            for weight, final, number in zip(
                self._weights, self.final, zeros, strict=True
            )
        ]

    def prunes(self, weight):
        """Returns whether `weight` loses any connection in the phase."""
        number = self._weights.index(weight)
        return self.final[number] != 0 or self.methods[number] is not None
