"""`keras-dsd export`: a `.keras` file for the program that will run it, proved."""

import argparse
import sys

from keras_dsd.cli import as_json, exits, models, quiet

FORMATS = ("saved_model", "keras", "weights", "litert", "onnx")


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "export",
        help="a .keras file for TensorFlow, LiteRT or ONNX Runtime, proved there",
        description="Writes a model for the program that will run it, loads it there "
        "in a process without Keras, and keeps it only if its outputs are the model's.",
        epilog="examples:\n"
        "  keras-dsd export model.keras served\n"
        "  keras-dsd export model.keras model.tflite --format litert\n"
        "  keras-dsd export model.keras model.onnx --format onnx --inputs test.npz",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument("path", metavar="PATH", help="the file, or folder, to write")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="saved_model",
        help="what to write (default: saved_model)",
    )
    parser.add_argument(
        "--inputs",
        metavar="NPZ",
        help="inputs to compare on: an .npz with x or x_test, or with an array for "
        "each input by its name (default: drawn)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="largest difference allowed, as a fraction of the largest output "
        "(default: 2e-5, or 2e-2 in half precision)",
    )
    parser.add_argument(
        "--sparse", action="store_true", help="also a model whose masks are in force"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what is at PATH"
    )
    models.add_import(parser)
    as_json.add(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _run(parser, args):
    quiet.import_keras()
    from keras_dsd import deploy

    with exits.refusing(parser, ImportError):
        model = models.load(args.model, args.modules)
        try:
            found = deploy.export(
                model,
                args.path,
                format=args.format,
                inputs=_inputs(args.inputs),
                tolerance=args.tolerance,
                sparse=args.sparse,
                overwrite=args.overwrite,
            )
        except deploy.ExportError as error:
            print(f"{parser.prog}: refused: {error}", file=sys.stderr)
            return exits.REFUSED
    print(found.to_json() if args.json else found)
    return exits.OK


def _inputs(path):
    if path is None:
        return None
    import numpy as np

    with np.load(path) as stored:
        arrays = dict(stored)
    for name in ("x_test", "x"):
        if name in arrays:
            return arrays[name]
    return arrays
