"""Spoken digits: log spectrograms, a 1-D CNN and a GRU that hear five speakers.

Knows Keras and arrays.
"""

import keras
import numpy as np

from tests.results import digits, packs

EPOCHS = 45
FRAMES, BANDS = 50, 32
WINDOW, HOP = 256, 128  # samples, at 8 kHz
TRAINED, HELD_OUT = 400, 150
SPEAKERS = 6
NOISE = 0.1  # white, its deviation relative to the recording's: 20 dB


def build(channels):
    """Returns a compiled CNN of three convolutions over time."""
    conv = keras.layers.Conv1D
    model = keras.Sequential(
        [
            keras.Input((FRAMES, BANDS)),
            conv(channels, 5, activation="relu", padding="same", name="first"),
            keras.layers.MaxPooling1D(2),
            conv(channels, 5, activation="relu", padding="same", name="second"),
            keras.layers.MaxPooling1D(2),
            conv(channels, 5, activation="relu", padding="same", name="third"),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(10, name="logits"),
        ]
    )
    digits.compiled(model, keras.optimizers.SGD(0.05, momentum=0.9))
    return model


def weights(channels):
    """Returns how many weights the CNN has, biases left out."""
    return (5 * BANDS + 10 * channels + 10) * channels


def build_gru(units):
    """Returns a compiled model of two bidirectional layers of GRU units."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((FRAMES, BANDS)),
            layers.Bidirectional(
                layers.GRU(units, return_sequences=True), name="first"
            ),
            layers.Bidirectional(layers.GRU(units), name="second"),
            layers.Dense(10, name="logits"),
        ]
    )
    digits.compiled(model, keras.optimizers.Adam(2e-3))
    return model


def weights_of_gru(units):
    """Returns how many weights the model of GRUs has, biases left out."""
    return (6 * (BANDS + units) + 6 * (2 * units + units) + 20) * units


def data(folder, seed):
    """Returns digits of five speakers to train and validate, of the sixth to test.

    Args:
        folder: of the packs.
        seed: draws the recordings, and holds out speaker `seed % 6`.
    """
    waves, labels, speakers = _recordings(folder)
    rng = np.random.default_rng((1607, seed))
    known = rng.permutation(np.flatnonzero(speakers != seed % SPEAKERS))
    unknown = np.flatnonzero(speakers == seed % SPEAKERS)
    held_out, train = np.split(known[: HELD_OUT + TRAINED], [HELD_OUT])
    noisy = [
        waves[i] + NOISE * np.std(waves[i]) * rng.normal(size=len(waves[i]))
        for i in unknown
    ]

    def part(chosen):
        return spectrograms([waves[i] for i in chosen]), labels[chosen]

    return (
        part(train),
        part(held_out),
        packs.with_noisy(part(unknown)[0], spectrograms(noisy), labels[unknown]),
    )


def _recordings(folder):
    first, second, _ = packs.load(folder, "speech_fsdd")
    labels = np.concatenate([first[1], second[1]]).astype("int32")
    return first[0] + second[0], labels, np.concatenate([first[2], second[2]])


def spectrograms(waves):
    """Returns log energies by frame and band; a recording's have mean 0, deviation 1.

    Recordings are cut, or filled with silence, to 50 frames.
    """
    found = np.zeros((len(waves), FRAMES, BANDS), "float32")
    samples = WINDOW + HOP * (FRAMES - 1)
    for index, wave in enumerate(waves):
        padded = np.zeros(samples, "float32")
        padded[: min(samples, len(wave))] = wave[:samples]
        frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
        power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2
        bands = power[:, : 4 * BANDS].reshape(FRAMES, BANDS, 4).mean(axis=2)
        energy = np.log(bands + 1e-4)
        found[index] = (energy - energy.mean()) / (energy.std() + 1e-6)
    return found
