"""Batches for an evaluation: clean ones, and the same corrupted in every way.

The data goes by once, however many corruptions there are, and a thread works ahead of
the model; memory holds a few batches. Knows data and `corrupt`; no model.
"""

import collections
import concurrent.futures
import itertools

from keras_dsd._shared import checks
from keras_dsd.robustness.corruptions import catalog, corrupting
from keras_dsd.robustness.corruptions.corruption import SEVERITIES
from keras_dsd.robustness.data import Data

CLEAN = ("clean", 0)
_AHEAD = 2  # batches that are made while the model is at work
_END = object()


class Corrupting:
    """Data that is corrupted as it streams.

    Args:
        x: array of images or videos; or an iterable of `(x, y)` batches, with sample
            weights as a third part if there are any: a `tf.data.Dataset`, a
            `keras.utils.PyDataset`, a `torch.utils.data.DataLoader`, a generator.
        y: array of labels as long as `x`; `None` if `x` is an iterable.
        seed: as in `corrupt`.
        constants: as in `corrupt`.
        untouched: names of conditions that get the clean images.
    """

    def __init__(self, x, y, *, seed, constants, untouched=()):
        self.seed = checks.integer(seed, "seed", at_least=0)
        self.constants = corrupting.check_constants(constants)
        self._untouched = untouched
        self._data = Data(x, y)

    def conditions(self, names, severities):
        """Returns the list of (name, severity) to measure, `CLEAN` first.

        Args:
            names: tuple of corruptions, or `None`: the 15 of the benchmark.
            severities: tuple of integers, or `None`: 1 to 5.
        """
        names = catalog.STANDARD if names is None else names
        self._check(names, self._data.shape)
        severities = SEVERITIES if severities is None else severities
        return [CLEAN, *itertools.product(names, severities)]

    def steps(self, conditions, batch_size):
        """Returns the number of batches, `None` if nobody can tell."""
        batches = self._data.length(batch_size)
        return None if batches is None else batches * len(conditions)

    def stream(self, conditions, batch_size):
        """Yields (condition, images, labels, weights or `None`).

        Args:
            conditions: list of (name, severity); `CLEAN` is one.
            batch_size: images in a batch of arrays, or `None`.
        """
        start = 0
        for images, labels, weights in self._data.batches(batch_size):
            self._check(dict.fromkeys(name for name, _ in conditions), images.shape)
            for condition in conditions:
                name, severity = condition
                shown = images
                if condition != CLEAN and name not in self._untouched:
                    shown = corrupting.corrupt(
                        images,
                        name,
                        severity,
                        seed=self.seed,
                        constants=self.constants,
                        first_index=start,
                    )
                yield condition, shown, labels, weights
            start += len(images)

    def _check(self, names, shape):
        """Checks that there are such corruptions, and that images can have them.

        So that nobody waits for the clean images before a corruption is refused.
        """
        for name in names:
            if name not in (*self._untouched, CLEAN[0]):
                corruption = catalog.get(name)
                if shape is not None:
                    corrupting.check_shape(shape, corruption)


def ahead(iterator):
    """Yields the items of an iterator that a thread runs, a few ahead."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        waiting = collections.deque(
            thread.submit(next, iterator, _END) for _ in range(_AHEAD)
        )
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(thread.submit(next, iterator, _END))
            yield item
