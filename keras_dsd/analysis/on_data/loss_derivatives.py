"""Gradient of a compiled model's loss by its weights, and products with its Hessian.

The loss is that of `model.evaluate`: the model as it predicts, and all that
`compute_loss` adds, say regularizers. Masks are not seen: derivatives are those of the
dense weights.
Knows models and batches.
"""

from keras import ops

from keras_dsd import backend
from keras_dsd.analysis._shared import evaluation
from keras_dsd.layers import weight_views


class LossDerivatives:
    """Derivatives of a model's loss by some of its weights.

    Args:
        model: a compiled, built model that has been evaluated once.
        weights: list of its variables.
    """

    def __init__(self, model, weights):
        chosen = set(map(id, weights))
        others = [one for one in model.variables if id(one) not in chosen]
        self._weights, self._others = weights, others

        # The other variables are arguments too, so that they are not compiled in.
        def loss(values, other_values, x, y, sample_weight):
            given = [*zip(weights, values, strict=True)]
            given += zip(others, other_values, strict=True)
            with weight_views.PlainReads(given):
                return model.compute_loss(
                    x=x,
                    y=y,
                    y_pred=model(x, training=False),
                    sample_weight=sample_weight,
                    training=False,
                )

        self._gradient = backend.gradient_of(loss)
        self._product = backend.hessian_product_of(loss)

    def gradient(self, batches):
        """Returns the gradient of the mean loss over batches, and how many items."""
        return self._mean(self._gradient, [self._values()], batches)

    def hessian_product(self, vectors, batches):
        """Returns the Hessian of the mean loss over batches times `vectors`."""
        return self._mean(self._product, [self._values(), vectors], batches)[0]

    def _values(self):
        return _read(self._weights)

    def _mean(self, function, arguments, batches):
        total, count = [0.0 for _ in self._weights], 0
        others = _read(self._others)
        for batch in batches:
            size = evaluation.items(batch)
            found = function(*arguments, others, *batch)
            total = [old + one * size for old, one in zip(total, found, strict=True)]
            count += size
        return [one / count for one in total], count


def _read(variables):
    return [ops.stop_gradient(variable.value) for variable in variables]
