"""How a command ends: its exit status, and one line where something is wrong."""

import contextlib

OK = 0
MISSING = 1  # packages that the command needs
REFUSED = 1  # what was to be written would not do what it should
WRONG = 2  # an argument, or a file that it names; `argparse` has the same
FAILED = 3  # some runs of a study have no result
INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended
BROKEN_PIPE = 141  # and for one whose output nobody reads any more


@contextlib.contextmanager
def refusing(parser, *errors):
    """Ends the process, with one line and status 2, where an error is the user's.

    The usage, which `parser.error` prints, would not help with a wrong file.

    Args:
        parser: the command's `ArgumentParser`.
        *errors: further kinds of error than those of wrong values and files.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, TypeError, ValueError, *errors) as error:
        # One line: what a child process printed, say, comes after the first.
        first = (str(error).splitlines() or [type(error).__name__])[0]
        parser.exit(WRONG, f"{parser.prog}: error: {first}\n")
