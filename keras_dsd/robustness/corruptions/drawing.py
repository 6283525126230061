"""Runs a corruption over many images: their random generators, chunks and threads.

What is drawn for an image depends on its index, never on the chunk or the thread. Knows
`Corruption`; neither names nor severities.
"""

import concurrent.futures
import hashlib
import os

import numpy as np

_CHUNK = 2**17  # values that are worked on at a time, so that they stay in the cache
_MOST_THREADS = 8


class Draws:
    """Random generators for the images of a data set.

    Args:
        seed: anything with a `repr` that is the same in every process.
    """

    def __init__(self, *seed):
        # A stable hash: Python's own differs from process to process.
        self._hash = hashlib.blake2b(repr(seed).encode(), digest_size=24)

    def generator(self, index, frame=0):
        """Returns the generator of an image, or of a frame of a video."""
        own = self._hash.copy()
        own.update(b" %d %d" % (index, frame))
        bits = np.random.SFC64(_Hashed(own.digest()))  # type: ignore[arg-type]
        return np.random.Generator(bits)


class _Hashed(np.random.bit_generator.ISeedSequence):
    """A seed that is random already; NumPy's mixing of others takes five times long."""

    def __init__(self, digest):
        self._digest = digest

    def generate_state(self, n_words, dtype=np.uint32):
        return np.frombuffer(self._digest, np.dtype(dtype).newbyteorder("<"), n_words)


def apply(corruption, images, strength, draws, first_index):
    """Returns corrupted images of the shape and dtype of `images`.

    Args:
        corruption: a `Corruption`.
        images: array (N, H, W, C), or (N, T, H, W, C), uint8 or floating.
        strength: of the corruption.
        draws: the `Draws` of the data set.
        first_index: index of the first image in the data set.
    """
    frames = 1 if images.ndim == 4 or corruption.time == "clip" else images.shape[1]
    shape = images.shape[images.ndim - 3 - (corruption.time == "clip") :]
    items = np.ascontiguousarray(images).reshape(-1, *shape)
    result = np.empty_like(items)

    def work(start):
        stop = min(start + size, len(items))
        rngs = []
        for item in range(start, stop):
            index, frame = divmod(item, frames)
            frame = 0 if corruption.time == "fixed" else frame
            rngs.append(draws.generator(first_index + index, frame))
        corrupted = corruption.function(_to_unit(items[start:stop]), strength, rngs)
        result[start:stop] = _from_unit(corrupted, items.dtype)

    size = max(1, _CHUNK // items[0].size)
    starts = range(0, len(items), size)
    threads = min(_cores(), _MOST_THREADS, len(starts)) if corruption.threads else 1
    if threads == 1:
        for start in starts:
            work(start)
    else:
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, starts):
                pass
    return result.reshape(images.shape)


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _to_unit(images):
    if images.dtype == np.uint8:
        return images * np.float32(1 / 255)
    return images.astype(np.float32)


def _from_unit(images, dtype):
    if dtype == np.uint8:
        # The small term keeps k / 255 * 255 from falling below k before truncation.
        scaled = images * np.float32(255)
        scaled += np.float32(1e-3)
        return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)
    return np.clip(images, 0, 1).astype(dtype)
