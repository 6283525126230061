"""The formats of exports: who writes them, and which runtime proves them.

Knows plain models and Keras's own `export` and `save`.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable

import keras

from keras_dsd._shared import keras_private
from keras_dsd.deploy import inputs as model_inputs
from keras_dsd.deploy import onnx_operations


@dataclasses.dataclass(frozen=True)
class Format:
    """One format.

    Args:
        ending: of its files; empty for a folder.
        write: function of (model, path, options, batch): a batch it can be called with.
        extra: what to install, or `None` if nothing is needed.
        runtime: key of `runtime.RUNTIMES`, or `None`: Keras reads it.
        backends: those on which Keras writes it.
    """

    ending: str
    write: Callable
    extra: str | None = None
    runtime: str | None = None
    backends: tuple[str, ...] = ("tensorflow", "jax", "torch")


def _saved_model(model, path, options, batch):
    model.export(path, format="tf_saved_model", verbose=False, **options)


def _keras(model, path, options, batch):
    model.save(path, include_optimizer=False, **options)


def _weights(model, path, options, batch):
    model.save_weights(path, **options)


def _converted(name):
    """Returns a function that writes a format of TensorFlow's converters.

    On other backends a process with that backend does, from a `.keras` file: Keras has
    no way from JAX to LiteRT, and one way for all means one kind of file. It may also
    trace a model anew, which finds the constants that an ONNX file lacks.
    """

    def write(model, path, options, batch):
        if keras.backend.backend() == "tensorflow" and not options.get("blocks"):
            if name == "onnx":
                onnx_operations.add()
            with warnings.catch_warnings():
                # Of NumPy, in what Keras does for older versions of `tf2onnx`.
                warnings.simplefilter("ignore", FutureWarning)
                model.export(path, format=name, verbose=False, **options)
            count = len(batch.flat())
            if name != "onnx" or not onnx_operations.constants(path, count):
                return
        _in_another_process(model, path, name, options, batch)

    return write


def _in_another_process(model, path, name, options, batch):
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "model.keras")
        model.save(file, include_optimizer=False)
        sample = os.path.join(folder, "sample.npz")
        model_inputs.save([batch], sample)
        modules = json.dumps(_modules(model, name))
        command = [file, str(path), name, json.dumps(options), modules, sample]
        done = subprocess.run(
            [sys.executable, "-m", "keras_dsd.deploy.converter", *command],
            env={**os.environ, "KERAS_BACKEND": "tensorflow"}
            | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(
            f"The converter to {name} failed, in a process of its own with the "
            f"TensorFlow backend. Received: {last_line(done.stderr)}"
        )


def _modules(model, name):
    """Returns the modules of a model's own classes, which the process has to import."""
    parts = {type(layer) for layer in keras_private.sublayers(model)}
    own = {part for part in parts if not part.__module__.startswith("keras.")}
    lost = sorted(part.__name__ for part in own if part.__module__ == "__main__")
    if lost:
        raise ValueError(
            f"The converter to {name} runs in a process of its own, which can import "
            "classes from modules alone. Put them into a module. Received: "
            f"{', '.join(lost)} of the program itself"
        )
    return sorted({part.__module__ for part in own})


def last_line(text):
    """Returns the last line of a program's errors that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"


FORMATS = {
    "saved_model": Format(
        ending="",
        write=_saved_model,
        runtime="saved_model",
        backends=("tensorflow", "jax"),
    ),
    "keras": Format(ending=".keras", write=_keras),
    "weights": Format(ending=".weights.h5", write=_weights),
    "litert": Format(
        ending=".tflite", write=_converted("litert"), extra="litert", runtime="litert"
    ),
    "onnx": Format(
        ending=".onnx", write=_converted("onnx"), extra="onnx", runtime="onnx"
    ),
}


def of_path(path):
    """Returns the name of the format of a file that is there.

    Raises:
        ValueError: no known format.
    """
    path = pathlib.Path(path)
    if (path / "saved_model.pb").is_file():
        return "saved_model"
    for name, one in FORMATS.items():
        if one.ending and path.is_file() and path.name.endswith(one.ending):
            return name
    raise ValueError(
        "`path` must be a SavedModel's folder, or a file that ends in one of "
        f"{[one.ending for one in FORMATS.values() if one.ending]}. "
        f"Received: path={str(path)!r}"
    )
