"""The page of a single run: what its masks did, and whether a model has them.

Knows the record that `run_record` makes, and pages.
"""

import pathlib
import shlex

from keras_dsd.reports import run_figures, run_record, writing
from keras_dsd.reports.page import Column, Command, Notes, Page, Section, Table, Text

SHOWN = 20  # updates at the beginning, and as many at the end
RATES = "learning_rate"


def run(log, path, *, model=None, history=None, language="en"):
    """Writes the page of a run, and every number of it as JSON beside it.

    Args:
        log: path of the log that `DSDCallback(..., audit="run.jsonl")` wrote.
        path: a file that ends in ".html" or ".md", in a folder that exists.
        model: what `analysis.inspection.inspect(model)` returns: then the page says
            whether the model has the log's masks, and its zeros. Defaults to `None`:
            not asked.
        history: what `fit` returned, or its `history`, for the dense phases, the
            learning rates and the metrics, of which the log knows nothing. Defaults to
            `None`.
        language: "en" or "ja". Defaults to "en".

    Returns:
        The `pathlib.Path` of the page.

    Raises:
        TypeError, ValueError: the log is cut off, empty, of another version or of two
            runs; `model` or `history` are of another run.
        MissingExtra: the extra `reports` is not installed.
    """
    record = run_record.record(log, model=model, history=history)
    return writing.write(page(record), path, language=language)


def page(record):
    """Returns the page of a run, a `page.Page`.

    Args:
        record: what `run_record.record` returns.
    """
    parts = {
        "phases": [_phases(record), *_epochs(record)],
        "sparsity": [*run_figures.sparsity(record), _updates(record)],
        "moves": _moves(record),
        "found": [Notes([_found(one) for one in record["searches"]])]
        if record["searches"]
        else [],
        "weights": [_weights(record)],
        "checks": _checks(record),
        "repeat": [Command(f"keras-dsd audit {shlex.quote(record['log'])}")],
    }
    sections = [
        Section(Text(f"run.head.{name}"), blocks)
        for name, blocks in parts.items()
        if blocks
    ]
    title = Text("run.title", {"log": pathlib.Path(record["log"]).name})
    return Page("run", title, _verdict(record), sections, record)


def _verdict(record):
    last = record["updates"][-1]
    numbers = {
        "updates": len(record["updates"]),
        "weights": len(record["weights"]),
        "sparsity": last["sparsity"],
        "zeros": last["size"] - last["active"],
        "size": last["size"],
    }
    return [Text("run.verdict", numbers), *_of_model(record)]


def _of_model(record):
    model = record["model"]
    if model is None:
        return [Text("run.model.none")]
    if not model["in_force"]:
        return [Text("run.model.dense", {"phase": model["phase"]})]
    number = model["update"]
    update = record["updates"][number - 1]
    key = "last" if number == len(record["updates"]) else "earlier"
    said = [Text(f"run.model.{key}", {"update": number, "epoch": update["epoch"]})]
    if model["strays"]:
        numbers = {"count": model["strays"], "held": model["held"]}
        return [*said, Text("run.model.strays", numbers)]
    return [*said, Text("run.model.zeros", {"held": model["held"]})]


def _head(name, style="text"):
    return Column(Text(f"run.table.{name}"), style)


def _phases(record):
    styles = {
        "phase": "count",
        "updates": "count",
        "first_epoch": "count",
        "last_epoch": "count",
        "sparsity_first": "percent",
        "sparsity_last": "percent",
        "grown": "count",
        "explored": "percent",
    }
    columns = [
        _head("updates_count" if name == "updates" else name, style)
        for name, style in styles.items()
    ]
    rows = [[phase[name] for name in styles] for phase in record["phases"]]
    return Table(Text("run.table.phases"), columns, rows)


def _epochs(record):
    """Returns the phases as the epochs' logs have them, with rates and metrics."""
    epochs = record["epochs"]
    if not epochs:
        return [Text("run.no_history")]
    names = [name for name in epochs[0] if name not in ("epoch", "phase", "sparsity")]
    names.sort(key=lambda name: name != RATES)
    columns = [_head("epoch", "count"), _head("phase", "count")]
    columns += [_head("sparsity", "percent")]
    columns += [Column(Text("run.table.name", {"name": n}), "number") for n in names]
    every = ("epoch", "phase", "sparsity", *names)
    rows = [[epoch[name] for name in every] for epoch in epochs]
    caption = Text("run.table.epochs")
    said = [] if RATES in names else [Text("run.no_rates")]
    return [*said, Table(caption, columns, rows), *run_figures.metrics(record)]


def _updates(record):
    styles = {
        "step": "count",
        "epoch": "count",
        "phase": "count",
        "sparsity": "percent",
        "dropped": "count",
        "grown": "count",
        "churn": "percent",
        "explored": "percent",
        "drop_fraction": "percent",
    }
    updates = record["updates"]
    left_out = max(len(updates) - 2 * SHOWN, 0)
    if left_out:
        updates = updates[:SHOWN] + updates[-SHOWN:]
    rows = [[update[name] for name in styles] for update in updates]
    caption = Text("run.table.updates")
    if left_out:
        numbers = {"left_out": left_out, "shown": SHOWN}
        caption = Text("run.table.updates_of_many", numbers)
    return Table(caption, [_head(*one) for one in styles.items()], rows)


def _moves(record):
    grown = sum(phase["grown"] for phase in record["phases"])
    if not grown:
        return [Text("run.fixed")]
    last = record["phases"][-1]
    numbers = {"grown": grown, "explored": last["explored"], "phase": last["phase"]}
    return [Text("run.moved", numbers), *run_figures.churn(record)]


def _found(search):
    tried = [one for one in search["trials"] if one[0] is None]
    numbers = {name: search[name] for name in ("phase", "sparsity", "metric")}
    numbers |= {"baseline": search["baseline"], "tolerance": search["tolerance"]}
    return Text("run.found", numbers | {"trials": len(tried)})


def _weights(record):
    styles = {
        "path": "text",
        "size": "count",
        "active": "count",
        "sparsity": "percent",
        "dropped": "count",
        "grown": "count",
    }
    rows = [[weight[name] for name in styles] for weight in record["weights"]]
    columns = [_head(*one) for one in styles.items()]
    return Table(Text("run.table.weights"), columns, rows)


def _checks(record):
    rows = [[weight["path"], weight["sha256"]] for weight in record["weights"]]
    hashes = Table(Text("run.table.hashes"), [_head("path"), _head("sha256")], rows)
    return [Notes([Text("run.one_run"), *_of_model(record)]), hashes]
