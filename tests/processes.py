"""Python programs in a process of their own, where nothing has been imported yet."""

import os
import pathlib
import subprocess
import sys

import keras

import keras_dsd

REPOSITORY = pathlib.Path(keras_dsd.__file__).parents[1]


def run(program, *, check=True):
    """Runs a program from the repository's folder, on the backend of the tests.

    Args:
        program: source text.
        check: whether another exit status than 0 is an error, which shows what the
            program wrote. Defaults to True.

    Returns:
        The `subprocess.CompletedProcess`, its output as text.
    """
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        cwd=REPOSITORY,
        timeout=300,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done
