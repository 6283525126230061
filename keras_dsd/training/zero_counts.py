"""How many zeros each weight gets in a sparse phase: patterns, shares, exact counts.

Puts together what the phase says, what a layer says for itself and what a weight's
shape allows, and complains before anything is trained. Knows a phase and the shapes of
weights; knows no values.
"""

from typing import Any, NamedTuple

from keras_dsd._shared import checks
from keras_dsd.regrowth import lookup
from keras_dsd.sparsity import counts, distributions, patterns


class Target(NamedTuple):
    """What one sparse phase wants of one weight.

    Attributes:
        pattern: which of its entries live or die together, one of `patterns`.
        final: its sparsity when the phase's schedule is over; `None` if it shares one
            ranking with others. In a phase that gets sparser by its method (GraNet),
            that when the phase begins.
        method: by which of `regrowth` its connections move, or `None`.
        follows: whether its sparsity is the phase's, not the layer's own.
    """

    pattern: Any
    final: float | None
    method: Any
    follows: bool

    @property
    def prunes(self):
        """Whether the weight loses any connection in the phase."""
        return self.final != 0 or self.method is not None


class Targets:
    """The targets of one sparse phase.

    Args:
        phase: a `phases.Sparse`.
        weights: list of `PrunedWeight`.

    Attributes:
        each: list of one `Target` per weight, in their order.

    Raises:
        TypeError, ValueError: a pattern does not fit a weight or contradicts its own
            sparsity, or the distribution returns something else than sparsities.
    """

    def __init__(self, phase, weights):
        self._weights = weights
        self._end = phase.initial_sparsity
        shares = _shares(phase, [w for w in weights if _follows(phase, w)])
        self.each = [_target(phase, weight, shares) for weight in weights]
        lookup.check(phase.regrowth, [weight.path for weight in weights])

    def zeros(self, sparsity):
        """Returns, for each weight, how many of its units are zero now.

        A unit is a single weight or a block. Weights that share one ranking get one
        count for all, at the first of them, and `None` at the others; N:M patterns
        need no count and get `None` too.

        Args:
            sparsity: that of the phase now, as its schedule says.
        """
        pairs = list(zip(self._weights, self.each, strict=True))
        ranked_together = [weight for weight, target in pairs if target.final is None]
        size = sum(weight.size for weight in ranked_together)
        result: list = []
        for weight, target in pairs:
            if target.final is None:
                is_first = weight is ranked_together[0]
                result.append(counts.zeros(size, sparsity) if is_first else None)
            elif target.pattern.sparsity is not None:
                result.append(None)
            else:
                units = target.pattern.units(weight.shape)
                result.append(counts.zeros(units, self._at(sparsity, target.final)))
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
            None if target.final is None or count is None else weight.size - count
            for weight, target, count in zip(
                self._weights, self.each, zeros, strict=True
            )
        ]

    def prunes(self, weight):
        """Returns whether `weight` loses any connection in the phase."""
        return self.each[self._weights.index(weight)].prunes


def _target(phase, weight, shares):
    """Returns the `Target` of a weight.

    Args:
        phase: the `phases.Sparse`.
        weight: the `PrunedWeight`.
        shares: iterator over what the distribution gives to the weights that follow
            the phase.
    """
    pattern, final = _pattern(phase, weight), _own(weight)
    if _follows(phase, weight):
        final = next(shares)
        gets_sparser = phase.initial_sparsity < phase.sparsity
        if gets_sparser and pattern != patterns.Unstructured():
            final = phase.sparsity  # methods that prune do so to single connections
    elif pattern.sparsity is not None:
        final = _fixed(pattern, weight)
    pattern.check(weight.shape, weight.path)
    if final is None and pattern != patterns.Unstructured():
        raise ValueError(
            'The "global" distribution ranks single weights, so the pattern must be '
            f"unstructured. Received: pattern={pattern!r} for {weight.path}"
        )
    method = _method(phase, weight, pattern, final)
    return Target(pattern, final, method, _follows(phase, weight))


def _method(phase, weight, pattern, final):
    """Returns what moves the weight's connections; what has a pattern is static."""
    if phase.regrowth is None or pattern != patterns.Unstructured():
        return None
    method = lookup.choose(phase.regrowth, weight.path)
    # What begins dense has nothing to exchange, but may get sparser by and by.
    stays_dense = _own(weight) == 0 or (final == 0 and not method.prunes)
    return method if method.moves and not stays_dense else None


def _own(weight):
    # A layer that was frozen after it was made prunable does not train, so it is left
    # alone as one that is held dense.
    return weight.sparsity if weight.variable.trainable else 0


def _pattern(phase, weight):
    if _own(weight) == 0:  # held dense, so no pattern either
        return patterns.Unstructured()
    return phase.pattern if weight.pattern is None else weight.pattern


def _follows(phase, weight):
    fixed = _pattern(phase, weight).sparsity is not None
    return _own(weight) is None and not fixed


def _fixed(pattern, weight):
    """Returns the sparsity that an N:M pattern is; the layer's own must agree."""
    own = weight.sparsity
    if own is not None and counts.as_fraction(own) != pattern.sparsity:
        raise ValueError(
            f"{pattern} is a sparsity of {float(pattern.sparsity)}. Received: "
            f"sparsity={own!r} for {weight.path}"
        )
    return float(pattern.sparsity)


def _shares(phase, weights):
    """Returns an iterator over what the phase's distribution gives to each weight."""
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
