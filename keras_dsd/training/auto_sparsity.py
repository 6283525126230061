"""`sparsity="auto"`: the largest sparsity that validation bears, without training.

At the start of a phase; what was found is stored with the masks, so that a run that was
killed goes on with it. Knows one phase, pruned weights and a `Validation`; knows no
training loop.
"""

import dataclasses
import math
import warnings

from keras import ops

from keras_dsd._shared import paths
from keras_dsd.sparsity import counts, topk, trials
from keras_dsd.training.mask_updates import refuse
from keras_dsd.training.zero_counts import Targets


@dataclasses.dataclass(frozen=True)
class Search:
    """What was tried at the start of a phase, and what was found.

    Args:
        metric: name of the metric of validation.
        grows: whether more of it is better.
        baseline: the metric before anything was pruned.
        tolerance: by how much it might fall.
        sparsity: the fraction of the weights that is pruned, of those that follow the
            phase.
        by_weight: {path: its sparsity}; empty unless each weight has one of its own.
        trials: list of `(path, sparsity, value)`, in the order in which they were
            tried; path `None`: all together.
    """

    metric: str
    grows: bool
    baseline: float
    tolerance: float
    sparsity: float
    by_weight: dict
    trials: list

    def to_dict(self):
        """Returns it as a dict that JSON can hold; numbers not finite are `None`."""
        tried = [
            [path, sparsity, value if math.isfinite(value) else None]
            for path, sparsity, value in self.trials
        ]
        return {**dataclasses.asdict(self), "trials": tried}

    def __str__(self):
        """Returns what was found and tried, as lines of text."""
        lines = [
            f"Found sparsity {self.sparsity:.3f}, the largest tried at which "
            f"val_{self.metric} ({self.baseline:.4g}) gets worse by no more than "
            f"{float(self.tolerance):g}:"
        ]
        for wanted in dict.fromkeys(path for path, _, _ in self.trials):
            tried = sorted((s, v) for path, s, v in self.trials if path == wanted)
            line = ", ".join(
                f"{value:.4g} at {sparsity:g}" for sparsity, value in tried
            )
            own = f" ({self.by_weight[wanted]:.3f} taken)" if wanted else ""
            lines.append(f"  {wanted or 'all'}{own}: {line}")
        return "\n".join(lines)


def resolve(phase, index, prepared, is_entered):
    """Returns a phase with the sparsity in place of "auto".

    Args:
        phase: a `phases.Sparse` whose sparsity is "auto".
        index: its index.
        prepared: the run's `Prepared`; its targets of the phase become those found.
        is_entered: whether the phase begins: else what was found then is stored.

    Returns:
        The phase, and the `Search` or `None`.
    """
    weights = prepared.weights
    follows = [target.follows for target in prepared.targets[index].each]
    steps = [number for state in prepared.states for number in state.found]
    search = None
    if is_entered or min(steps) < 0:
        steps, search = _Searching(phase, weights, follows, prepared.validation).run()
        left = iter(steps)
        for state in prepared.states:
            state.found = [next(left) for _ in state.pruned]
    found = _with_steps(phase, weights, follows, steps)
    targets = prepared.targets[index] = Targets(found, weights)
    zeros = zip(targets.zeros(found.sparsity), follows, strict=True)
    if search and not any(count for count, own in zeros if own):
        _warn(phase, search)
    return found, search


def _warn(phase, search):
    warnings.warn(
        f"Not even a few zeros leave val_{search.metric} within "
        f"{float(phase.tolerance):g} of {search.baseline:.4g}: the phase prunes "
        "nothing that has no sparsity of its own.",
        stacklevel=2,
    )


def _with_steps(phase, weights, follows, steps):
    """Returns the phase with sparsities, given in steps, for each weight.

    Args:
        phase: the phase.
        weights: list of `PrunedWeight`.
        follows: list of booleans, whether a weight follows the phase.
        steps: list of integers; of those that follow, all the same unless each has its
            own.
    """
    pairs = [(w, s) for w, s, own in zip(weights, steps, follows, strict=True) if own]
    shares = [number / trials.STEPS for _, number in pairs]
    if not phase.is_by_weight:
        return phase.at(shares[0])
    zeros = sum(
        counts.zeros(weight.size, s)
        for (weight, _), s in zip(pairs, shares, strict=True)
    )
    total = zeros / sum(weight.size for weight, _ in pairs)

    def given(shapes, sparsity, paths=None):
        return list(shares)

    return phase.at(total, given)


class _Searching:
    """One search: holds the model's values and tries sparsities on them."""

    def __init__(self, phase, weights, follows, validation):
        self._phase, self._weights, self._follows = phase, weights, follows
        self._validation = validation
        self._names = paths.distinct(weight.path for weight in weights)
        self._trials: list = []

    def run(self):
        """Returns (steps for each weight, the `Search`)."""
        with self._validation.held() as self._held:
            name, grows, baseline = self._validation.baseline(self._phase)
            self._metric, self._bounds = name, (baseline, grows, self._phase.tolerance)
            if self._phase.is_by_weight:
                steps = self._by_weight()
            else:
                steps = self._same(trials.largest(lambda n: self._try(self._same(n))))
        found = _with_steps(self._phase, self._weights, self._follows, steps)
        by_weight = {}
        if self._phase.is_by_weight:
            by_weight = {
                path: number / trials.STEPS
                for path, number, follows in zip(
                    self._names, steps, self._follows, strict=True
                )
                if follows
            }
        search = Search(
            metric=name,
            grows=grows,
            baseline=baseline,
            tolerance=float(self._phase.tolerance),
            sparsity=float(found.sparsity),
            by_weight=by_weight,
            trials=self._trials,
        )
        return steps, search

    def _same(self, number):
        return [number] * len(self._weights)

    def _by_weight(self):
        # What each bears alone, all scaled down until they bear it together.
        alone = self._same(0)
        for index in range(len(alone)):
            if self._follows[index]:
                alone[index] = trials.largest(
                    lambda number, index=index: self._try(
                        [number * (i == index) for i in range(len(alone))], index
                    )
                )

        def scaled(scale):
            return [number * scale // trials.STEPS for number in alone]

        whole = trials.STEPS + 1
        return scaled(trials.largest(lambda n: self._try(scaled(n)), whole))

    def _try(self, steps, index=None):
        """Returns whether sparsities are borne.

        Args:
            steps: for each weight.
            index: of the one weight that is pruned. Defaults to `None`: all are.
        """
        candidate = _with_steps(self._phase, self._weights, self._follows, steps)
        targets = Targets(candidate, self._weights)
        zeros = [count or 0 for count in targets.zeros(candidate.sparsity)]
        variables = [weight.variable for weight in self._weights]
        masks, finite = topk.choose(
            [self._held.value(variable) for variable in variables],
            [target.pattern for target in targets.each],
            zeros,
            [target.final is None for target in targets.each],
        )
        finite = ops.convert_to_numpy(finite)
        if not finite.all():
            refuse(self._weights[int(finite.argmin())])
        with self._held.masked(variables, masks):
            value = self._validation.metrics()[self._metric]
        path, sparsity = None, float(candidate.sparsity)
        if index is not None:
            path, sparsity = self._names[index], steps[index] / trials.STEPS
        self._trials.append(trials.Trial(path, sparsity, value))
        return trials.is_borne(value, *self._bounds)
