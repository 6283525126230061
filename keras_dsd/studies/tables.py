"""The tables of a study: one row for each method, as dicts, text and Markdown.

Knows a `Result`'s records and verdicts.
"""

import statistics

import numpy as np

from keras_dsd.studies import subgroups


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
        last = spread(result.values(name))
        best = spread(_or_none(result, name, when="best"))
        corrupted = spread(_or_none(result, name, "corrupted"))
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
                "corrupted": corrupted[0],
                "corrupted_deviation": corrupted[1],
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
    """Returns the tables, the verdicts and what went wrong as plain text."""
    lines = []
    for cells in _tables(result):
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
    for heads, *cells in _tables(result):
        lines += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
        lines += [f"| {' | '.join(row)} |" for row in cells]
        lines.append("")
    return "\n".join([*lines, *(f"- {line}" for line in remarks(result))]) + "\n"


def _tables(result):
    """Returns two tables of cells, their heads first: what was found, what it costs."""
    if "conventional" not in result.methods:
        return []
    made = result.table()
    if all(row["corrupted"] is None for row in made):
        corrupted = {}
    else:
        corrupted = {"corrupted": _column("corrupted")}
    found = {
        "method": lambda row: row["method"],
        "seeds": _seeds,
        "last epoch": _column("last"),
        "best epoch": _column("best"),
        **corrupted,
        "difference": lambda row: _difference(result, row),
        "verdict": lambda row: row["outcome"],
    }
    costs = {
        "method": lambda row: row["method"],
        "training, s": lambda row: f"{row['seconds']:.1f}",
        "ratio": lambda row: (
            f"x {row['seconds_ratio']:.2f}" if row["seconds_ratio"] else ""
        ),
        "peak memory, MB": lambda row: f"{row['peak_memory_bytes'] / 1e6:,.0f}",
        "parameters": lambda row: _whole(row["parameters"]),
        "zeros": lambda row: f"{row['sparsity']:.1%}",
        "file, bytes": lambda row: _whole(row["file_bytes"]),
        "latency, ms": lambda row: f"{row['latency_seconds'] * 1000:.2f}",
    }
    return [
        [list(columns), *([cell(row) for cell in columns.values()] for row in made)]
        for columns in (found, costs)
    ]


def remarks(result):
    """Returns the verdicts, and what a reader must know besides, a list of lines."""
    lines = []
    if "conventional" in result.methods:
        lines = [verdict.text for verdict in result.verdicts().values()]
        if any(run["robustness"] for run in result.runs):
            lines += [found.text for found in result.verdicts("corrupted").values()]
        for name in result.methods:
            if name != "conventional":
                lines += subgroups.lines(result.runs, name, "conventional")
    elif result.runs:
        lines = ["No verdict: the study has no finished run of 'conventional'."]
    lines += _fairness(result)
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


def differing(runs):
    """Returns what was not the same for all methods of a seed.

    A list of (seed, what, epoch): "weights" before training, "data" that were trained
    on, with epoch `None`; or "draws" of order, dropout and augmentation, with the first
    epoch, counted from 0, in which they differ.
    """
    found: list = []
    for seed in sorted({run["seed"] for run in runs}):
        here = [run for run in runs if run["seed"] == seed]
        for key, what in (("initial_weights", "weights"), ("first_batches", "data")):
            if len({run[key] for run in here}) > 1:
                found.append((seed, what, None))
        for epoch in range(max(len(run["drawn"]) for run in here)):
            # A run that ended early has fewer.
            drawn = [run["drawn"][epoch] for run in here if epoch < len(run["drawn"])]
            if len(set(drawn)) > 1:
                found.append((seed, "draws", epoch))
                break
    return found


def unequal(runs):
    """Returns the same in words, a list of lines."""
    said = {
        "weights": "the methods' initial weights differ",
        "data": "the methods' training data differ",
        "draws": "the methods' order of data or draws of dropout and augmentation "
        "differ from epoch {} on",
    }
    return [
        f"seed {seed}: {said[what].format(epoch is not None and epoch + 1)}"
        for seed, what, epoch in differing(runs)
    ]


def _fairness(result):
    found = result.unequal()
    if found or not result.runs:
        return [f"Not a fair comparison: {line}." for line in found]
    order = ""
    if all(run["first_batches"] for run in result.runs):
        order = ", the same batches in the same order"
    return [
        f"For each seed all methods had the same initial weights{order} and, in each "
        "epoch, the same draws of dropout and augmentation layers."
    ]


def _column(key):
    return lambda row: _plus_minus(row[key], row[f"{key}_deviation"])


def _seeds(row):
    return f"{row['seeds']}" + (f", {row['failed']} failed" if row["failed"] else "")


def _difference(result, row):
    if row["difference"] is None:
        return ""
    metric = result.describe(result.metric)
    said = metric.difference(row["difference"])
    if row["low"] is not None:
        said += f" ({metric.interval(row['low'], row['high'])})"
    return said


def _whole(number):
    return f"{number:,}" if number else "differ"


def _plus_minus(mean, deviation):
    if mean is None:
        return ""
    return f"{mean:.4f}" + (f" ± {deviation:.4f}" if deviation is not None else "")


def _or_none(result, name, metric=None, **arguments):
    try:
        return result.values(name, metric, **arguments)
    except ValueError:  # no validation data, so no best epoch; no corruptions
        return {}


def spread(values):
    """Returns mean and standard deviation of {seed: value}; `None` where none is.

    Both are the mean where that is not finite.
    """
    numbers = list(values.values())
    if not numbers:
        return None, None
    mean = statistics.fmean(numbers)
    if not np.isfinite(mean):  # a run diverged; `stdev` would fail
        return mean, mean
    return mean, statistics.stdev(numbers) if len(numbers) > 1 else None


def _ratio(new, old):
    return statistics.fmean(new) / statistics.fmean(old) if old else None


def _one(values):
    found = set(values)
    return found.pop() if len(found) == 1 else None
