"""Keeps TensorFlow's own log off the screen when this package is run as a command.

Runs before Keras is imported, so it imports the standard library only. A program that
imports the package keeps whatever log it has.
"""

import contextlib
import os
import pathlib
import sys
import tempfile


def is_command():
    """Returns whether the process is `keras-dsd` or `python -m keras_dsd`."""
    # While Python imports a package for `-m`, the program's name is still "-m".
    return pathlib.Path(sys.argv[0]).stem in ("-m", "keras-dsd")


@contextlib.contextmanager
def import_of_keras():
    """Sets the log's level, unless the user did, and hides what comes before it.

    TensorFlow writes some lines, whatever the level, to the file descriptor itself.
    They are shown after all if the import fails.
    """
    if not is_command() or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
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
