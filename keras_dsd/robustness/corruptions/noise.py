"""Noise of the sensor: Gaussian, shot and impulse noise.

Knows images in [0, 1] and the strengths; draws image by image, computes on whole
batches.
"""

import functools

import numpy as np
from scipy import special

from keras_dsd.robustness.corruptions.strengths import standard

_LEVELS = 256


def normal(shape, rngs):
    """Returns standard normal float32 values (N, ...), a generator for each of N."""
    noise = np.empty(shape, np.float32)
    for one, rng in zip(noise, rngs, strict=True):
        rng.standard_normal(out=one, dtype=np.float32)
    return noise


def gaussian_noise(images, deviation, rngs):
    """Adds normal noise to every value."""
    noise = normal(images.shape, rngs)
    noise *= np.float32(deviation)
    noise += images
    return noise


def shot_noise(images, photons, rngs):
    """Counts photons: a value v becomes Poisson(v * photons) / photons.

    A sum of Poisson variables is one: the share of v that is a multiple of 1 / 255,
    which is all of it in 8-bit images, is drawn from tables, the rest by NumPy, which
    is ten times slower.
    """
    cuts, others, bits = _poisson_tables(photons)
    scaled = images * np.float32(_LEVELS - 1)
    levels = (scaled + np.float32(1e-3)).astype(np.uint32)
    rest = scaled
    rest -= levels
    is_8_bit = [bool((one < 2e-3).all()) for one in rest]
    counts = np.empty(images.shape, np.float32)
    levels <<= np.uint32(bits)
    for count, level, more, whole, rng in zip(
        counts, levels, rest, is_8_bit, rngs, strict=True
    ):
        drawn = rng.integers(0, 2**32, level.shape, np.uint32)
        column = drawn >> np.uint32(32 - bits)
        level += column
        drawn <<= np.uint32(bits)
        kept = drawn <= cuts[level]
        np.copyto(count, np.where(kept, column, others[level]))
        if not whole:
            count += rng.poisson(np.maximum(more, 0) * (photons / (_LEVELS - 1)))
    counts /= np.float32(photons)
    return counts


@functools.cache
def _poisson_tables(photons):
    """Returns tables that turn 32 random bits and a level into a Poisson count.

    Walker's alias method, a row for each level: the upper bits choose a column, the
    others whether the column or its alias is the count. Counts beyond `photons` are
    white anyway and are taken together.
    """
    bits = int(photons).bit_length()
    columns = 2**bits
    counts = np.arange(photons)
    means = np.arange(_LEVELS)[:, None] * (photons / (_LEVELS - 1))
    below = np.hstack([special.pdtr(counts, means), np.ones((_LEVELS, 1))])
    shares = np.zeros((_LEVELS, columns))
    shares[:, : photons + 1] = np.diff(below, prepend=0) * columns

    row = np.arange(_LEVELS)
    cuts = np.ones(shares.shape)
    others = np.tile(np.arange(columns), (_LEVELS, 1))
    for _ in range(columns):
        poor, rich = shares.argmin(1), shares.argmax(1)
        share = np.minimum(shares[row, poor], 1)
        cuts[row, poor] = np.minimum(cuts[row, poor], share)
        others[row, poor] = np.where(share < 1, rich, others[row, poor])
        shares[row, rich] -= 1 - share
        shares[row, poor] = np.where(poor == rich, shares[row, poor], 1)
    cuts = np.round(cuts * (2**32 - 1)).astype(np.uint32)
    return cuts.ravel(), others.ravel().astype(np.float32), bits


def impulse_noise(images, share, rngs):
    """Turns a share of the values black or white."""
    drawn = np.empty_like(images)
    for one, rng in zip(drawn, rngs, strict=True):
        rng.random(out=one, dtype=np.float32)
    result = np.where(drawn < np.float32(share), np.float32(0), images)
    result[drawn < np.float32(share / 2)] = 1
    return result


CORRUPTIONS = (
    standard(gaussian_noise, "noise"),
    standard(shot_noise, "noise"),
    standard(impulse_noise, "noise"),
)
