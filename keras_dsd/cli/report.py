"""`keras-dsd report`: what a study found, from the files in its folder."""

import argparse

from keras_dsd._shared import extras
from keras_dsd.cli import exits, quiet


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "report",
        help="what a study found, from the files in its folder",
        description="Prints tables and verdicts of a study, finished or not, and "
        "writes them to files.",
        epilog="examples:\n"
        "  keras-dsd report result\n"
        "  keras-dsd report result --plot result.png --against conventional",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIRECTORY", help="the study's folder")
    parser.add_argument("--markdown", metavar="FILE", help="write tables and verdicts")
    parser.add_argument("--csv", metavar="FILE", help="write the table's numbers")
    parser.add_argument("--json", metavar="FILE", help="write all, the runs too")
    parser.add_argument("--plot", metavar="FILE", help="draw it, say as .png")
    group = parser.add_argument_group("further verdicts")
    group.add_argument("--against", help="compare with this method")
    group.add_argument("--metric", help="of the model, or corrupted, or seconds")
    group.add_argument(
        "--when", help="last, best or mean_of_last epoch (default: last)"
    )
    group.add_argument(
        "--margin", type=float, help="difference within which methods are the same"
    )
    parser.set_defaults(run=lambda args: _run(parser, args))


def _run(parser, args):
    extras.require("studies")
    quiet.import_keras()
    from keras_dsd import studies

    wanted = {
        name: getattr(args, name)
        for name in ("against", "metric", "when", "margin")
        if getattr(args, name) is not None
    }
    with exits.refusing(parser):
        result = studies.Result(args.directory)
        said = [str(result)]
        if wanted:
            found = result.verdicts(**{"part": _part(wanted), **wanted})
            said += ["", *(verdict.text for verdict in found.values())]
        for name in ("markdown", "csv", "json"):
            if getattr(args, name):
                getattr(result, f"to_{name}")(getattr(args, name))
        if args.plot:
            result.plot().savefig(args.plot)
    print("\n".join(said))
    return exits.OK


def _part(wanted):
    return "validation" if wanted.get("when") == "mean_of_last" else "test"
