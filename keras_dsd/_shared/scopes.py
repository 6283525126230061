"""The name scopes of a path: what is made in them has the names that belong there."""

import contextlib

import keras


@contextlib.contextmanager
def of(path):
    """Opens the scopes of a path such as "model/dense"; none for an empty one."""
    with contextlib.ExitStack() as stack:
        for scope in filter(None, path.split("/")):
            stack.enter_context(keras.name_scope(scope))
        yield
