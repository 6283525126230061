"""A study as a file: the arguments of `studies.compare` in TOML or YAML, or a function.

Knows files, names and arguments; starts nothing.
"""

import inspect
import pathlib
import sys

from keras_dsd._shared import table_files
from keras_dsd.studies import methods, task
from keras_dsd.training import phases

# Of `compare`, which `tune` hands on.
OTHERS = ["compile", "fit", "metric", "mode", "last", "robustness", "threads"]


def load(name, function):
    """Returns the arguments of `studies.compare`, or `tune`, that a file or a function
    names.

    Modules beside the file can be imported, here and in the study's runs; a relative
    `directory` is beside the file too.

    Args:
        name: path of a TOML or YAML file, or "module:function" of a function (or dict)
            without arguments that returns them.
        function: `compare` or `tune`, for which they are.

    Raises:
        OSError: the file can't be read.
        TypeError, ValueError: it does not hold what that takes.
    """
    if pathlib.Path(name).suffix in table_files.SUFFIXES:
        path = pathlib.Path(name).absolute()
        given = table_files.read(path, "Not a study")
        sys.path.insert(0, str(path.parent))
        base = path.parent
    elif ":" in name:
        sys.path.insert(0, str(pathlib.Path.cwd()))
        given = _called(name)
        base = pathlib.Path.cwd()
    else:
        endings = ", ".join(table_files.SUFFIXES)
        raise ValueError(
            f"A study is a file ({endings}) or module:function. Received: {name}"
        )
    if not isinstance(given, dict):
        raise TypeError(f"A study is a table of arguments. Received: {given!r}")
    _check_keys(given, function)
    arguments = dict(given)
    seeds = arguments.get("seeds")
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        arguments["seeds"] = list(range(seeds))
    if isinstance(arguments.get("methods"), dict):
        arguments["methods"] = {
            method: _method(method, value, arguments["epochs"])
            for method, value in arguments["methods"].items()
        }
    arguments["directory"] = base / arguments["directory"]
    return arguments


def _called(name):
    module, _, attribute = name.partition(":")
    found = getattr(sys.modules.get(module), attribute, None)
    if isinstance(found, dict):
        return found
    return task.function(name, "study")()


def _check_keys(given, function):
    parameters = inspect.signature(function).parameters.values()
    named = [one for one in parameters if one.kind is not one.VAR_KEYWORD]
    taken = [one.name for one in named if one.name != "verbose"]
    if len(named) < len(parameters):
        taken += OTHERS
    for key in given:
        if key not in taken:
            raise ValueError(f"A study takes {taken}. Received: {key}={given[key]!r}")
    for one in named:
        key = one.name
        if one.default is one.empty and key not in given:
            raise ValueError(f"The study lacks {key!r}. Received: {sorted(given)}")


def _method(name, value, epochs):
    """Returns a `Method` of its table in a file; what is none is handed on."""
    if not isinstance(value, dict):
        return value
    if "recipe" not in value:
        try:
            return methods.Method.from_config(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"Method {name!r}: {error}") from error
    own = ("track_gradients", "wrap", "average", "callbacks")
    rest = {key: value[key] for key in own if key in value}
    options = {key: value[key] for key in value if key not in (*own, "recipe")}
    try:
        plan = phases.recipe(value["recipe"], epochs, **options)
        rest.setdefault("track_gradients", methods.needs_gradients(plan))
        return methods.Method(phases=plan, **rest)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Method {name!r}: {error}") from error
