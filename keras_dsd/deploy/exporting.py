"""`export(model, path)`: a file that is there only if it does what the model does.

Knows plain and prunable models; the order in which things are checked.
"""

import copy
import errno
import os
import pathlib

import keras
import numpy as np

from keras_dsd._shared import checks, extras, files
from keras_dsd.deploy import formats, proof
from keras_dsd.deploy import inputs as model_inputs
from keras_dsd.deploy.export_record import ExportError
from keras_dsd.layers import conversion

# What an operating system says where a disk, or a user's share of it, is full.
FULL = {os.strerror(code): code for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)}


# Each an option that a user names.
def export(  # noqa: PLR0913
    model,
    path,
    *,
    format="saved_model",
    inputs=None,
    tolerance=None,
    sparse=False,
    overwrite=False,
    **options,
):
    """Writes a model for the program that will run it, and proves that it runs there.

    The file is written beside `path`, loaded by the runtime it is for in a process that
    can import neither Keras nor keras_dsd, called with inputs in batches of several
    sizes, and takes its place only if all outputs are the model's. The model is not
    changed; one that is still prunable is copied, and the copy stripped.

    | format | written by | read by | install |
    |---|---|---|---|
    | `"saved_model"` | Keras, on TensorFlow and JAX | TensorFlow | |
    | `"keras"`, `"weights"` | Keras | Keras | |
    | `"litert"` | TensorFlow's converter | LiteRT's interpreter | `litert` |
    | `"onnx"` | tf2onnx | ONNX Runtime | `onnx` |

    On JAX and PyTorch the last two are converted from a `.keras` file in a process that
    has the TensorFlow backend.

    Args:
        model: a built `keras.Model`.
        path: where the file goes, a folder for a SavedModel. Its ending must be the
            format's: `.keras`, `.weights.h5`, `.tflite`, `.onnx`.
        format: one of the names above. Defaults to `"saved_model"`.
        inputs: what to compare on: an array, or a list or dict of arrays as the model
            takes them; items of up to two batches, of 1 and 3, are used. Defaults to
            `None`: numbers are drawn, from a normal distribution or, for integers, 0
            and 1. Real data show more.
        tolerance: the largest absolute difference of an output that is allowed, as a
            fraction of the largest output. Defaults to `None`: 2e-5, or 2e-2 where
            the model computes in half precision. Weights in files that Keras and
            TensorFlow read have to be equal to the bit whatever it is.
        sparse: export a model in which masks are in force, sparse as it is. To LiteRT
            blocks of zeros are then stored as such. Defaults to `False`: refused.
        overwrite: replace what is at `path`, once the new file is proved. Defaults to
            `False`: refused.
        **options: further arguments of Keras's `model.export` or `model.save`, say
            `input_signature`.

    Returns:
        An `Export`: prints as a table; `to_dict`, `to_json`.

    Raises:
        TypeError, ValueError: wrong arguments, a weight that is not finite, masks in
            force; before anything is written.
        ExportError: the file can't be run, or computes something else. Nothing is
            left at `path`, or what was there before.
        ImportError: the runtime is not installed; says what to install.
        OSError: it can't be written, say to a full disk; nothing is left behind.

    Example:

    >>> import keras, keras_dsd, tempfile
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = keras_dsd.deploy.export(
    ...         model, folder + "/model.keras", format="keras")
    >>> found.equal, found.weights, found.weights_equal
    (True, 36, True)
    """
    chosen = checks.known(format, "format", formats.FORMATS)
    checks.boolean(sparse, "sparse")
    checks.boolean(overwrite, "overwrite")
    if tolerance is not None:
        checks.not_negative(tolerance, "tolerance")
    path = _free(path, chosen, overwrite)
    _check_backend(format, chosen)
    plain = _plain(model, sparse)
    _check_weights(plain)
    calls = _inputs(plain, inputs, options)
    if sparse and format == "litert":
        options = {**options, "blocks": True}
    with files.replacing(path) as new:
        _write(chosen, plain, new, options, calls[0])
        return proof.prove(plain, path, new, format, calls, tolerance)


def _free(path, chosen, overwrite):
    name = files.name_of(path)
    if chosen.ending and not name.endswith(chosen.ending):
        raise ValueError(
            f"`path` must end in {chosen.ending!r} for this format. "
            f"Received: path={name!r}"
        )
    path = pathlib.Path(os.path.realpath(name))
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(
            "`path` must lie in a folder that exists and can be written. "
            f"Received: path={name!r}"
        )
    if path.exists() and not overwrite:
        raise ValueError(
            "There is something at `path`: pass `overwrite=True` to replace it. "
            f"Received: path={name!r}"
        )
    if path.exists() and path.is_dir() != (not chosen.ending):
        kind = "file" if chosen.ending else "folder"
        raise ValueError(
            f"`path` must be a {kind} for this format. Received: path={name!r}"
        )
    return path


def _check_backend(format, chosen):
    backend = keras.backend.backend()
    if backend not in chosen.backends:
        raise ValueError(
            f"Keras writes {format!r} on {', '.join(chosen.backends)} only: save the "
            "model as a .keras file and load it there, or choose 'onnx' or 'litert'. "
            f"Received: format={format!r} on the {backend} backend"
        )
    if chosen.extra:
        extras.require(chosen.extra, needed_by=f"an export to {format!r}")


def _plain(model, sparse):
    """Returns a plain model with the same weights: the model, or a stripped copy."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a `keras.Model`. Received: model={model!r}")
    states = conversion.states(model)
    if not states:
        return model
    held = [state for state in states if state.built and state.in_force]
    if held and not sparse:
        raise ValueError(
            "Masks are in force: the model is in a sparse phase. Train it to the end "
            "of its phases, or pass `sparse=True` to export it as sparse as it is. "
            f"Received: {len(held)} layers with masks in force"
        )
    try:
        return conversion.strip(copy.deepcopy(model))
    except Exception as error:
        raise ValueError(
            "The model is still prunable and Keras can't copy it: call `strip(model)` "
            f"before. Received: {error}"
        ) from error


def _check_weights(model):
    if not model.built:
        raise ValueError(f"The model is not built yet. Received: model={model!r}")
    for weight in model.weights:
        array = keras.ops.convert_to_numpy(weight.value)
        if (
            array.dtype.kind not in "iub"
            and not np.isfinite(array.astype("float64")).all()
        ):
            raise ValueError(
                "All weights must be finite, neither NaN nor infinite. "
                f"Received: weight {weight.path}"
            )


def _inputs(model, given, options):
    calls = model_inputs.of(model, given).batches(_sizes(model, options))
    try:
        for batch in calls:
            batch.call(model)
    except Exception as error:
        shapes = [array.shape for array in calls[0].flat()]
        raise ValueError(
            "The model can't be called with `inputs`. Received: arrays with shapes "
            f"{shapes} ({formats.last_line(str(error))})"
        ) from error
    return calls


def _sizes(model, options):
    """Returns the sizes of batches that the signature takes."""
    wanted = keras.tree.flatten(options.get("input_signature", [])) or (
        getattr(model, "inputs", None) or []
    )
    fixed = {tensor.shape[0] for tensor in wanted} - {None}
    return sorted(fixed) if fixed else model_inputs.BATCH_SIZES


def _write(chosen, model, path, options, batch):
    try:
        chosen.write(model, path, options, batch)
    except Exception as error:
        for text, code in FULL.items():
            if text in str(error):  # TensorFlow's and HDF5's errors are of no such kind
                raise OSError(code, text, str(path)) from error
        if isinstance(error, (OSError, MemoryError)):
            raise  # the machine, not the model
        raise ExportError(
            f"The model can't be written in this format. Received: {error}"
        ) from error
