"""`keras-dsd train`: one model in phases, on data of one's own, resumable, exported."""

import argparse
import contextlib
import os
import pathlib
import sys

from keras_dsd._shared import extras, table_files
from keras_dsd.cli import as_json, exits, quiet

METHODS = ("dsd", "static", "set", "rigl", "mest", "granet", "snfs")
SCHEDULES = ("constant", "cosine")
EXPORTS = ("saved_model", "keras", "weights", "litert", "onnx", "none")
PHASES = (*METHODS, "recipe", "phases")
FLAGS = ("audit", "tensorboard", "dry_run", "json")
DEFAULTS = {
    **dict.fromkeys(("model", "data", "epochs", *PHASES)),
    **dict.fromkeys(("optimizer", "learning_rate", "loss", "metrics", "target")),
    **dict.fromkeys(("backend", "mixed_precision", "export")),
    **dict.fromkeys(FLAGS, False),
    "batch_size": 32,
    "schedule": "constant",
    "seed": 0,
    "out": "keras_dsd_train",
}
EXAMPLES = """\
examples:
  keras-dsd train model.keras digits.npz --epochs 30 --dsd 0.3
  keras-dsd train mine:build pictures/ --epochs 60 --rigl 0.5 --schedule cosine
  keras-dsd train mine:build table.csv --target price --epochs 40 --dry-run
  keras-dsd train --config keras_dsd_train/settings.json --out again
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
        # What is not given is not there: a file may say it, or `DEFAULTS`.
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a .keras file, or module:build"
    )
    parser.add_argument(
        "data",
        metavar="DATA",
        nargs="?",
        help="an .npz with x_train, y_train, x_test, y_test (or x and y), a .csv with "
        "a --target, a folder with a folder of pictures for each class, "
        "module:function, or the name of a data set of TFDS",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="a TOML, YAML or JSON file with any of these arguments, by their long "
        "names; what the command line says comes before it. A run writes its own to "
        "settings.json",
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
    group.add_argument("--epochs", type=int, help="all together")
    group.add_argument("--batch-size", type=int, help="default: 32")
    group.add_argument(
        "--optimizer", help="of Keras, by name (default: the model's own, or adam)"
    )
    group.add_argument("--learning-rate", type=float, help="default: the optimizer's")
    group.add_argument("--schedule", choices=SCHEDULES, help="default: constant")
    group.add_argument(
        "--loss", help="of Keras, by name (default: the model's own, or by the labels)"
    )
    group.add_argument("--metrics", nargs="+", metavar="NAME", help="of Keras, by name")
    group.add_argument("--target", metavar="COLUMN", help="of a .csv: what to predict")
    group.add_argument("--seed", type=int, help="default: 0")
    group.add_argument("--backend", choices=("tensorflow", "jax", "torch"))
    group.add_argument(
        "--mixed-precision",
        choices=("mixed_float16", "mixed_bfloat16"),
        help="for a model that is built by module:build",
    )


def _add_results(parser):
    group = parser.add_argument_group("results")
    group.add_argument("--out", help="folder (default: keras_dsd_train)")
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
    as_json.add(group)


def _run(parser, args):
    settings = _settings(parser, args)
    extras.require("studies")
    if settings["backend"]:
        os.environ["KERAS_BACKEND"] = settings["backend"]
    quiet.import_keras()
    from keras_dsd.cli.training import job

    # What Keras tells goes to the screen of errors: results alone can be piped on.
    with contextlib.redirect_stdout(sys.stderr):
        with exits.refusing(parser, ImportError):
            prepared = job.prepare(settings)
        if not settings["dry_run"]:
            with exits.refusing(parser):
                found = prepared.run()
    if settings["dry_run"]:
        print(prepared.preview(settings["json"]))
        return exits.OK
    print(found.to_json() if settings["json"] else found)
    return exits.OK


def _settings(parser, args):
    """Returns all settings: of the command line, else of the file, else defaults."""
    given = {key: value for key, value in vars(args).items() if key in DEFAULTS}
    filed = _filed(parser, args.config) if hasattr(args, "config") else {}
    if set(PHASES) & given.keys():
        filed = {key: value for key, value in filed.items() if key not in PHASES}
    settings = {**DEFAULTS, **filed, **given}
    lost = [name for name in ("model", "data", "epochs") if settings[name] is None]
    if lost:
        names = {"model": "MODEL", "data": "DATA", "epochs": "--epochs"}
        parser.error(
            "needed here, or in the file of --config: "
            + ", ".join(names[name] for name in lost)
        )
    asked = [name for name in PHASES if settings[name] is not None]
    if len(asked) > 1:
        parser.error(f"phases are asked for in several ways: {', '.join(asked)}")
    return settings


def _filed(parser, name):
    """Returns the settings of a file, as if the command line had them."""
    with exits.refusing(parser):
        table = table_files.read(pathlib.Path(name), "Not a table of arguments")
        if not isinstance(table, dict):
            raise TypeError(
                f"The file must hold a table of arguments. Received: {name}"
            )
        table = {key.replace("-", "_"): value for key, value in table.items()}
        unknown = sorted(table.keys() - DEFAULTS.keys())
        if unknown:
            raise ValueError(
                f"The file takes {', '.join(DEFAULTS)}. Received: {unknown[0]}="
                f"{table[unknown[0]]!r} in {name}"
            )
        # These alone are no options of the command line, or more than those can be.
        kept = {key: table.pop(key) for key in ("model", "data") if key in table}
        for key, value in kept.items():
            if not isinstance(value, str):
                raise TypeError(
                    f"It must be a str. Received: {key}={value!r} in {name}"
                )
        if isinstance(table.get("phases"), list):
            kept["phases"] = table.pop("phases")
    found = vars(parser.parse_args(_line(table)))
    return {**{key: found[key] for key in found if key in DEFAULTS}, **kept}


def _line(table):
    """Returns a table's options as a command line has them, for `argparse` to check."""
    line = []
    for key, value in table.items():
        option = f"--{key.replace('_', '-')}"
        if isinstance(value, list):
            line += [option, *map(str, value)]
        elif key in FLAGS and isinstance(value, bool):
            line += [option] * value
        elif value is not None:
            line.append(f"{option}={value}")
    return line
