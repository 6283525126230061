"""Weights as each phase left them, for the demo's picture and its exported model.

Knows Keras's callbacks and files.
"""

import itertools

import keras
import numpy as np

from keras_dsd._shared import files
from keras_dsd.studies.demo import problem


class PhaseEnds(keras.callbacks.Callback):
    """Saves the weights at the end of each phase, of the first run that has it.

    Args:
        folder: `pathlib.Path` for the files.
        plan: list of phases.
    """

    def __init__(self, folder, plan):
        super().__init__()
        ends = itertools.accumulate(phase.epochs for phase in plan)
        self.files = {
            end - 1: file_of(folder, type(phase).__name__)
            for end, phase in zip(ends, plan, strict=True)
        }

    def on_epoch_end(self, epoch, logs=None):
        """Saves them, if the phase is over."""
        file = self.files.get(epoch)
        if file is not None and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with files.replacing(file) as beside:
                self.model.save_weights(beside)


def file_of(folder, phase):
    """Returns the file with the weights at the end of a phase."""
    return folder / f"{phase}.weights.h5"


def model(folder, phase):
    """Returns a plain model with the weights at the end of a phase."""
    found = problem.network()
    found.load_weights(file_of(folder, phase))
    return found


def kernels(folder, phase):
    """Returns {path: array} of all kernels at the end of a phase."""
    return {
        weight.path: np.array(keras.ops.convert_to_numpy(weight))
        for weight in model(folder, phase).trainable_variables
        if len(weight.shape) >= 2
    }
