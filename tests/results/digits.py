"""Pictures for perceptrons, and for a small CNN: digits; CIFAR-10 at 8 x 8, harder.

Knows Keras and arrays.
"""

import functools

import keras
import numpy as np

from tests.results import packs

INPUTS = {"digits": 64, "cifar": 192}
CLASSES = 10
# Examples of an epoch, or more: what an epoch costs besides its steps is spent less.
AN_EPOCH = {"digits": 900, "cifar": 3000}
HELD_OUT = 200  # validation items
NOISE = {"digits": 0.3, "cifar": 0.1}  # deviation; pixels span 1
TESTED = {"digits": 597, "cifar": 1000}


def build(pack, width):
    """Returns a compiled perceptron with two hidden layers of one width."""
    model = keras.Sequential(
        [
            keras.Input((INPUTS[pack],)),
            keras.layers.Dense(width, activation="relu", name="first"),
            keras.layers.Dense(width, activation="relu", name="hidden"),
            keras.layers.Dense(CLASSES, name="logits"),
        ]
    )
    compiled(model, keras.optimizers.SGD(0.05, momentum=0.9))
    return model


def build_cnn(channels):
    """Returns a compiled CNN of three convolutions for digits, given as rows of 64."""
    conv = functools.partial(
        keras.layers.Conv2D, kernel_size=3, activation="relu", padding="same"
    )
    model = keras.Sequential(
        [
            keras.Input((INPUTS["digits"],)),
            keras.layers.Reshape((8, 8, 1)),
            conv(channels, name="first"),
            conv(channels, name="hidden"),
            keras.layers.MaxPooling2D(),
            conv(2 * channels, name="last"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(CLASSES, name="logits"),
        ]
    )
    compiled(model, keras.optimizers.SGD(0.05, momentum=0.9))
    return model


def compiled(model, optimizer):
    """Compiles a classifier of logits; its metrics heed weights of test items."""
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[
            "accuracy",
            keras.metrics.SparseCategoricalCrossentropy(
                name="cross_entropy", from_logits=True
            ),
        ],
    )


def weights(pack, width):
    """Returns how many weights the perceptron has, biases left out."""
    return (INPUTS[pack] + width + CLASSES) * width


def weights_of_cnn(channels):
    """Returns how many weights the CNN has, biases left out."""
    return (9 + 9 * channels + 18 * channels + 2 * CLASSES) * channels


@functools.cache
def _pictures(pack, folder):
    if pack == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        return (x / 16).astype("float32"), y.astype("int32")
    train, test = packs.load(folder, "cifar10_jpeg")
    x = np.concatenate([train[0], test[0]]).astype("float32") / 255 - 0.5
    x = x.reshape(-1, 8, 4, 8, 4, 3).mean(axis=(2, 4)).reshape(len(x), -1)
    return x, np.concatenate([train[1], test[1]]).astype("int32")


def data(pack, examples, wrong, folder, seed):
    """Returns train, validation and test data, all drawn anew by the seed.

    An epoch sees few examples several times, so that all settings train about as long.

    Args:
        pack: "digits" or "cifar".
        examples: how many train.
        wrong: share of training labels that are another class's.
        folder: of the packs.
        seed: of the draw.
    """
    x, y = _pictures(pack, folder)
    rng = np.random.default_rng((1607, seed))
    order = rng.permutation(len(x))
    test = order[: TESTED[pack]]
    held_out, train = np.split(order[TESTED[pack] :][: HELD_OUT + examples], [HELD_OUT])
    labels = y[train].copy()
    false = rng.permutation(examples)[: int(wrong * examples)]
    labels[false] = (labels[false] + rng.integers(1, CLASSES, len(false))) % CLASSES
    times = max(1, AN_EPOCH[pack] // examples)
    train, labels = np.tile(train, times), np.tile(labels, times)
    noisy = x[test] + NOISE[pack] * rng.normal(size=x[test].shape)
    return (
        (x[train], labels),
        (x[held_out], y[held_out]),
        packs.with_noisy(x[test], noisy, y[test]),
    )
