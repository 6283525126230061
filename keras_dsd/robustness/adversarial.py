"""Noise that is made against the model: FGSM and PGD.

One more family of corruptions, for `evaluate`; unlike the others it needs the model,
its loss and its gradients. Knows no stream and no report.
"""

import keras
import numpy as np

from keras_dsd import backend
from keras_dsd._shared import checks
from keras_dsd.robustness import data, logits

FAMILY = "adversarial"
ATTACKS = ("fgsm", "pgd")
STRENGTHS = (0.5 / 255, 1 / 255, 2 / 255, 4 / 255, 8 / 255)  # of severities 1 to 5
PGD_STEPS = 10


def fgsm(model, x, y, epsilon, *, loss=None, preprocess=None):
    """Returns images that one step along the sign of the loss's gradient makes worse.

    Args:
        model: a `keras.Model`.
        x: array of images (N, H, W, C), uint8 or floating in [0, 1].
        y: array of N labels, as the loss takes them.
        epsilon: largest change of a value, a fraction of the full range, in (0, 1].
        loss: name or function of a loss of Keras. Defaults to `None`: the one that the
            model is compiled with.
        preprocess: function of a batch, applied before the model; it has to be made of
            `keras.ops`, as layers are, so that gradients go through. Defaults to
            `None`.

    Returns:
        A float32 array of the shape of `x` in the range of `x`: 0 to 255 for uint8 (not
        rounded; `corrupt` takes them divided by 255), else 0 to 1. Warns if a tenth of
        the images or more has a gradient of exactly zero.

        The gradient of a cross-entropy is taken by logits, where none is lost by
        rounding: also for a model that ends in a softmax or a sigmoid.

    Raises:
        ValueError, TypeError: if an argument is wrong, or there is no loss.

    Reference: [Goodfellow et al., ICLR 2015](https://arxiv.org/abs/1412.6572).

    Example:

    >>> import keras, numpy as np
    >>> from keras_dsd import robustness
    >>> model = keras.Sequential(
    ...     [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    ... )
    >>> x, y = np.full((3, 4, 4, 1), 0.5, "float32"), np.array([0, 1, 1])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> worse = robustness.fgsm(model, x, y, 0.1, loss=loss)
    >>> print(np.abs(worse - x).max().round(3))
    0.1
    """
    images, labels = data.check_arrays(x, y)
    checks.share(epsilon, "epsilon")
    ascent = _Ascent(model, loss, preprocess)
    worse = ascent.climb(images, labels, epsilon, [1.0])
    ascent.warn_flat()
    return worse


# Each an option that a user names.
def pgd(  # noqa: PLR0913
    model,
    x,
    y,
    epsilon,
    *,
    steps=PGD_STEPS,
    loss=None,
    preprocess=None,
    seed=0,
    first_index=0,
):
    """Returns images that several steps up the loss make worse, from a random start.

    Each step has the length `2.5 * epsilon / steps`; images stay within `epsilon` of
    `x` and within their range.

    Args:
        model, x, y, epsilon, loss, preprocess: as in `fgsm`.
        steps: integer, 1 or more. Defaults to 10.
        seed: integer, 0 or more, of the random starts. Defaults to 0.
        first_index: index of the first of `x` in the data set. Defaults to 0.

    Returns:
        As `fgsm`.

    Raises:
        ValueError, TypeError: if an argument is wrong, or there is no loss.

    Reference: [Madry et al., ICLR 2018](https://arxiv.org/abs/1706.06083).

    Example:

    >>> import keras, numpy as np
    >>> from keras_dsd import robustness
    >>> model = keras.Sequential(
    ...     [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    ... )
    >>> model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> x, y = np.full((3, 4, 4, 1), 128, "uint8"), np.array([0, 1, 1])
    >>> worse = robustness.pgd(model, x, y, 8 / 255, steps=3)
    >>> print(np.abs(worse - x).max().round(3))
    8.0
    """
    images, labels = data.check_arrays(x, y)
    checks.share(epsilon, "epsilon")
    steps = checks.integer(steps, "steps", at_least=1)
    seed = checks.integer(seed, "seed", at_least=0)
    first_index = checks.integer(first_index, "first_index", at_least=0)
    ascent = _Ascent(model, loss, preprocess)
    start = _start(images, seed, first_index)
    worse = ascent.climb(images, labels, epsilon, [2.5 / steps] * steps, start)
    ascent.warn_flat()
    return worse


class Attacks:
    """The attacks of `evaluate` on one model.

    Args:
        model, preprocess: as in `fgsm`; the model is compiled.
        seed: seed of the random starts, an integer.
    """

    def __init__(self, model, preprocess, seed):
        self._ascent = _Ascent(model, None, preprocess)
        self._seed = seed

    def __call__(self, name, severity, images, labels, first_index):
        """Returns images that an attack makes worse, as `fgsm` and `pgd` do."""
        epsilon, lengths, start = STRENGTHS[severity - 1], [1.0], 0.0
        if name == "pgd":
            lengths = [2.5 / PGD_STEPS] * PGD_STEPS
            start = _start(images, self._seed, first_index)
        return self._ascent.climb(images, labels, epsilon, lengths, start)

    def warn_flat(self):
        """Warns if the loss had no gradient for many of the images."""
        self._ascent.warn_flat()


class _Ascent:
    """Steps up the loss of one model; counts the images that have no way up.

    Args:
        model, loss, preprocess: as in `fgsm`.
    """

    def __init__(self, model, loss, preprocess):
        self._gradient = _gradient(model, loss, preprocess)
        self._flat = self._images = 0

    def climb(self, images, labels, epsilon, lengths, start=0.0):
        """Returns images after steps of these lengths, in multiples of `epsilon`."""
        full = data.white(images)
        clean = images.astype("float32")
        low = np.clip(clean - epsilon * full, 0, full)
        high = np.clip(clean + epsilon * full, 0, full)
        worse = np.clip(clean + epsilon * full * start, low, high)
        flat = np.ones(len(images), bool)
        for length in lengths:
            gradient = np.nan_to_num(self._gradient(worse, labels))
            flat &= ~gradient.reshape(len(images), -1).any(axis=1)
            worse = worse + epsilon * full * length * np.sign(gradient)
            worse = np.clip(worse, low, high)
        self._flat += int(flat.sum())
        self._images += len(images)
        return worse

    def warn_flat(self):
        """Warns if the loss had no gradient for many of the images, at any step."""
        logits.warn_of_zeros(self._flat, self._images)


def _start(images, seed, first_index):
    """Returns uniform numbers in [-1, 1) that depend on the images' indices."""
    return np.stack(
        [
            np.random.default_rng((seed, first_index + i)).uniform(-1, 1, image.shape)
            for i, image in enumerate(images)
        ]
    ).astype("float32")


def _gradient(model, loss, preprocess):
    """Returns a function (x, y) of the gradient of the loss by x, NumPy arrays all."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"Attacks need the gradients of a Keras model. Received: model={model!r}"
        )
    checks.function(preprocess, "preprocess", "a batch")
    if loss is None:
        loss = getattr(model, "loss", None)
    if not (isinstance(loss, str) or callable(loss)):
        raise ValueError(
            "Attacks need a loss: give one, or compile the model with one. "
            f"Received: loss={loss!r}"
        )
    try:
        loss = keras.losses.get(loss)
    except ValueError as error:
        raise ValueError(
            f"Keras knows no such loss. Received: loss={loss!r}"
        ) from error

    attackable = logits.AttackableLoss(model, loss)
    of_input = backend.input_gradient(
        attackable.model, preprocess or (lambda x: x), attackable
    )

    def gradient(images, labels):
        try:
            with attackable.recorded():
                found = of_input(
                    keras.ops.convert_to_tensor(images, "float32"),
                    keras.ops.convert_to_tensor(labels),
                )
        except Exception as error:  # each backend has its own
            raise ValueError(
                "The loss has no gradient by these images. Received: images of shape "
                f"{images.shape}, labels of shape {labels.shape}: {error}"
            ) from error
        return keras.ops.convert_to_numpy(found)

    return gradient
