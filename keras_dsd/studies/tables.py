"""The table of a study: one row for each method, as dicts, text and Markdown.

Knows a `Result`'s records and verdicts.
"""

import statistics

import numpy as np

from keras_dsd.studies import measuring

COLUMNS = {  # of the text table: key of a row, heading
    "method": "method",
    "seeds": "seeds",
    "last": "last epoch",
    "best": "best epoch",
    "difference": "difference",
    "outcome": "verdict",
    "seconds_ratio": "time",
    "parameters": "parameters",
    "sparsity": "zeros",
    "file_bytes": "file, bytes",
}


def rows(result, against):
    """Returns one dict for each method; see `Result.table`."""
    found = result.verdicts(against=against)
    base = result.values(against, "seconds")
    made = []
    for name in result.methods:
        runs = [run for run in result.runs if run["method"] == name]
        verdict = found.get(name)
        seconds = result.values(name, "seconds")
        both = sorted(base.keys() & seconds.keys())
        last = _spread(result.values(name))
        best = _spread(_or_none(result, name))
        models = [run["model"] for run in runs]
        made.append(
            {
                "method": name,
                "seeds": len(runs),
                "failed": sum(run["method"] == name for run in result.failures),
                "metric": result.metric,
                "last": last[0],
                "last_deviation": last[1],
                "best": best[0],
                "best_deviation": best[1],
                "difference": verdict.difference if verdict else None,
                "low": verdict.low if verdict else None,
                "high": verdict.high if verdict else None,
                "p": verdict.p if verdict else None,
                "outcome": verdict.outcome if verdict else "",
                "seconds": statistics.fmean(seconds.values()),
                "seconds_ratio": _ratio(
                    [seconds[seed] for seed in both], [base[seed] for seed in both]
                ),
                "peak_memory_bytes": max(
                    run["machine"]["peak_memory_bytes"] for run in runs
                ),
                "parameters": _one(model["parameters"] for model in models),
                "sparsity": statistics.fmean(
                    model["zeros"] / model["parameters"] for model in models
                ),
                "file_bytes": _one(model["file_bytes"] for model in models),
                "latency_seconds": statistics.median(
                    model["latency_seconds"] for model in models
                ),
            }
        )
    return made


def text(result):
    """Returns the table, the verdicts and what went wrong as plain text."""
    lines = []
    if "conventional" in result.methods:
        cells = [list(COLUMNS.values())]
        cells += [_cells(result, row) for row in result.table()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines += [
            "  ".join(
                cell.ljust(width) for cell, width in zip(row, widths, strict=True)
            ).rstrip()
            for row in cells
        ]
        lines.append("")
    return "\n".join([*lines, *remarks(result)])


def markdown(result):
    """Returns the same as Markdown."""
    lines = []
    if "conventional" in result.methods:
        heads = list(COLUMNS.values())
        lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        lines += [f"| {' | '.join(_cells(result, row))} |" for row in result.table()]
        lines.append("")
    return "\n".join([*lines, *(f"- {line}" for line in remarks(result))]) + "\n"


def remarks(result):
    """Returns the verdicts, and what a reader must know besides, a list of lines."""
    lines = []
    if "conventional" in result.methods:
        lines = [verdict.text for verdict in result.verdicts().values()]
    elif result.runs:
        lines = ["No verdict: the study has no finished run of 'conventional'."]
    unequal = result.unequal()
    lines += [f"Not a fair comparison: {line}." for line in unequal]
    if result.runs and not unequal:
        shared = "the same initial weights"
        if all(run["first_batches"] for run in result.runs):
            shared += " and saw the same batches in the same order"
        lines.append(f"For each seed all methods began with {shared}.")
    diverged = [
        f"{run['method']}, seed {run['seed']}"
        for run in result.runs
        if not np.isfinite(run["metrics"]["last"]["test"][run["metric"]])
    ]
    if diverged:
        lines.append(f"Diverged, and left out of verdicts: {'; '.join(diverged)}.")
    lines += [
        f"Failed: {run['method']}, seed {run['seed']}: {run['error']['message']}"
        for run in result.failures
    ]
    lines += [f"Not used: {line}" for line in result.damaged]
    return lines


def disagreements(runs, method, against):
    """Returns {seed: indices of test items on which two methods disagree}."""
    predicted = {
        (run["method"], run["seed"]): measuring.unpack(run["classes"]["predicted"])
        for run in runs
        if run["classes"] and run["method"] in (method, against)
    }
    return {
        seed: np.flatnonzero(classes != predicted[against, seed])
        for (name, seed), classes in predicted.items()
        if name == method and (against, seed) in predicted
    }


def _cells(result, row):
    metric = result.describe(result.metric)
    difference = ""
    if row["difference"] is not None:
        difference = metric.difference(row["difference"])
        if row["low"] is not None:
            difference += f" ({metric.interval(row['low'], row['high'])})"
    return [
        row["method"],
        f"{row['seeds']}" + (f", {row['failed']} failed" if row["failed"] else ""),
        _plus_minus(row["last"], row["last_deviation"]),
        _plus_minus(row["best"], row["best_deviation"]),
        difference,
        row["outcome"],
        f"x {row['seconds_ratio']:.2f}" if row["seconds_ratio"] else "",
        f"{row['parameters']:,}" if row["parameters"] else "differ",
        f"{row['sparsity']:.1%}",
        f"{row['file_bytes']:,}" if row["file_bytes"] else "differ",
    ]


def _plus_minus(mean, deviation):
    if mean is None:
        return ""
    return f"{mean:.4f}" + (f" ± {deviation:.4f}" if deviation is not None else "")


def _or_none(result, name):
    try:
        return result.values(name, when="best")
    except ValueError:  # no validation data, so no best epoch
        return {}


def _spread(values):
    numbers = list(values.values())
    if not numbers:
        return None, None
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else None
    return statistics.fmean(numbers), deviation


def _ratio(new, old):
    return statistics.fmean(new) / statistics.fmean(old) if old else None


def _one(values):
    found = set(values)
    return found.pop() if len(found) == 1 else None
