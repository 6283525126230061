"""What a snapshot takes from a model: masks, weights, and where the run stands.

Reads what prunable layers carry; changes nothing. Knows no file and no training loop.
"""

import hashlib
import math

import keras
import numpy as np

from keras_dsd._shared import paths
from keras_dsd.layers import conversion
from keras_dsd.optimizers import model_optimizers, slots


class Source:
    """A model of which snapshots are taken.

    Args:
        model: a `keras.Model`, prunable and built.

    Raises:
        ValueError: it is not.
    """

    def __init__(self, model):
        self._model = model
        self._states = conversion.built_states(model)
        self._pruned = [weight for state in self._states for weight in state.pruned]

    @property
    def position(self):
        """Where the run stands, a `Position`."""
        return self._states[0].position

    @property
    def phase(self):
        """Index of the phase, `None` before the first."""
        phase = self.position.phase
        return phase if phase >= 0 else None

    @property
    def place(self):
        """What tells the phase in play from others."""
        position = self.position
        return [position.phase, position.start, position.fingerprint]

    @property
    def is_masked(self):
        """Whether masks are in force."""
        return any(state.in_force for state in self._states)

    @property
    def shapes(self):
        """List of (path, shape), by the paths of when weights became prunable."""
        names = paths.distinct(weight.origin for weight in self._pruned)
        shapes = [weight.shape for weight in self._pruned]
        return list(zip(names, shapes, strict=True))

    @property
    def arrays(self):
        """List of (mask, values), variables; `None` where no mask is in force."""
        return [
            (weight.mask if state.in_force else None, weight.variable)
            for state in self._states
            for weight in state.pruned
        ]

    @property
    def accumulation(self):
        """Batches to an optimizer step."""
        optimizers = model_optimizers.of(self._model).values()
        return max(map(slots.accumulation, optimizers), default=1)

    @property
    def digest(self):
        """What tells one moment of one run from others, whatever phases change in it.

        They change weights of rank 2 and more.
        """
        digest = hashlib.sha256()
        for weight in self._model.weights:
            if len(weight.shape) < 2:
                values = keras.ops.convert_to_numpy(weight)
                digest.update(np.asarray(values).tobytes())
        return digest.hexdigest()[:16]


def in_words(count):
    """Returns a number of bytes in words.

    >>> in_words(4_800_000)
    '4.8 MB'
    """
    if count < 1000:
        return f"{count} B"
    power = min(int(math.log10(count) // 3), 4)
    return f"{count / 1000**power:.1f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
