"""A model's file as an argument of a command: its classes imported, then loaded."""

import importlib
import sys


def add_import(parser):
    """Adds the option that names modules of a model's own classes."""
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module that registers the model's own classes; may be repeated",
    )


def load(path, modules):
    """Returns the model of a `.keras` file, not compiled; imports Keras."""
    import keras

    sys.path.insert(0, "")  # for modules beside the user
    for module in modules:
        importlib.import_module(module)
    return keras.models.load_model(path, compile=False)
