"""Keeps TensorFlow's own log off the screen while the command runs.

A program that imports the package keeps whatever log it has.
"""

import contextlib
import importlib
import importlib.util
import os
import tempfile

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_keras(*others):
    """Imports Keras, and whatever backend it has, without the backend's chatter.

    Unless the user has chosen the log's level, it is set, for processes that the
    command starts too, and hides what comes before it: TensorFlow writes some lines,
    whatever the level, to the file descriptor itself. They are shown after all if the
    import fails.

    Args:
        *others: modules to import likewise, where they are installed.
    """
    names = ["keras", *(name for name in others if importlib.util.find_spec(name))]
    if LEVEL in os.environ:
        screen: contextlib.AbstractContextManager = contextlib.nullcontext()
    else:
        os.environ[LEVEL] = "3"
        screen = _hidden_screen()
    with screen:
        for name in names:
            importlib.import_module(name)


@contextlib.contextmanager
def _hidden_screen():
    try:
        screen = os.dup(2)
    except OSError:  # closed: there is nothing to hide it from
        yield
        return
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
