"""Keeps TensorFlow's own log off the screen while the command runs.

A program that imports the package keeps whatever log it has.
"""

import contextlib
import importlib
import os
import sys
import tempfile

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_keras():
    """Imports Keras, and whatever backend it has, without the backend's chatter.

    Unless the user has chosen the log's level, it is set, for processes that the
    command starts too, and hides what comes before it: TensorFlow writes some lines,
    whatever the level, to the file descriptor itself. They are shown after all if the
    import fails.
    """
    if LEVEL in os.environ:
        importlib.import_module("keras")
        return
    os.environ[LEVEL] = "3"
    if "keras" not in sys.modules:
        with _hidden_screen():
            importlib.import_module("keras")


@contextlib.contextmanager
def _hidden_screen():
    screen = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            hidden.seek(0)
            os.write(screen, hidden.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
