"""Random draws for a weight, the same in every process.

They depend on the seed that is given and on the path that the weight had when it was
first made prunable, not on the order of layers, nor on any generator's state. Knows
pruned weights only.
"""

import zlib

import keras


def _seed(weight, seed):
    # A stable hash: Python's own differs from process to process.
    name = "/".join(map(str, (*seed, weight.origin)))
    return zlib.crc32(name.encode())


def uniform(weight, seed):
    """Returns uniform float32 numbers in [0, 1) of the shape of a `PrunedWeight`.

    Args:
        weight: the weight.
        seed: tuple of what the draw depends on, besides the weight's origin.
    """
    return keras.random.uniform(weight.shape, dtype="float32", seed=_seed(weight, seed))


def glorot_uniform(weight, seed):
    """Returns new values for a weight, as `uniform`, by Keras's default for kernels."""
    initializer = keras.initializers.GlorotUniform(seed=_seed(weight, seed))
    return initializer(weight.shape, weight.variable.dtype)
