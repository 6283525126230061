"""`keras-dsd tune`: phases that suit a model and its data, as a file says."""

import argparse

from keras_dsd._shared import extras
from keras_dsd.cli import as_json, exits, quiet


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "tune",
        help="search phases on validation data, and confirm the best on fresh seeds",
        description="Tries phases that Optuna suggests, each run in a process of its "
        "own, chooses on validation data, and compares the best with conventional "
        "training on fresh seeds. The same command goes on with a search that was "
        "stopped.",
        epilog="examples:\n"
        "  keras-dsd tune tuning.toml\n"
        "  keras-dsd tune mine:study --trials 20 --workers 4",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "study",
        metavar="STUDY",
        help="a .toml or .yaml file with the arguments of `studies.tune`, or "
        "module:function that returns them",
    )
    parser.add_argument(
        "--trials", type=int, help="how many to try (default: as STUDY says)"
    )
    parser.add_argument(
        "--workers", type=int, help="how many at once (default: as STUDY says)"
    )
    as_json.add(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _run(parser, args):
    extras.require("studies")
    extras.require("tune")
    quiet.import_keras("tensorflow")
    from keras_dsd import studies
    from keras_dsd.studies import study_file

    with exits.refusing(parser):
        arguments = study_file.load(args.study, studies.tune)
        for name in ("trials", "workers"):
            if getattr(args, name) is not None:
                arguments[name] = getattr(args, name)
        with as_json.apart(args.json):
            found = studies.tune(**arguments)
    print(found.to_json() if args.json else found)
    failed = any(one["value"] is None for one in found.trials)
    return exits.FAILED if failed or found.confirmed.failures else exits.OK
