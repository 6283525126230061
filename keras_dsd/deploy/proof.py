"""Proves one file: an `Export`, or an error. Knows plain models and formats."""

import collections
import gzip
import io
import os
import pathlib
import tarfile

import keras
import numpy as np

from keras_dsd.deploy import formats, verification
from keras_dsd.deploy.export_record import Export, ExportError

# Of the largest output: what runtimes differ by that add in another order. A model that
# computes in half precision has about three digits.
TOLERANCE = 2e-5
TOLERANCE_HALF = 2e-2


def prove(model, path, file, format, calls, tolerance):
    """Returns an `Export` of a file that does what a model does.

    Args:
        model: a plain `keras.Model`.
        path: where the file will go.
        file: where it is now.
        format: key of `formats.FORMATS`.
        calls: list of `inputs.Inputs`, of which the first has one item.
        tolerance: fraction of the largest output, or `None` for the default.

    Raises:
        ExportError: it can't be run, or computes something else.
    """
    runtime = formats.FORMATS[format].runtime
    if runtime is None:
        outputs, report = _by_keras(model, file, format, calls)
    else:
        outputs, report = verification.read(runtime, file, calls)
    expected = [batch.call(model) for batch in calls]
    gap = max(map(verification.difference, expected, outputs))
    allowed = _allowed(model, tolerance) * verification.scale(expected)
    if not gap <= allowed:
        raise ExportError(
            "The file computes something else than the model: its outputs differ by "
            f"up to {gap:.1e}, allowed are {allowed:.1e}. Nothing was written. "
            f"Received: format={format!r}, tolerance={tolerance!r}"
        )
    equal = _weights_equal(model, file, format, report)
    if equal is False:
        raise ExportError(
            "The file holds other weights than the model. Nothing was written. "
            f"Received: format={format!r}"
        )
    size, gzipped = _sizes(file)
    return Export(
        path=str(path),
        format=format,
        bytes=size,
        gzipped_bytes=gzipped,
        **_count(model),
        items=sum(len(batch.flat()[0]) for batch in calls),
        max_difference=gap,
        tolerance=allowed,
        weights_equal=equal,
        runtime=report["runtime"],
        milliseconds=report["milliseconds"],
        model_milliseconds=verification.milliseconds(model, calls[0]),
        inputs=report.get("inputs", {}),
        outputs=report.get("outputs", {}),
    )


def _by_keras(model, file, format, calls):
    """Returns outputs and a report of a file that Keras reads, here."""
    loaded = model
    if format == "keras":
        try:
            loaded = keras.models.load_model(file, compile=False)
        except Exception as error:
            raise ExportError(
                f"Keras can't load what it wrote. Received: {error}"
            ) from error
    return [batch.call(loaded) for batch in calls], {
        "runtime": f"Keras {keras.__version__} on {keras.backend.backend()}",
        "milliseconds": verification.milliseconds(loaded, calls[0]),
    }


def _weights_equal(model, file, format, report):
    if "weights" in report:
        stored = sorted(checksum for *_, checksum in report["weights"])
        return not _missing(verification.sums(model), stored)
    if formats.FORMATS[format].runtime is None:
        return verification.weights_by_keras(file, model)
    return None


def _missing(wanted, stored):
    return collections.Counter(wanted) - collections.Counter(stored)


def _allowed(model, tolerance):
    if tolerance is not None:
        return tolerance
    halves = ("float16", "bfloat16")
    dtypes = {model.compute_dtype, *(layer.compute_dtype for layer in model.layers)}
    return TOLERANCE_HALF if dtypes & {*halves} else TOLERANCE


def _sizes(path):
    """Returns the size in bytes, and that of the whole when compressed."""
    path = pathlib.Path(path)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(path, arcname="model")
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    size = sum(os.path.getsize(one) for one in files)
    return size, len(gzip.compress(packed.getvalue(), mtime=0))


def _count(model):
    values = [keras.ops.convert_to_numpy(weight.value) for weight in model.weights]
    return {
        "weights": sum(value.size for value in values),
        "zeros": sum(int(np.sum(value == 0)) for value in values),
    }
