"""`--json`, which every command has: its results as JSON, for other programs.

Imports the standard library only.
"""

import contextlib
import sys


def add(parser):
    """Adds the argument to a command's parser, or to a group of it."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the results as JSON; all else goes to the screen of errors",
    )


def apart(wanted):
    """Returns a context in which what is printed does not mix with JSON.

    Args:
        wanted: whether JSON is.
    """
    if wanted:
        return contextlib.redirect_stdout(sys.stderr)
    return contextlib.nullcontext()
