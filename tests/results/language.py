"""A language model: the next character of Shakespeare, in bits per character.

Knows Keras and arrays.
"""

import math

import keras
import numpy as np

from tests.results import packs

SYMBOLS = 65
LENGTH = 50  # characters of a sequence
UNITS = 96
EPOCHS = 18
STEPS = 200  # batches of an epoch, so that few and many characters cost the same


@keras.saving.register_keras_serializable(package="results")
def bits(y_true, y_pred):
    """Returns bits per character of logits."""
    losses = keras.losses.sparse_categorical_crossentropy(
        y_true, y_pred, from_logits=True
    )
    return losses / math.log(2)


def build(dropout):
    """Returns a compiled model of an embedding, an LSTM and a classifier."""
    layers = [
        keras.Input((LENGTH,), dtype="int32"),
        keras.layers.Embedding(SYMBOLS, 32),
        keras.layers.LSTM(UNITS, return_sequences=True),
    ]
    if dropout:
        layers.append(keras.layers.Dropout(dropout))
    model = keras.Sequential([*layers, keras.layers.Dense(SYMBOLS, name="logits")])
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[bits],
    )
    return model


def data(characters, folder, seed):
    """Returns sequences and their next characters.

    Args:
        characters: how many train; where they begin is drawn by the seed.
        folder: of the packs.
        seed: of the draw.
    """
    train, held_out, test, _ = packs.load(folder, "text_shakespeare")
    rng = np.random.default_rng((1607, seed))
    start = int(rng.integers(0, len(train) - characters))
    train = train[start : start + characters]
    begins = rng.integers(0, characters - LENGTH - 1, STEPS * 32)
    return (
        _pairs(train, begins),
        _pairs(held_out, np.arange(0, 20_000, LENGTH)),
        _pairs(test, np.arange(0, 40_000, LENGTH)),
    )


def _pairs(text, begins):
    windows = text[begins[:, None] + np.arange(LENGTH + 1)].astype("int32")
    return windows[:, :-1], windows[:, 1:]
