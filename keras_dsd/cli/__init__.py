"""The command `keras-dsd`: reads the command line and hands on to one function.

A subcommand is one entry in `COMMANDS`: a function that adds its parser, and sets the
function that runs it. Imports nothing heavy by itself, so that a wrong command line is
answered at once and the settings of TensorFlow's log come before TensorFlow.
"""

import argparse
import importlib.util
import os
import pathlib
import sys

from keras_dsd._version import __version__

INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


def main(argv=None):
    """Runs the command.

    Args:
        argv: list of arguments, without the command's name. Defaults to `None`: those
            of the process.

    Returns:
        The exit status: 0, 1 if something is missing, 130 after Ctrl-C.

    Raises:
        SystemExit: after `--help` and `--version`, and with status 2 if an argument is
            wrong.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(
        prog="keras-dsd",
        description="Dense-Sparse-Dense training for Keras 3.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(
        dest="command", metavar="command", required=True, title="commands"
    )
    for add in COMMANDS:
        add(subparsers)
    args = parser.parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("keras-dsd: interrupted", file=sys.stderr)
        return INTERRUPTED
    except MissingExtra as error:
        print(f"keras-dsd: {error}", file=sys.stderr)
        return 1


class MissingExtra(Exception):
    """Packages that a subcommand needs are not installed."""


def require(extra, **packages):
    """Checks that packages can be imported, before the work begins.

    Args:
        extra: the extra of keras-dsd that brings them.
        **packages: module name = name of the package that has it.

    Raises:
        MissingExtra: some can't; the message is one line that says how to get them.
    """
    missing = [
        package
        for module, package in packages.items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise MissingExtra(
            f"{', '.join(missing)} not found. Install what this command needs: "
            f'pip install "keras-dsd[{extra}]"'
        )


def _add_demo(subparsers):
    parser = subparsers.add_parser(
        "demo",
        help="conventional training against DSD on handwritten digits",
        description="Trains a small CNN on scikit-learn's handwritten digits, "
        "conventionally and with DSD, from the same weights on the same batches; "
        "compares them, plots the weights of the phases and exports the model.",
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
    parser.set_defaults(run=lambda args: _demo(parser, args))


def _demo(parser, args):
    require("demo", matplotlib="matplotlib", rich="rich", sklearn="scikit-learn")
    from keras_dsd.studies import demo

    try:
        settings = demo.Settings(args.seeds, args.epochs, args.sparsity, args.out)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    demo.run(settings)
    return 0


def _add_audit(subparsers):
    parser = subparsers.add_parser(
        "audit",
        help="the log of a run's mask updates, as a table and a plot",
        description="Prints the log of a run's mask updates as a table, and draws the "
        "sparsity, the share of connections explored and how many grew.",
    )
    parser.add_argument("file", metavar="FILE", help="the log that a run wrote")
    parser.add_argument(
        "--out", metavar="PNG", help="file for the plot (default: FILE with .png)"
    )
    parser.set_defaults(run=lambda args: _audit(parser, args))


def _audit(parser, args):
    require("demo", matplotlib="matplotlib", rich="rich")
    from keras_dsd.reports import audit_view
    from keras_dsd.training import audit

    try:
        records = audit.read(args.file)
        if not records:
            print(f"No mask updates in {args.file}")
            return 0
        out = pathlib.Path(args.out or pathlib.Path(args.file).with_suffix(".png"))
        if out.resolve() == pathlib.Path(args.file).resolve():
            raise ValueError(
                f"The plot must not replace the log. Received: out={str(out)!r}"
            )
        # Before the table: a plot that can't be written is all that is to say.
        audit_view.plot(records, out)
    except (OSError, ValueError) as error:
        # The usage, which `parser.error` prints, would not help with a wrong file.
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    audit_view.show(records)
    print(f"Plot: {out}")
    return 0


def _add_robustness(subparsers):
    parser = subparsers.add_parser(
        "robustness",
        help="a model's accuracy on corrupted images",
        description="Measures a model on clean images and on the same images, "
        "corrupted in many ways at five severities; prints a table, and writes it and "
        "pictures of it.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument(
        "--data",
        required=True,
        help="an .npz with x and y, or x_test and y_test; a folder with a folder of "
        "pictures for each class; a folder of .npy files as CIFAR-10-C has them; or "
        "cifar10_corrupted, imagenet2012_corrupted, mnist_corrupted from TFDS",
    )
    parser.add_argument(
        "--clean", metavar="NPZ", help="the clean images, if the data is corrupted"
    )
    parser.add_argument(
        "--corruptions",
        nargs="+",
        metavar="NAME",
        help="which (default: the benchmark's 15, or all that the data has)",
    )
    parser.add_argument(
        "--severities", nargs="+", type=int, metavar="N", help="which (default: 1 to 5)"
    )
    parser.add_argument(
        "--metric", default="accuracy", help="of Keras, by name (default: accuracy)"
    )
    parser.add_argument(
        "--baseline", help="what to compare with: a .keras file, a report.json, alexnet"
    )
    parser.add_argument(
        "--input-range",
        nargs=2,
        type=float,
        metavar=("BLACK", "WHITE"),
        help="what black and white are to the model, say 0 1 or -1 1 (default: it "
        "takes images as the data has them)",
    )
    parser.add_argument(
        "--batch-size", type=int, help="images at a time (default: 128)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of random corruptions (default: 0)"
    )
    parser.add_argument(
        "--out",
        default="keras_dsd_robustness",
        help="folder for the results (default: keras_dsd_robustness)",
    )
    parser.set_defaults(run=lambda args: _robustness(parser, args))


def _robustness(parser, args):
    try:
        from keras_dsd.robustness import command
    except ImportError as error:  # it says which packages, and how to get them
        raise MissingExtra(error) from error

    arguments = {name: getattr(args, name) for name in command.ARGUMENTS}
    try:
        command.run(command.Settings(**arguments))
    except (ImportError, OSError, ValueError) as error:
        # The usage, which `parser.error` prints, would not help with a wrong file.
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    return 0


COMMANDS = (_add_demo, _add_audit, _add_robustness)
