"""`sensitivity(model, data)`: a metric against sparsity, without any training.

One weight at a time, and all together: the curves from which `sparsity="auto"` chooses.
Leaves the model as it was. Knows models and data; knows no phase.
"""

import hashlib
import pathlib

import keras
import numpy as np
from keras import ops

from keras_dsd._shared import checks, directions, files, paths
from keras_dsd.analysis._shared import evaluation
from keras_dsd.analysis.on_data.sensitivity_result import Sensitivity
from keras_dsd.sparsity import counts, distributions, patterns, topk, trials

SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


# Each an option that a user names.
def sensitivity(  # noqa: PLR0913
    model,
    data,
    *,
    sparsities=SPARSITIES,
    distribution="global",
    metric=None,
    mode="auto",
    batch_size=None,
    path=None,
    verbose=1,
):
    """Evaluates a model with weights pruned by magnitude: one at a time, and all.

    Nothing is trained, and afterwards the model is as it was, to the bit; also after an
    error or Ctrl-C. Takes (weights + 1) * sparsities + 1 evaluations. One-layer curves
    are those of Han et al. 2015 (arXiv:1506.02626); what a layer bears alone it need
    not bear together with the others.

    Args:
        model: a compiled, built `keras.Model`, prunable or not. Pruned are the weights
            that are prunable, else those that `make_prunable` would choose.
        data: (x, y) or (x, y, sample weights) of arrays, a `tf.data.Dataset` or a
            `keras.utils.PyDataset`; validation data, not test data, if something is
            chosen by what it shows.
        sparsities: list of numbers in [0, 1), the fractions of weights that are zero.
            Defaults to tenths, 0.95 and 0.99.
        distribution: how all weights together share a sparsity, as for
            `phases.Sparse`. Defaults to `"global"`, one ranking of all magnitudes.
        metric: name of one of the model's metrics. Defaults to `None`: the first, by
            name, that is no loss, else the loss.
        mode: "max" if more of it is better, "min" if less is, "auto": by its name.
            Defaults to "auto".
        batch_size: as for `model.evaluate`.
        path: a JSON file that is written after every evaluation; the same call with the
            same model goes on where it was stopped. Defaults to `None`: none.
        verbose: 0 for silence, 1 for a progress bar. Defaults to 1.

    Returns:
        A `Sensitivity`.

    Raises:
        TypeError, ValueError: before anything is evaluated an argument is not as said,
            the model holds nothing to prune, or a weight is not finite; after the first
            evaluation there is no such metric, or `path` is of another model or data.

    >>> import keras, numpy as np
    >>> from keras_dsd import analysis
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model.compile(loss="mse")
    >>> data = np.ones((16, 8)), np.ones((16, 4))
    >>> found = analysis.sensitivity(model, data, sparsities=[0.5, 0.9], verbose=0)
    >>> found.metric, len(found.trials)
    ('loss', 4)
    """
    weights = _weights(model)
    sparsities = _checked(sparsities)
    shares = distributions.get(distribution)
    arguments = evaluation.arguments(data, batch_size)
    directions.check(mode)
    checks.integer(verbose, "verbose", at_least=0)
    file = None if path is None else files.writable(path)
    wanted = [(None, sparsity) for sparsity in sparsities]
    wanted += [(name, sparsity) for name in weights for sparsity in sparsities]
    bar = keras.utils.Progbar(len(wanted), unit_name="trial", verbose=verbose)
    with evaluation.unchanged(model) as held:
        tried = _Tried(model, arguments, weights, shares, held)
        logs = tried.evaluate()
        name, grows = trials.choose_metric(logs, metric, mode)
        baseline = trials.check_baseline(logs[name], name)
        told = _identity(model, distribution)
        before = _before(file, told, name, baseline)
        found: list = []
        for path_, sparsity in wanted:
            if (path_, sparsity) in before:
                value = before[path_, sparsity]
            else:
                value = tried.at(path_, sparsity)[name]
            found.append(trials.Trial(path_, sparsity, value))
            before[path_, sparsity] = value
            if file is not None:
                kept = [(*key, value) for key, value in before.items()]
                Sensitivity(name, grows, baseline, told, kept).to_json(file)
            bar.update(len(found))
    return Sensitivity(name, grows, baseline, told, found)


class _Tried:
    """A model that is tried with pruned weights; `held` has the values they had."""

    def __init__(self, model, arguments, weights, shares, held):
        self._model, self._arguments = model, arguments
        self._weights, self._shares, self._held = weights, shares, held

    def evaluate(self):
        return self._model.evaluate(**self._arguments, verbose=0, return_dict=True)

    def at(self, path, sparsity):
        """Returns the metrics with one weight pruned, or with all."""
        weights = [one for name, one in self._weights.items() if path in (None, name)]
        shapes = [tuple(one.shape) for one in weights]
        shares = [sparsity] * len(weights)
        if path is None:
            known = [one.path for one in weights]
            shares = self._shares(shapes, sparsity, known)
        total = sum(int(np.prod(shape)) for shape in shapes)
        zeros = [
            counts.zeros(total, sparsity)
            if share is None
            else counts.zeros(int(np.prod(shape)), share)
            for shape, share in zip(shapes, shares, strict=True)
        ]
        masks, _ = topk.choose(
            [self._held.value(one) for one in weights],
            [patterns.Unstructured()] * len(weights),
            zeros,
            [share is None for share in shares],
        )
        with self._held.masked(weights, masks):
            return self.evaluate()


def _weights(model):
    """Returns {path: variable} of what is to be pruned."""
    found = evaluation.prunable_variables(evaluation.check_model(model))
    for weight in found:
        if not bool(ops.all(ops.isfinite(weight.value))):
            raise ValueError(
                "Magnitudes that are not finite cannot be ranked. "
                f"Received: {weight.path} with NaN or infinity"
            )
    names = paths.distinct(weight.path for weight in found)
    return dict(zip(names, found, strict=True))


def _checked(sparsities):
    listed = checks.listed(sparsities, "sparsities", "numbers in [0, 1)")
    found = [float(checks.sparsity(one, "sparsities")) for one in listed]
    if not found or len(set(found)) < len(found):
        raise ValueError(
            "`sparsities` must be one or more, each once. "
            f"Received: sparsities={sparsities!r}"
        )
    return found


def _identity(model, distribution):
    """Returns what a file must agree in to be gone on with."""
    digest = hashlib.sha256()
    for weight in model.weights:
        values = ops.convert_to_numpy(weight)
        digest.update(np.ascontiguousarray(values).tobytes())
    shared = getattr(distribution, "__qualname__", None) or repr(distribution)
    return {"weights": digest.hexdigest()[:16], "distribution": shared}


def _before(file, told, name, baseline):
    """Returns {(path, sparsity): value} of what a file holds already."""
    if file is None or not file.exists():
        return {}
    kept = Sensitivity.from_json(pathlib.Path(file))
    now, then = (told, name, baseline), (kept.of, kept.metric, kept.baseline)
    if now != then:
        raise ValueError(
            "The file is of another model, other data or another metric: "
            f"{then} there, {now} now. Received: path={str(file)!r}"
        )
    return {(one.path, one.sparsity): one.value for one in kept.trials}
