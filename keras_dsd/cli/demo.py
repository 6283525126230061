"""`keras-dsd demo`: conventional training against DSD on handwritten digits."""

import argparse
import json

from keras_dsd._shared import extras
from keras_dsd.cli import as_json, exits, quiet


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "demo",
        help="conventional training against DSD on handwritten digits",
        description="Trains a small CNN on scikit-learn's handwritten digits, "
        "conventionally and with DSD, from the same weights on the same batches; "
        "compares them, plots the weights of the phases and exports the model. "
        "Stopped, the same command goes on.",
        epilog="example: keras-dsd demo --seeds 5 --sparsity 0.5 --out digits",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="how many seeds, counted from 0"
    )
    parser.add_argument(
        "--epochs", type=int, default=60, help="of each training, 3 or more"
    )
    parser.add_argument(
        "--sparsity",
        type=float,
        default=0.3,
        help="fraction of weights that are zero in the sparse phase",
    )
    parser.add_argument(
        "--out", default="keras_dsd_demo", help="folder for the results"
    )
    as_json.add(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _run(parser, args):
    extras.require("demo")
    # Keras asks TensorFlow, where it is installed, when it writes configs.
    quiet.import_keras("tensorflow")
    from keras_dsd.studies import demo

    with exits.refusing(parser):
        settings = demo.Settings(
            seeds=args.seeds, epochs=args.epochs, sparsity=args.sparsity, out=args.out
        )
        with as_json.apart(args.json):
            found = demo.run(settings)
    if args.json:
        print(json.dumps(found, indent=1))
    return exits.OK
