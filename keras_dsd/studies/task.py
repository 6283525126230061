"""A task: all that a process needs to know to make one run of a study.

Travels between processes and machines as bytes. Knows functions and their names.
"""

import dataclasses
import functools
import importlib
import inspect
import zlib
from typing import Any

import cloudpickle

from keras_dsd.studies.methods import Method


@dataclasses.dataclass(frozen=True)
class Task:
    """One run: a method, a seed, and what all runs of the study share.

    Args:
        build: function without arguments, or "module:function", that returns a model.
        data: the same, that returns train, validation and test data.
        compile: function of the model that compiles it, or `None`: `build` did.
        fit: dict of arguments of `fit`.
        method: a `Method`.
        name: of the method.
        seed: integer.
        epochs: of the run.
        metric: name of the metric that chooses the best epoch, or `None`: the first
            metric that is not the loss.
        mode: "min", "max" or "auto", for `metric`.
        last: how many last epochs are averaged.
        robustness: dict of arguments of `robustness.evaluate`, or `None`.
        directory: the study's folder, for what an unfinished run leaves.
    """

    build: Any
    data: Any
    compile: Any
    fit: dict
    method: Method
    name: str
    seed: int
    epochs: int
    metric: str | None
    mode: str
    last: int
    robustness: dict | None
    directory: str

    def timed(self):
        """Returns the task of a look that times an epoch: none are to be trained."""
        return dataclasses.replace(self, epochs=0)

    def to_bytes(self):
        """Returns the task as bytes; functions of a script or a notebook by value."""
        return cloudpickle.dumps(self)

    @staticmethod
    def from_bytes(data):
        """Returns the task that `to_bytes` wrote."""
        return cloudpickle.loads(data)


def function(value, name):
    """Returns the function that a user gave, or named as "module:function".

    Raises:
        TypeError, ValueError: it is neither, or there is none of that name.
    """
    if callable(value):
        return value
    if not isinstance(value, str) or value.count(":") != 1:
        raise TypeError(
            f'`{name}` must be a function or "module:function". '
            f"Received: {name}={value!r}"
        )
    module, attribute = value.split(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"`{name}` is not to be found ({error}). Received: {name}={value!r}"
        ) from error
    if not callable(found):
        raise TypeError(f"`{name}` is no function. Received: {name}={value!r}")
    return found


def identity(value):
    """Returns what tells a function from another one: its name and its source's hash.

    Without a source (typed into an interpreter, say) its compiled code stands for it.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, functools.partial):
        given = (identity(value.func), value.args, sorted(value.keywords.items()))
        return f"partial#{zlib.crc32(repr(given).encode()):08x}"
    try:
        source = inspect.getsource(value).encode()
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        source = code.co_code + repr(code.co_consts).encode() if code else b""
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{name}#{zlib.crc32(source):08x}"
