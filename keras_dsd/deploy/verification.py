"""Runs a file in its own runtime, and compares what it computes and what it holds.

Knows plain models and files; nothing of masks.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import h5py
import keras
import numpy as np

from keras_dsd.deploy import formats, inputs, runtime
from keras_dsd.deploy.export_record import ExportError


def read(kind, path, batches=()):
    """Runs a file in its own runtime, in a process that has nothing else.

    Args:
        kind: key of `runtime.RUNTIMES`.
        path: of the file or folder.
        batches: list of `inputs.Inputs`. Defaults to none: it is described only.

    Returns:
        A tuple of the outputs, a list of lists of arrays, and the report, a dict.

    Raises:
        ExportError: the runtime can't read or run it.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, got = (os.path.join(folder, name) for name in ("in.npz", "out.npz"))
        inputs.save(batches, given)
        # Isolated (-P): files beside the program are no packages that it may import.
        program = [sys.executable, "-P", runtime.__file__]
        command = [*program, kind, str(path), given, got]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise ExportError(
                f"The program that reads {kind}, without Keras, can't run the file. "
                f"Received: {formats.last_line(done.stderr)}"
            )
        with np.load(got) as stored:
            found = dict(stored)
    report = json.loads(str(found.pop("report")))
    outputs: list = [[] for _ in batches]
    for key in sorted(found, key=lambda key: [int(part) for part in key.split("/")]):
        outputs[int(key.split("/")[0])].append(found[key])
    return outputs, report


def difference(expected, found):
    """Returns the largest absolute difference of two lists of arrays.

    Raises:
        ExportError: another number of arrays, or others in shape.
    """
    shapes = [[array.shape for array in arrays] for arrays in (expected, found)]
    if shapes[0] != shapes[1]:
        raise ExportError(
            f"The file's outputs must have the shapes {shapes[0]}. "
            f"Received: {shapes[1]}"
        )
    largest = 0.0
    for one, other in zip(expected, found, strict=True):
        if one.dtype.kind not in "fiub":
            largest = max(largest, float(np.any(one != other)))
            continue
        gap = np.abs(one.astype("float64") - other.astype("float64"))
        # NaN where both have it, and infinities, are equal; NaN else is not.
        gap = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0, gap)
        largest = max(largest, float(np.max(np.nan_to_num(gap, nan=np.inf), initial=0)))
    return largest


def scale(outputs):
    """Returns the largest finite absolute number in lists of arrays."""
    values = [
        np.abs(array[np.isfinite(array)]).max(initial=0)
        for arrays in outputs
        for array in arrays
        if array.dtype.kind in "fiub"
    ]
    return float(max(values, default=0))


def weights_by_keras(path, model):
    """Returns whether a `.keras` or `.weights.h5` file holds a model's weights.

    Raises:
        ExportError: something of this package is in the file.
    """
    path = pathlib.Path(path)
    if path.suffix != ".keras":
        with h5py.File(path) as file:
            return _holds(file, model)
    with zipfile.ZipFile(path) as archive:
        if b"keras_dsd" in archive.read("config.json"):
            raise ExportError(
                f"{path} would need keras_dsd to be loaded. Received: a model with "
                "objects of the package"
            )
        with archive.open("model.weights.h5") as content, h5py.File(content) as file:
            return _holds(file, model)


def _holds(file, model):
    # There is more in it: states of random generators.
    stored: collections.Counter = collections.Counter()
    file.visititems(
        lambda name, item: (
            stored.update([runtime.checksum(item[()])])
            if isinstance(item, h5py.Dataset)
            else None
        )
    )
    return not collections.Counter(sums(model)) - stored


def sums(model):
    """Returns the checksums of a model's weights, sorted."""
    return sorted(
        runtime.checksum(keras.ops.convert_to_numpy(variable.value))
        for variable in model.weights
    )


def milliseconds(model, batch):
    """Returns the median time of a call of the model with one batch."""
    arguments = batch.arguments
    x = arguments[0] if len(arguments) == 1 else arguments
    return runtime.milliseconds(model.predict_on_batch, x)
