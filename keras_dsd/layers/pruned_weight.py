"""One weight and all that is kept for it. Knows variables only."""

import dataclasses
import math

import keras


@dataclasses.dataclass(eq=False)
class PrunedWeight:
    """One weight and all that is kept for it.

    Args:
        variable: the weight, a variable of the prunable layer.
        mask: bool variable of the same shape, True where the weight lives.
        origin: the path that the weight had when it was first made prunable, by which
            random draws are seeded: `load_model` gives the weights of some models
            other paths.
        sparsity: the layer's own target, or `None` to follow the phase.
        pattern: the layer's own pattern, or `None` to follow the phase.
        rewind: variable that holds the values with which weights were pruned, or
            `None` where no phase goes back to them.
        gradient: variable that Keras overwrites with the gradient of the dense weight
            in each step of a sparse phase, or `None` where it is not tracked.
        explored: bool variable, True where the mask has been True at any time of the
            phase, or `None` where masks do not move.
    """

    variable: keras.Variable
    mask: keras.Variable
    origin: str
    sparsity: float | None
    pattern: object
    rewind: keras.Variable | None = None
    gradient: keras.Variable | None = None
    explored: keras.Variable | None = None

    @property
    def path(self):
        """The weight's path, by which errors and reports name it."""
        return self.variable.path

    @property
    def shape(self):
        """The weight's shape."""
        return tuple(self.variable.shape)

    @property
    def size(self):
        """How many weights there are."""
        return math.prod(self.shape)
