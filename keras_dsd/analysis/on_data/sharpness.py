"""`sharpness(model, data)`: the largest eigenvalue of the loss's Hessian.

Leaves the model as it was. Knows models and data; knows no phase.
"""

import keras
import numpy as np
from keras import ops

from keras_dsd import backend
from keras_dsd._shared import checks
from keras_dsd.analysis._shared import evaluation
from keras_dsd.analysis.on_data.loss_derivatives import LossDerivatives
from keras_dsd.analysis.on_data.sharpness_result import Sharpness
from keras_dsd.layers import conversion

STEPS = 8
ITERATIONS = 100
TOLERANCE = 0.01
_VECTORS = 4  # of all weights: one, its image, the sum over batches, one to come


# Each an option that a user names.
def sharpness(  # noqa: PLR0913
    model,
    data,
    *,
    steps=STEPS,
    iterations=ITERATIONS,
    tolerance=TOLERANCE,
    seed=0,
    batch_size=None,
    verbose=1,
):
    """Finds the largest eigenvalue of the Hessian of a model's loss by its weights.

    By power iteration on exact products of the Hessian with vectors
    ([Pearlmutter 1994](https://doi.org/10.1162/neco.1994.6.1.147)), of the loss as
    `model.evaluate` computes it: dropout off, moving statistics in batch normalization,
    regularizers included. Over all trainable weights; those that a mask in force holds
    at zero do not move, and are left out. If the eigenvalue of largest magnitude is
    negative, a second iteration finds the largest.

    Flat minima were thought to generalize ([Hochreiter and Schmidhuber
    1997](https://doi.org/10.1162/neco.1997.9.1.1), [Keskar et al.
    2017](https://arxiv.org/abs/1609.04836)); but rescaled weights can compute the same
    function at any sharpness ([Dinh et al. 2017](https://arxiv.org/abs/1703.04933)), so
    compare models of one architecture, trained alike, on the same data.

    Costs `steps` products an iteration, each some two to four gradients; memory, beside
    what a gradient takes, of four copies of the trainable weights (`vector_bytes`), and
    on TensorFlow and PyTorch of the gradient's own graph. Nothing of the model changes.

    Args:
        model: a compiled, built `keras.Model`, prunable or not.
        data: (x, y) or (x, y, sample weights) of arrays, a `tf.data.Dataset` or a
            `keras.utils.PyDataset`.
        steps: how many batches of it, the first; kept in memory. Defaults to 8.
        iterations: how many at most, of each of the two. Defaults to 100.
        tolerance: it has converged when the residual `||Hv - value v||` is at most this
            share of the eigenvalue's magnitude, a number in (0, 1]. Defaults to 0.01.
        seed: of the vector it starts with. Defaults to 0.
        batch_size: items in a batch of arrays. Defaults to `None`: 32.
        verbose: 0 for silence, 1 for a progress bar. Defaults to 1.

    Returns:
        A `Sharpness`, that says whether it has converged.

    Raises:
        TypeError, ValueError: before anything is computed an argument is not as said,
            nothing can be trained, or the data do not fit; the Hessian is not finite.

    >>> import keras, numpy as np
    >>> from keras_dsd import analysis
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> data = np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 1))
    >>> found = analysis.sharpness(model, data, verbose=0)
    >>> found.converged, round(found.eigenvalue, 1)
    (True, 31.6)
    """
    evaluation.check_model(model)
    iterations = checks.integer(iterations, "iterations", at_least=1)
    checks.share(tolerance, "tolerance")
    seed = checks.integer(seed, "seed", at_least=0)
    checks.integer(steps, "steps", at_least=1)
    evaluation.check_reading(batch_size, steps, verbose)
    evaluation.arguments(data, batch_size)
    weights = evaluation.trained(model)
    masks = _masks(model)
    told = ["eigenvalue", "residual"]
    bar = keras.utils.Progbar(None, verbose=verbose, stateful_metrics=told)
    with evaluation.unchanged(model):
        evaluation.check_data(model, data, batch_size)
        kept = list(evaluation.batches(data, batch_size, steps))
        derivatives = LossDerivatives(model, weights)

        def product(vectors):
            found = derivatives.hessian_product(vectors, kept)
            return _masked(found, weights, masks)

        start = _masked(_draw(weights, seed), weights, masks)
        search = _PowerIteration(product, start, iterations, tolerance, bar)
        dominant, done, residual, history = search.run(0.0)
        value = dominant
        if dominant < 0:
            value, again, residual, history = search.run(dominant)
            done = done and again
        search.end()
    return Sharpness(
        value,
        dominant,
        done,
        residual,
        history,
        weights=_count(weights, masks),
        items=sum(map(evaluation.items, kept)),
        vector_bytes=_VECTORS * sum(_bytes(one) for one in weights),
    )


class _PowerIteration:
    """Multiplies a vector by a symmetric matrix until it turns no more.

    Args:
        product: function of a vector, a list of tensors; the matrix times it.
        start: a vector.
        iterations: how many at most.
        tolerance: share of the eigenvalue's magnitude.
        bar: a `keras.utils.Progbar`.
    """

    def __init__(self, product, start, iterations, tolerance, bar):
        self._product, self._start = product, start
        self._iterations, self._tolerance, self._bar = iterations, tolerance, bar
        self._count = 0

    def run(self, shift):
        """Finds the eigenvalue that is farthest from `shift`.

        Returns:
            (eigenvalue, whether it has converged, residual, list of all that it was
            taken for).
        """
        history: list = []
        vector = _scaled(self._start, 1 / _norm(self._start))
        for _ in range(self._iterations):
            image = self._product(vector)
            value = _dot(vector, image)
            residual = _norm(_plus(image, vector, -value))
            history.append(value)
            self._tell(value, residual)
            done = residual <= self._tolerance * abs(value - shift)
            if done:
                break
            image = _plus(image, vector, -shift)
            size = _norm(image)
            if size == 0:  # there is no other eigenvalue
                done = True
                break
            vector = _scaled(image, 1 / size)
        return value, done, residual, history

    def _tell(self, value, residual):
        if not np.isfinite([value, residual]).all():
            raise ValueError(
                "The Hessian of the loss is not finite. "
                f"Received: a product with eigenvalue {value}"
            )
        self._count += 1
        values = [("eigenvalue", value), ("residual", residual)]
        self._bar.update(self._count, values, finalize=False)

    def end(self):
        """Ends the line of the bar."""
        self._bar.update(self._count, finalize=True)


def _masks(model):
    """Returns {id(weight): its mask} of the masks that are in force."""
    return {
        id(weight.variable): weight.mask
        for state in conversion.states(model)
        if state.in_force
        for weight in state.pruned
    }


def _masked(vectors, weights, masks):
    return [
        backend.masked(vector, masks[id(weight)].value)
        if id(weight) in masks
        else vector
        for vector, weight in zip(vectors, weights, strict=True)
    ]


def _draw(weights, seed):
    rng = np.random.default_rng(seed)
    drawn = [rng.standard_normal(tuple(one.shape)) for one in weights]
    return [
        ops.convert_to_tensor(values.astype("float32"), dtype=one.dtype)
        for values, one in zip(drawn, weights, strict=True)
    ]


def _dot(one, other):
    pairs = zip(one, other, strict=True)
    # One number to wait for, however many weights there are.
    return float(sum(ops.cast(ops.sum(a * b), "float32") for a, b in pairs))


def _norm(vector):
    return max(_dot(vector, vector), 0.0) ** 0.5


def _scaled(vector, factor):
    return [one * factor for one in vector]


def _plus(vector, other, factor):
    return [a + b * factor for a, b in zip(vector, other, strict=True)]


def _count(weights, masks):
    return sum(
        int(ops.count_nonzero(masks[id(one)].value))
        if id(one) in masks
        else int(np.prod(one.shape))
        for one in weights
    )


def _bytes(weight):
    one = ops.convert_to_numpy(ops.zeros((), dtype=weight.dtype))
    return int(np.prod(weight.shape)) * one.itemsize
