"""What is measured of a trained model: metrics, classes, size, latency, memory.

Knows models and data; knows no method.
"""

import base64
import gzip
import hashlib
import pathlib
import platform
import resource
import statistics
import sys
import tempfile
import time

import keras
import numpy as np

from keras_dsd._version import __version__
from keras_dsd.studies import batches

LATENCY_CALLS = 30
ACCURACIES = ("acc", "accuracy")


def metrics(model, data, batch_size):
    """Returns {part: {metric: number}} of all data."""
    return {
        part: {
            name: float(value)
            for name, value in model.evaluate(
                _inputs(value, batch_size), verbose=0, return_dict=True
            ).items()
        }
        for part, value in data.items()
        if value is not None
    }


def mean_of_last(epochs, count):
    """Returns the mean of each key of the logs over the last epochs."""
    last = [epoch["logs"] for epoch in epochs[-count:]]
    keys = set.intersection(*(set(logs) for logs in last)) if last else set()
    return {
        "epochs": len(last),
        **{key: statistics.fmean(logs[key] for logs in last) for key in sorted(keys)},
    }


def resolution(metric, test):
    """Returns the smallest step of a metric: one test item of an accuracy, else 0."""
    if not metric.lower().endswith(ACCURACIES) or not isinstance(test, tuple):
        return 0.0
    return 1 / batches.count(test)


def digest(variables):
    """Returns a hash of the values of variables."""
    found = hashlib.sha256()
    for variable in variables:
        array = keras.ops.convert_to_numpy(variable.value)
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def classes(model, test, batch_size):
    """Returns accuracy by class, and the class predicted for each test item.

    `None` unless the data are arrays, labels are integers or one-hot, and the model has
    one output of scores by class.
    """
    if not isinstance(test, tuple) or len(test) < 2 or not hasattr(test[1], "shape"):
        return None
    labels = np.asarray(test[1])
    scores = model.predict(_inputs((test[0],), batch_size), verbose=0)
    if not isinstance(scores, np.ndarray) or scores.ndim != 2 or scores.shape[1] < 2:
        return None
    if labels.shape == scores.shape:
        labels = labels.argmax(axis=1)
    labels = labels.reshape(len(labels), -1)[:, 0]
    if not np.array_equal(labels, labels.astype(int)):
        return None
    predicted = scores.argmax(axis=1)
    return {
        "accuracy": {
            str(int(label)): float(np.mean(predicted[labels == label] == label))
            for label in np.unique(labels)
        },
        "counts": {
            str(int(label)): int(np.sum(labels == label)) for label in np.unique(labels)
        },
        "predicted": pack(predicted),
    }


def pack(numbers):
    """Returns integers as text: uint16, gzip, base64.

    >>> from keras_dsd.studies import measuring
    >>> measuring.unpack(measuring.pack([3, 1, 2])).tolist()
    [3, 1, 2]
    """
    raw = np.asarray(numbers, "<u2").tobytes()
    return base64.b64encode(gzip.compress(raw, mtime=0)).decode()


def unpack(text):
    """Returns the integers that `pack` wrote."""
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), "<u2")


def deployed(plain, test):
    """Returns what a model costs where it is used: weights, file, time for one item."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "model.keras"
        plain.save(file, include_optimizer=False)
        size = file.stat().st_size
    values = [keras.ops.convert_to_numpy(weight) for weight in plain.weights]
    return {
        "parameters": int(sum(value.size for value in values)),
        "zeros": int(sum(np.sum(value == 0) for value in values)),
        "file_bytes": size,
        "latency_seconds": _latency(plain, test),
    }


def _latency(plain, test):
    if isinstance(test, tuple):
        one = keras.tree.map_structure(lambda array: array[:1], test[0])
    else:
        first = next(iter(test))
        one = keras.tree.map_structure(
            lambda array: keras.ops.convert_to_numpy(array)[:1], first[0]
        )
    times = []
    for _ in range(LATENCY_CALLS):
        start = time.perf_counter()
        plain.predict_on_batch(one)
        times.append(time.perf_counter() - start)
    return statistics.median(times[LATENCY_CALLS // 3 :])


def robustness(model, test, arguments):
    """Returns the report of `robustness.evaluate` as a dict, `None` if not wanted."""
    if arguments is None:
        return None
    from keras_dsd import robustness as corrupted

    report = corrupted.evaluate(model, *test[:2], progress=False, **arguments)
    return {"robust": report.robust, "report": report.to_dict()}


def machine():
    """Returns what the run was made with."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "peak_memory_bytes": kilobytes * (1 if sys.platform == "darwin" else 1024),
        "backend": keras.backend.backend(),
        "platform": platform.platform(),
        "versions": {
            "python": platform.python_version(),
            "keras-dsd": __version__,
            "keras": keras.__version__,
            keras.backend.backend(): sys.modules[keras.backend.backend()].__version__,
        },
    }


def _inputs(data, batch_size):
    return batches.in_order(data, batch_size) if isinstance(data, tuple) else data
