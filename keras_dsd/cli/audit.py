"""`keras-dsd audit`: the log of a run's mask updates, as a table and a plot."""

import argparse
import json
import pathlib

from keras_dsd._shared import extras
from keras_dsd.cli import as_json, exits


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "audit",
        help="the log of a run's mask updates, as a table and a plot",
        description="Prints the log of a run's mask updates as a table, and draws the "
        "sparsity, the share of connections explored and how many grew.",
        epilog="example:\n  keras-dsd audit keras_dsd_train/audit.jsonl",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="the log that a run wrote")
    parser.add_argument(
        "--out", metavar="PNG", help="file for the plot (default: FILE with .png)"
    )
    as_json.add(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _run(parser, args):
    extras.require("demo", "matplotlib", "rich")
    from keras_dsd.reports import audit_view
    from keras_dsd.training import audit

    with exits.refusing(parser):
        records = audit.read(args.file)
        if not records:
            print("[]" if args.json else f"No mask updates in {args.file}")
            return exits.OK
        out = pathlib.Path(args.out or pathlib.Path(args.file).with_suffix(".png"))
        if out.resolve() == pathlib.Path(args.file).resolve():
            raise ValueError(
                f"The plot must not replace the log. Received: out={str(out)!r}"
            )
        # Before the table: a plot that can't be written is all that is to say.
        audit_view.plot(records, out)
    with as_json.apart(args.json):
        audit_view.show(records)
        print(f"Plot: {out}")
    if args.json:
        print(json.dumps(records, indent=1))
    return exits.OK
