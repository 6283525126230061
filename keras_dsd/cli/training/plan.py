"""The phases that a user asked for on the command line. Knows names and files."""

import pathlib

import keras

from keras_dsd._shared import table_files
from keras_dsd.studies import spaces
from keras_dsd.training import phases


def of(settings):
    """Returns a list of phases, empty for conventional training.

    Args:
        settings: dict of the command's arguments, `phases` a list as `read` has it.

    Raises:
        TypeError, ValueError: an argument is wrong, or the phases are not as long as
            `epochs`.
    """
    epochs = settings["epochs"]
    if settings["dsd"] is not None:
        return phases.dsd(epochs, sparsity=settings["dsd"])
    if settings["recipe"] is not None:
        return phases.recipe(settings["recipe"], epochs)
    for method in spaces.MOVING:
        if settings[method] is not None:
            return phases.dst(epochs, method=method, sparsity=settings[method])
    if settings["phases"] is None:
        return []
    plan = [_phase(one) for one in settings["phases"]]
    total = sum(phase.epochs for phase in plan)
    if total != epochs:
        raise ValueError(
            f"The phases must have --epochs {epochs} together. Received: {total}"
        )
    return plan


def read(given):
    """Returns the list of tables that `--phases` names, or that is given already.

    Raises:
        OSError, ValueError: the file can't be read, or holds no such list.
    """
    if given is None:
        return None
    found = given
    if not isinstance(given, list):
        found = table_files.read(pathlib.Path(given), "No list of phases")
    listed = found.get("phases") if isinstance(found, dict) else found
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"The file must hold a list `phases`. Received: {given}")
    return listed


def _phase(config):
    """Returns a phase of its table: Keras's own config, or its name and arguments."""
    known = {"Dense": phases.Dense, "Sparse": phases.Sparse, "Redense": phases.Redense}
    if isinstance(config, dict) and "class_name" in config:
        return keras.saving.deserialize_keras_object(config)
    if not isinstance(config, dict) or config.get("phase") not in known:
        raise ValueError(
            f"A phase is a table with `phase`, one of {sorted(known)}, and its "
            f"arguments. Received: {config!r}"
        )
    arguments = {key: value for key, value in config.items() if key != "phase"}
    return known[config["phase"]](**arguments)
