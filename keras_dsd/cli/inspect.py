"""`keras-dsd inspect`: what a `.keras` file holds by layer, where its run stands."""

import argparse
import json

from keras_dsd.cli import as_json, exits, models, quiet


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "inspect",
        help="what a .keras file holds: masks, phase, sparsity by layer",
        description="Prints which layers of a model are prunable, how sparse they are, "
        "whether masks are in force, and in which phase a run was when it was saved.",
        epilog="example:\n  keras-dsd inspect model.keras",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="a .keras file")
    models.add_import(parser)
    as_json.add(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _run(parser, args):
    quiet.import_keras()
    from keras_dsd.analysis import inspection

    with exits.refusing(parser, ImportError):
        model = models.load(args.file, args.modules)
    found = inspection.inspect(model)
    print(json.dumps(found, indent=2) if args.json else inspection.text(found))
    return exits.OK
