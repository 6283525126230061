"""Optimizers as training finds them: built in the first batch, or never used.

Knows optimizers; knows no masks and no training loop.
"""

import warnings

import numpy as np
from keras import ops

from keras_dsd.optimizers import model_optimizers, slots


class OptimizerWatch:
    """Watches the optimizers of one run.

    Args:
        optimizers: {name: optimizer}.
    """

    def __init__(self, optimizers):
        self._optimizers = optimizers
        self._unbuilt = [one for one in optimizers.values() if not one.built]
        self._before = None  # their counts as the run began
        self._is_over = False  # the run's first epoch is

    @property
    def has_new(self):
        """Whether one was built since `meet`: then it is known what it trains."""
        return any(one.built for one in self._unbuilt)

    def meet(self):
        """Takes note of what was built; returns whether anything was."""
        has_new = self.has_new
        self._unbuilt = [one for one in self._unbuilt if not one.built]
        return has_new

    def begin_epoch(self):
        """Remembers how far the optimizers were as the run began."""
        if self._before is None:
            self._before = self._counts()

    def end_epoch(self, batches):
        """Warns if no optimizer has made a step in the run's first epoch.

        Args:
            batches: how many the epoch had.
        """
        if self._is_over or not batches:
            return
        self._is_over = True
        if self._before != self._counts():
            return
        known = model_optimizers.described(self._optimizers)
        warnings.warn(
            "No optimizer that `DSDCallback` knows has made a step in the first epoch: "
            f"{known}. What else trains the model is not tended: it trains with its "
            "own learning rate whatever `lr_factor` says, and keeps momenta of pruned "
            "weights. Make Keras optimizers attributes of the model, or pass "
            "`DSDCallback(..., optimizers=[...])`.",
            stacklevel=2,
        )

    def _counts(self):
        """Returns what changes with every step, also one that is put off or skipped.

        Several batches may make one step, and a loss scale may be too large for some.
        """
        found = [
            *self._optimizers.values(),
            *slots.leaves([*self._optimizers.values()]),
        ]
        return [
            np.array(ops.convert_to_numpy(variable)).item()
            for optimizer in found
            for variable in optimizer.variables
            if variable.shape == () and variable.name != "learning_rate"
        ]
