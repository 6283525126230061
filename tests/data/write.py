"""Writes the files beside it: a model in the middle of a sparse phase, its outputs.

Run from the repository's root by `python -m tests.data.write`, once for a release: the
files stand for those that users of that release have, so they are not written anew.
"""

import pathlib

import keras
import numpy as np

import keras_dsd as dsd
from tests import helpers

FOLDER = pathlib.Path(__file__).parent
NAME = "in_a_sparse_phase_0"  # and the number of the file's format


def phases():
    """Returns the plan that the model is in the third of six epochs of."""
    return [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(4, sparsity=0.5, regrowth="rigl", update_every=3),
        dsd.phases.Redense(1, restore="rewind"),
    ]


def model():
    """Returns the model, wrapped and compiled."""
    keras.utils.set_random_seed(0)
    found = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, activation="relu", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            dsd.Prunable(
                keras.layers.Dense(8, name="own"), sparsity=0.25, track_gradients=True
            ),
            keras.layers.Dense(4),
        ]
    )
    dsd.make_prunable(found, track_gradients=True)
    found.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    return found


def main():
    """Trains three epochs and writes both files."""
    trained = model()
    x, y = helpers.data()
    callback = dsd.DSDCallback(phases(), verbose=0)
    # Stopped by a callback, as a run that goes on later is.
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(trained, "stop_training", epoch == 2)
    )
    trained.fit(x, y, epochs=6, batch_size=16, verbose=0, callbacks=[callback, stop])
    trained.save(FOLDER / f"{NAME}.keras")
    masks = {
        f"mask_{number}": mask for number, mask in enumerate(helpers.masks_of(trained))
    }
    outputs = keras.ops.convert_to_numpy(trained(x, training=False))
    np.savez_compressed(FOLDER / f"{NAME}.npz", outputs=outputs, **masks)


if __name__ == "__main__":
    main()
