"""`keras-dsd robustness`: a model's accuracy on corrupted images."""

import argparse

from keras_dsd._shared import extras
from keras_dsd.cli import as_json, exits, quiet


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "robustness",
        help="a model's accuracy on corrupted images",
        description="Measures a model on clean images and on the same images, "
        "corrupted in many ways at five severities; prints a table, and writes it and "
        "pictures of it.",
        epilog="examples:\n"
        "  keras-dsd robustness model.keras --data test.npz\n"
        "  keras-dsd robustness after.keras --data pictures/ --baseline before.keras",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_inputs(parser)
    _add_measuring(parser)
    parser.add_argument(
        "--out",
        default="keras_dsd_robustness",
        help="folder for the results (default: keras_dsd_robustness)",
    )
    as_json.add(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _add_inputs(parser):
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


def _add_measuring(parser):
    _add_pictures(parser)
    parser.add_argument(
        "--corruptions",
        nargs="+",
        metavar="NAME",
        help="which, by their names or families, say lens (default: the benchmark's "
        "15, or all that a corrupted data set without them has)",
    )
    parser.add_argument(
        "--list", action=_List, help="print all corruptions by family, and exit"
    )
    parser.add_argument(
        "--severities", nargs="+", type=int, metavar="N", help="which (default: 1 to 5)"
    )
    parser.add_argument(
        "--metric", default="accuracy", help="of Keras, by name (default: accuracy)"
    )
    parser.add_argument(
        "--mode",
        choices=("auto", "max", "min"),
        default="auto",
        help="whether more or less of the metric is better (default: as Keras or its "
        "name says)",
    )
    parser.add_argument(
        "--batch-size", type=int, help="images at a time (default: 128)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of random corruptions (default: 0)"
    )


def _add_pictures(parser):
    """Adds the arguments that say how a folder of pictures is read."""
    group = parser.add_argument_group("folders of pictures")
    group.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="names of the classes in the order of the model's outputs, or a file with "
        "one in each line (default: the names of the folders, sorted)",
    )
    group.add_argument(
        "--image-size",
        nargs=2,
        type=int,
        metavar=("HEIGHT", "WIDTH"),
        help="for a model that takes any (default: that of its input)",
    )
    ratio = group.add_mutually_exclusive_group()
    ratio.add_argument(
        "--crop-to-aspect-ratio",
        action="store_true",
        help="cut off what is too much, instead of stretching pictures to the size",
    )
    ratio.add_argument(
        "--pad-to-aspect-ratio",
        action="store_true",
        help="add black bars, instead of stretching pictures to the size",
    )
    group.add_argument(
        "--skip-unreadable",
        action="store_true",
        help="leave damaged files out, and count them (default: they are refused)",
    )


class _List(argparse.Action):
    """Prints the names of corruptions and ends, as `--version` does."""

    def __init__(self, option_strings, dest, help=None):
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser, namespace, values, option_string=None):
        """Is called by `argparse` where the option stands."""
        extras.require("robustness")
        quiet.import_keras()
        from keras_dsd.robustness import command

        print(command.listing())
        parser.exit()


def _run(parser, args):
    extras.require("robustness")
    quiet.import_keras()
    from keras_dsd.robustness import command

    arguments = {name: getattr(args, name) for name in command.ARGUMENTS}
    with exits.refusing(parser), as_json.apart(args.json):
        report = command.run(command.Settings(**arguments))
    if args.json:
        print(report.to_json(), end="")
    return exits.OK
