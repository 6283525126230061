"""The command `keras-dsd`: reads the command line and hands on to one command.

A command is one file here, in `COMMANDS`: its `add` describes its arguments and says
which function runs it. Nothing heavy is imported until a command runs, so that help and
a wrong command line are answered at once.
"""

import argparse
import os
import sys

from keras_dsd._shared import extras
from keras_dsd._version import __version__
from keras_dsd.cli import (
    audit,
    compare,
    demo,
    export,
    inspect,
    report,
    robustness,
    train,
    tune,
)
from keras_dsd.cli.exits import BROKEN_PIPE, INTERRUPTED, MISSING, WRONG

__all__ = [
    "main",
]

COMMANDS = (demo, train, compare, tune, report, inspect, export, audit, robustness)


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong; the usage, many lines long, is in the help."""

    def error(self, message):
        """Ends the process with status 2."""
        self.exit(WRONG, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv=None):
    """Runs the command.

    Args:
        argv: list of arguments, without the command's name. Defaults to `None`: those
            of the process.

    Returns:
        The exit status, one of those in `exits`.

    Raises:
        SystemExit: after `--help` and `--version`, and with status 2 if an argument, or
            a file that it names, is wrong.
    """
    parser = _Parser(
        prog="keras-dsd", description="Dense-Sparse-Dense training for Keras 3."
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(
        dest="command", metavar="command", required=True, title="commands"
    )
    for command in COMMANDS:
        command.add(subparsers)
    try:
        try:
            args = parser.parse_args(argv)
            return args.run(args)
        finally:
            sys.stdout.flush()  # help, too, may be piped to who does not read it
    except KeyboardInterrupt:
        print("keras-dsd: interrupted", file=sys.stderr)
        return INTERRUPTED
    except extras.MissingExtra as error:
        print(f"keras-dsd: {error}", file=sys.stderr)
        return MISSING
    except BrokenPipeError:
        # Whoever read the output, say `head`, has read enough. Python would still write
        # what it holds back when it ends, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
