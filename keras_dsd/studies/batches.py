"""Batches and draws that depend on the seed and the epoch alone.

So all methods of a study see the same batches and drop out the same units in the same
epoch, and a run that was killed sees in its seventh epoch what it would have seen.
Knows arrays and Keras's generators of random numbers; knows no method.
"""

import hashlib
import zlib

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Arrays in batches, in an order that is drawn from (seed, epoch).

    Args:
        arrays: (x, y) or (x, y, sample weights), each an array or a structure of them.
        batch_size: items in a batch; the last may be smaller.
        seed: of the run, or `None`: they keep their own order.
    """

    def __init__(self, arrays, batch_size, seed):
        super().__init__()
        self.arrays = arrays
        self.batch_size = batch_size
        self.seed = seed
        self.count = count(arrays)
        self.start(0)

    def start(self, epoch):
        """Draws the order of an epoch."""
        if self.seed is None:
            self.order = np.arange(self.count)
        else:
            rng = np.random.default_rng((self.seed, epoch))
            self.order = rng.permutation(self.count)

    def digest(self):
        """Returns a hash of the data and of the order of the first epoch."""
        found = hashlib.sha256()
        for array in keras.tree.flatten(self.arrays):
            found.update(np.ascontiguousarray(array).tobytes())
        self.start(0)
        found.update(self.order.tobytes())
        return found.hexdigest()[:16]

    def __len__(self):
        """Returns how many batches an epoch has."""
        return -(-self.count // self.batch_size)

    def __getitem__(self, index):
        """Returns one batch, a tuple."""
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return keras.tree.map_structure(lambda array: array[chosen], self.arrays)


def in_order(arrays, batch_size):
    """Returns `Batches` of arrays as they are."""
    return Batches(arrays, batch_size, None)


def count(arrays):
    """Returns how many items a structure of arrays holds.

    Raises:
        ValueError: there are none, or not as many in each array.
    """
    counts = {len(array) for array in keras.tree.flatten(arrays)}
    if len(counts) != 1 or counts == {0}:
        raise ValueError(
            "All arrays must hold the same number of items, 1 or more. "
            f"Received: {sorted(counts)} items"
        )
    return counts.pop()


class Draws(keras.callbacks.Callback):
    """Sets all that draws random numbers to (seed, epoch) as each epoch begins.

    Args:
        seed: of the run.
        batches: a `Batches`, or `None` where the data have an order of their own.
    """

    def __init__(self, seed, batches=None):
        super().__init__()
        self.seed = seed
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        """Seeds Python, NumPy, the backend and the model's own generators."""
        keras.utils.set_random_seed(_mix(self.seed, epoch))
        if self.batches is not None:
            self.batches.start(epoch)
        for index, state in enumerate(seed_states(self.model)):
            state.assign(np.array([_mix(self.seed, epoch), index], state.dtype))


def drawn(model, batches):
    """Returns a hash of an epoch that is over: the order of its items, and all draws.

    A generator's state says how often it was asked; two methods with the same hash have
    seen the same order, and dropped out and augmented alike.

    Args:
        model: the model that was trained.
        batches: a `Batches`, or `None` where the data have an order of their own.
    """
    found = hashlib.sha256()
    if batches is not None:
        found.update(batches.order.tobytes())
    for state in seed_states(model):
        found.update(keras.ops.convert_to_numpy(state.value).astype("int64").tobytes())
    return found.hexdigest()[:8]


def seed_states(model):
    """Returns the variables of a model's generators, those of dropout, say.

    They are the ones that are no weights: Keras keeps them out of `weights`, and tells
    them from metrics, which are not among `non_trainable_variables`.
    """
    weights = {id(weight) for weight in model.weights}
    return [
        variable
        for variable in model.non_trainable_variables
        if id(variable) not in weights
        and variable.shape == (2,)
        and variable.dtype in ("int32", "int64", "uint32")
    ]


def _mix(*parts):
    return zlib.crc32(repr(parts).encode()) & 0x7FFFFFFF
