"""Lines: one compressed JSON line for each finished run, which is all the page knows.

Knows files and records of studies.
"""

import gzip
import json
import pathlib
import re

import numpy as np

from keras_dsd.studies import records
from keras_dsd.studies.measuring import pack, unpack

FOLDER = pathlib.Path(__file__).parent / "lines"


def of(record, *, setting, method, labels=None):
    """Returns the line of a run: its record, less what nothing is computed from.

    Args:
        record: of a run, as `studies.compare` wrote it.
        setting: name of the setting.
        method: name of the method; of a narrower model not the record's.
        labels: of the test items, or `None` where no classes were predicted.
    """
    kept = ("seed", "epochs", "metric", "grows", "initial_weights", "first_batches")
    metrics = record["metrics"]
    line = {
        "setting": setting,
        "method": method,
        **{key: record[key] for key in kept},
        "last": metrics["last"],
        "mean_of_last": metrics["mean_of_last"],
        "best": metrics.get("best"),
        "epochs_trained": len(record["history"]),
        "seconds": round(sum(record["seconds"]), 2),
        "parameters": record["model"]["parameters"],
        "zeros": record["model"]["zeros"],
        "backend": record["machine"]["backend"],
        "versions": record["machine"]["versions"],
    }
    if record["classes"] and labels is not None:
        line["predicted"] = record["classes"]["predicted"]
        line["labels"] = pack(labels)
    return line


def of_failed(failure, *, setting, method):
    """Returns the line of a run that failed: what it was, and its error.

    Folders are left out of the error: they are those of one machine.
    """
    message = re.sub(r"(/[^/\s'\"]+)+/", ".../", failure["error"]["message"])
    return {
        "setting": setting,
        "method": method,
        "seed": failure["seed"],
        "failed": message,
    }


def what_repeats(line):
    """Returns a line without what another machine, or another hour, may change."""
    return {
        key: value
        for key, value in line.items()
        if key not in ("seconds", "versions", "backend")
    }


def write(path, found):
    """Writes lines, ordered, so that equal lines make equal bytes."""
    ordered = sorted(found, key=lambda line: (line["seed"], line["method"]))
    text = "".join(json.dumps(records.to_json(line)) + "\n" for line in ordered)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def path(folder, part, setting):
    """Returns the file of a setting's lines."""
    return pathlib.Path(folder) / part / f"{setting}.jsonl.gz"


def add(path, new):
    """Adds lines to a file; a newer line of a run takes the older one's place."""
    known = read(path) if path.exists() else []
    found = {(line["seed"], line["method"]): line for line in [*known, *new]}
    write(path, found.values())


def read(path):
    """Returns the lines of a file."""
    text = gzip.decompress(path.read_bytes()).decode()
    return [json.loads(line) for line in text.splitlines()]


def read_all(folder=FOLDER):
    """Returns {part: {setting: lines}} of all that were committed."""
    found: dict = {}
    for path in sorted(pathlib.Path(folder).glob("*/*.jsonl.gz")):
        setting = path.name.removesuffix(".jsonl.gz")
        found.setdefault(path.parent.name, {})[setting] = read(path)
    return found


def value(line, metric):
    """Returns a number of a finished run: of clean test data after the last epoch.

    "best_" before a metric's name: after the epoch that was best on validation data.
    "noisy" is the accuracy of the second half of the test items, which are the first
    half's under noise. `None` where the line has none; a run that diverged has "nan".
    """
    if metric == "noisy":
        if "predicted" not in line:
            return None
        right = unpack(line["predicted"]) == unpack(line["labels"])
        return float(np.mean(right[len(right) // 2 :]))
    when, name = ("last", metric)
    if metric.startswith("best_"):
        when, name = ("best", metric.removeprefix("best_"))
    number = (line[when] or {"test": {}})["test"].get(name)
    return float("nan") if isinstance(number, dict) else number
