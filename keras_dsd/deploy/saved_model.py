"""Exports a SavedModel: does plain TensorFlow run what was trained, and alike?

Knows plain models and arrays; nothing of masks.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile

import keras
import numpy as np

# Runs in a process of its own, in which neither Keras nor this package can be imported:
# TensorFlow imports Keras where it finds it, so that it is not needed must be enforced.
CHECK = """
import sys
sys.modules.update(keras=None, keras_dsd=None)
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(".")
outputs = model.serve(tf.constant(np.load(sys.argv[1])))
assert sys.modules["keras_dsd"] is sys.modules["keras"] is None
np.save(sys.argv[2], outputs.numpy())
"""


@dataclasses.dataclass(frozen=True)
class Exported:
    """What came of an export.

    Args:
        exported: whether there is a SavedModel.
        equal: whether its outputs are the original's to the bit; `None` without one.
        max_difference: the largest absolute difference of two outputs.
        text: the same in words.
    """

    exported: bool
    equal: bool | None
    max_difference: float | None
    text: str


def export(model, folder, x):
    """Exports a stripped model as a SavedModel and loads it with plain TensorFlow.

    Args:
        model: a plain `keras.Model`.
        folder: path for the SavedModel.
        x: array of inputs to compare the outputs on.

    Returns:
        An `Exported`.

    Raises:
        RuntimeError: plain TensorFlow can't load or run what was exported.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        text = "Not exported: Keras can't write a SavedModel on the torch backend."
        return Exported(exported=False, equal=None, max_difference=None, text=text)
    model.export(folder, verbose=False)
    expected = keras.ops.convert_to_numpy(model(x, training=False))
    difference = float(np.max(np.abs(expected - outputs_of(folder, x))))
    equal = difference == 0
    found = "equal, to the bit"
    if not equal:
        largest = np.max(np.abs(expected))
        found = f"not equal: they differ by up to {difference:.1e} of {largest:.1f}"
    text = (
        f"SavedModel: {folder}. Loaded by plain TensorFlow in a process that can "
        "import neither Keras nor keras_dsd; its outputs and the original's, on "
        f"{len(x)} inputs, are {found}."
    )
    return Exported(exported=True, equal=equal, max_difference=difference, text=text)


def outputs_of(folder, x):
    """Returns a SavedModel's outputs on `x`, from a process with TensorFlow only."""
    with tempfile.TemporaryDirectory() as scratch:
        inputs = os.path.join(scratch, "inputs.npy")
        outputs = os.path.join(scratch, "outputs.npy")
        np.save(inputs, x)
        done = subprocess.run(
            [sys.executable, "-c", CHECK, inputs, outputs],
            # Loaded as ".", for TensorFlow takes [] and * in a path for patterns.
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(
                "Plain TensorFlow could not run the exported model. Received: "
                f"{done.stderr.strip().splitlines()[-1]}"
            )
        return np.load(outputs)
