"""`keras-dsd compare`: methods against each other over seeds, as a file says."""

import argparse

from keras_dsd._shared import extras
from keras_dsd.cli import as_json, exits, quiet


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "compare",
        help="train methods against each other over seeds, and say what that shows",
        description="Trains each method with each seed, each run in a process of its "
        "own, and prints what that allows to conclude. The same command goes on with a "
        "study that was stopped.",
        epilog="examples:\n"
        "  keras-dsd compare examples/digits_study/study.toml --dry-run\n"
        "  keras-dsd compare mine:study --workers 4",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "study",
        metavar="STUDY",
        help="a .toml or .yaml file with the arguments of `studies.compare`, or "
        "module:function that returns them",
    )
    parser.add_argument(
        "--workers", type=int, help="how many runs at once (default: as STUDY says)"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the runs and the time they will take, and train two epochs only",
    )
    as_json.add(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _run(parser, args):
    extras.require("studies")
    # Keras asks TensorFlow, where it is installed, when it writes configs.
    quiet.import_keras("tensorflow")
    from keras_dsd import studies
    from keras_dsd.studies import planning, study_file

    with exits.refusing(parser):
        arguments = study_file.load(args.study, studies.compare)
        if args.workers is not None:
            arguments["workers"] = args.workers
        if args.dry_run:
            found = planning.plan(**arguments)
            print(found.to_json() if args.json else "\n".join(found.lines()))
            return exits.OK
        with as_json.apart(args.json):
            result = studies.compare(**arguments)
    print(result.to_json() if args.json else result)
    return exits.FAILED if result.failures else exits.OK
