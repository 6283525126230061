"""`keras-dsd train`: one model in phases, on data of one's own, resumable, exported."""

import argparse
import contextlib
import os
import sys

from keras_dsd._shared import extras
from keras_dsd.cli import exits, quiet

METHODS = ("dsd", "static", "set", "rigl", "mest", "granet", "snfs")
SCHEDULES = ("constant", "cosine")
EXPORTS = ("saved_model", "keras", "weights", "litert", "onnx", "none")
EXAMPLES = """\
examples:
  keras-dsd train model.keras digits.npz --epochs 30 --dsd 0.3
  keras-dsd train mine:build pictures/ --epochs 60 --rigl 0.5 --schedule cosine
  keras-dsd train mine:build table.csv --target price --epochs 40 --dry-run
the same command goes on where it was interrupted.
"""


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "train",
        help="trains a model in phases, and exports it",
        description="Trains one model, conventionally or in phases, evaluates it, "
        "strips it and exports it. All is written to one folder; the same command goes "
        "on where it was interrupted.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a .keras file, or module:build")
    parser.add_argument(
        "data",
        metavar="DATA",
        help="an .npz with x_train, y_train, x_test, y_test (or x and y), a .csv with "
        "a --target, a folder with a folder of pictures for each class, "
        "module:function, or the name of a data set of TFDS",
    )
    _add_phases(parser)
    _add_training(parser)
    _add_results(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _add_phases(parser):
    group = parser.add_argument_group("phases (default: none, conventional training)")
    one = group.add_mutually_exclusive_group()
    for method in METHODS:
        what = "dense, sparse, dense" if method == "dsd" else "sparse from the start"
        one.add_argument(
            f"--{method}", type=float, metavar="SPARSITY", help=f"{what}, say 0.3"
        )
    one.add_argument("--recipe", metavar="NAME", help="one of docs/recipes.md")
    one.add_argument(
        "--phases", metavar="FILE", help="a TOML, YAML or JSON file with a list phases"
    )


def _add_training(parser):
    group = parser.add_argument_group("training")
    group.add_argument("--epochs", type=int, required=True, help="all together")
    group.add_argument("--batch-size", type=int, default=32, help="default: 32")
    group.add_argument(
        "--optimizer", help="of Keras, by name (default: the model's own, or adam)"
    )
    group.add_argument("--learning-rate", type=float, help="default: the optimizer's")
    group.add_argument(
        "--schedule", choices=SCHEDULES, default="constant", help="default: constant"
    )
    group.add_argument(
        "--loss", help="of Keras, by name (default: the model's own, or by the labels)"
    )
    group.add_argument("--metrics", nargs="+", metavar="NAME", help="of Keras, by name")
    group.add_argument("--target", metavar="COLUMN", help="of a .csv: what to predict")
    group.add_argument("--seed", type=int, default=0, help="default: 0")
    group.add_argument("--backend", choices=("tensorflow", "jax", "torch"))
    group.add_argument(
        "--mixed-precision",
        choices=("mixed_float16", "mixed_bfloat16"),
        help="for a model that is built by module:build",
    )


def _add_results(parser):
    group = parser.add_argument_group("results")
    group.add_argument(
        "--out", default="keras_dsd_train", help="folder (default: keras_dsd_train)"
    )
    group.add_argument(
        "--export",
        choices=EXPORTS,
        help="what to export (default: saved_model, keras on PyTorch)",
    )
    group.add_argument(
        "--audit", action="store_true", help="log all mask updates to audit.jsonl"
    )
    group.add_argument(
        "--tensorboard", action="store_true", help="log for TensorBoard too"
    )
    group.add_argument(
        "--dry-run", action="store_true", help="print what would be pruned, and exit"
    )
    group.add_argument("--json", action="store_true", help="print results as JSON")


def _run(parser, args):
    extras.require("studies", "cloudpickle", needed_by="this command")
    if args.backend:
        os.environ["KERAS_BACKEND"] = args.backend
    quiet.import_keras()
    from keras_dsd.cli.training import job

    # What Keras tells goes to the screen of errors: results alone can be piped on.
    with contextlib.redirect_stdout(sys.stderr):
        with exits.refusing(parser, ImportError):
            prepared = job.prepare(vars(args))
        if not args.dry_run:
            with exits.refusing(parser):
                found = prepared.run()
    if args.dry_run:
        print(prepared.preview(args.json))
        return exits.OK
    print(found.to_json() if args.json else found)
    return exits.OK
