"""`keras-dsd report`: a page of whatever a run, a study or an export left behind."""

import argparse
import json
import pathlib
import sys

from keras_dsd._shared import extras
from keras_dsd.cli import as_json, exits, models, quiet

FORMS = ("markdown", "csv", "plot")
QUESTIONS = ("against", "metric", "when", "margin")


def add(subparsers):
    """Adds the command's arguments, and the function that runs it."""
    parser = subparsers.add_parser(
        "report",
        help="a page of a study, a run's log, a robustness report or an export",
        description="Writes one page to decide by, in HTML, and its numbers as JSON "
        "beside it; of a study, finished or not, it also prints tables and verdicts.",
        epilog="examples:\n"
        "  keras-dsd report examples/digits_study/result --plot study.png\n"
        "  keras-dsd report keras_dsd_train/audit.jsonl --language ja --open",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a study's folder, the log of a run's mask updates, or the JSON of a "
        "robustness report or of an export",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="the page, .html or .md for Markdown (default: beside PATH)",
    )
    parser.add_argument("--language", default="en", help="en or ja (default: en)")
    parser.add_argument("--open", action="store_true", help="show it in a browser")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a page that is there"
    )
    parser.add_argument(
        "--model",
        metavar="KERAS",
        help="of a run's log: a .keras file that must have the log's masks",
    )
    models.add_import(parser)
    as_json.add(parser)
    _add_of_studies(parser)
    parser.set_defaults(run=lambda args: _run(parser, args))


def _add_of_studies(parser):
    group = parser.add_argument_group("files of a study, besides the page")
    group.add_argument("--markdown", metavar="FILE", help="write tables and verdicts")
    group.add_argument("--csv", metavar="FILE", help="write the table's numbers")
    group.add_argument("--plot", metavar="FILE", help="draw it, say as .png")
    group = parser.add_argument_group("further verdicts on a study")
    group.add_argument("--against", help="compare with this method")
    group.add_argument("--metric", help="of the model, or corrupted, or seconds")
    group.add_argument(
        "--when", help="last, best or mean_of_last epoch (default: last)"
    )
    group.add_argument(
        "--margin", type=float, help="difference within which methods are the same"
    )


def _run(parser, args):
    extras.require("reports", needed_by="a page")
    from keras_dsd.reports import language, recognition, writing

    with exits.refusing(parser, ImportError):
        model = _inspected(args)
    with exits.refusing(parser):
        language.Language(args.language)
        kind, record = recognition.recognize(args.path)
        page = _page(args)
        if args.model is not None and kind != "run":
            raise ValueError(
                "--model is for the log of a run. "
                f"Received: --model for {args.path!r}, which is of kind {kind!r}"
            )
        with as_json.apart(args.json):
            if kind == "study":
                _study(args, page)
            else:
                _refuse_options(args, kind)
                _write(kind, record, args, page, model)
                _print_verdict(page)
            print(f"Page: {page}")
        if args.json:
            print(writing.numbers_of(page).read_text("utf-8"), end="")
    if args.open:
        _open(page)
    return exits.OK


def _inspected(args):
    """Returns what there is to know of the model that is named, `None` without."""
    if args.model is None:
        return None
    quiet.import_keras()
    from keras_dsd.analysis import inspection

    return inspection.inspect(models.load(args.model, args.modules))


def _page(args):
    """Returns the path of the page, where one may be written."""
    from keras_dsd._shared import files
    from keras_dsd.reports import writing

    if args.output is None:
        given = pathlib.Path(args.path)
        # What stands before a dot in a folder's name is not its name.
        page = given.resolve() if given.is_dir() else given.with_suffix("")
        page = page.with_name(f"{page.name}.html")
    else:
        page = pathlib.Path(args.output)
    files.writable(page)
    for file in (page, writing.numbers_of(page)):
        if file.resolve() == pathlib.Path(args.path).resolve():
            raise ValueError(
                f"A page must not replace what it is of. Received: {str(file)!r}"
            )
        if file.exists() and not args.overwrite:
            raise ValueError(
                "There is a file already: pass --overwrite to replace it. "
                f"Received: {str(file)!r}"
            )
    return page


def _refuse_options(args, kind):
    for name in (*FORMS, *QUESTIONS):
        if getattr(args, name) is not None:
            raise ValueError(
                f"--{name} is for studies; --output has the page of anything else. "
                f"Received: --{name} for {args.path!r}, which is of kind {kind!r}"
            )


def _write(kind, record, args, page, model):
    from keras_dsd import reports
    from keras_dsd.reports import export_page, robustness_page, writing

    if kind == "run":
        reports.run(args.path, page, model=model, language=args.language)
    else:
        of_kind = {"robustness": robustness_page, "export": export_page}[kind]
        writing.write(of_kind.page(record), page, language=args.language)


def _print_verdict(page):
    from keras_dsd.reports import writing

    found = json.loads(writing.numbers_of(page).read_text("utf-8"))
    said = "\n".join(text["text"] for text in found["verdict"])
    # What a terminal can't show must not stop a page that is written.
    encoding = sys.stdout.encoding or "utf-8"
    print(said.encode(encoding, "replace").decode(encoding))


def _study(args, page):
    extras.require("studies")
    quiet.import_keras()
    from keras_dsd import studies

    wanted = {
        name: getattr(args, name)
        for name in QUESTIONS
        if getattr(args, name) is not None
    }
    result = studies.Result(args.path)
    said = [str(result)]
    if wanted:
        found = result.verdicts(**{"part": _part(wanted), **wanted})
        said += ["", *(verdict.text for verdict in found.values())]
    for name in ("markdown", "csv"):
        if getattr(args, name):
            getattr(result, f"to_{name}")(getattr(args, name))
    if args.plot:
        result.plot().savefig(args.plot)
    result.report(page, language=args.language, **_of_page(result, wanted))
    print("\n".join(said))


def _of_page(result, wanted):
    """Returns what is asked of the page, which is about the metric that counts."""
    found = {name: value for name, value in wanted.items() if name != "metric"}
    methods = result.study["methods"]
    if "conventional" not in methods:
        found.setdefault("against", next(iter(methods)))
    return found


def _part(wanted):
    return "validation" if wanted.get("when") == "mean_of_last" else "test"


def _open(page):
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        print("keras-dsd report: there is no browser to show it", file=sys.stderr)
