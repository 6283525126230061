"""Where a method differs: by class and by test item, which a mean can hide.

Pruned networks can lose a few classes, or a narrow set of items, while the mean stays
as it was (Hooker et al. 2019). Knows records of runs and `paired`.
"""

import itertools
import statistics

import numpy as np

from keras_dsd.studies import measuring, paired

SHOWN = 5  # classes that are told, the most changed


def by_class(runs, method, against):
    """Returns what changed in each class, the most changed first.

    Args:
        runs: list of records.
        method: name of a method.
        against: name of the one it is compared with.

    Returns:
        list of dicts: `label`, `count` (test items), `accuracy` and `before` (means
        over the seeds that both have), `difference`, its 95 % interval `low` and
        `high`, and `p` after Holm over the classes; the last three are `None` with one
        seed. Empty without classes.
    """
    new, old = _classes(runs, method), _classes(runs, against)
    seeds = sorted(new.keys() & old.keys())
    if not seeds:
        return []
    counts = new[seeds[0]]["counts"]
    labels = [
        label
        for label in counts
        if all(
            label in found[seed]["accuracy"] for found in (new, old) for seed in seeds
        )
    ]
    before, after = (
        [[found[seed]["accuracy"][label] for seed in seeds] for label in labels]
        for found in (old, new)
    )
    rows = _changed(labels, before, after, [1 / counts[label] for label in labels])
    return [
        {
            "label": row["label"],
            "count": counts[row["label"]],
            "accuracy": row.pop("value"),
            **row,
        }
        for row in rows
    ]


def by_corruption(runs, method, against):
    """Returns what changed under each corruption, the most changed first.

    Returns:
        list of dicts: `label`, its name; `value` and `before`, means over severities
        and the seeds that both have; the others as `by_class`. Empty where corruptions
        were not measured.
    """
    new, old = _corrupted(runs, method), _corrupted(runs, against)
    seeds = sorted(new.keys() & old.keys())
    if not seeds:
        return []
    both = [found[seed] for found in (new, old) for seed in seeds]
    labels = [name for name in both[0] if all(name in found for found in both)]
    before, after = (
        [[found[seed][label] for seed in seeds] for label in labels]
        for found in (old, new)
    )
    return _changed(labels, before, after, [0.0] * len(labels))


def _changed(labels, befores, afters, steps):
    """Returns a row for each label, the most changed first."""
    pairs = paired.pair_each(befores, afters, steps)
    rows = []
    for label, before, after, pair in zip(labels, befores, afters, pairs, strict=True):
        rows.append(
            {
                "label": label,
                "value": statistics.fmean(after),
                "before": statistics.fmean(before),
                "difference": pair.mean,
                "low": pair.low,
                "high": pair.high,
            }
        )
    for row, p in zip(rows, paired.holm([pair.p for pair in pairs]), strict=True):
        row["p"] = None if row["low"] is None else p
    return sorted(rows, key=lambda row: -abs(row["difference"]))


def disagreements(runs, method, against):
    """Returns {seed: indices of test items on which two methods disagree}."""
    new, old = _predicted(runs, method), _predicted(runs, against)
    return {
        seed: np.flatnonzero(new[seed] != old[seed])
        for seed in sorted(new.keys() & old.keys())
    }


def by_item(runs, method, against):
    """Returns on how much of the test data two methods disagree, and where always.

    Two trainings never agree on all; how much two seeds of `against` disagree is the
    measure for it.

    Returns:
        dict: `share` of items on which the methods disagree with the same seed (mean
        over seeds); `between_seeds`, on which two seeds of `against` do, `None` with
        one seed; `always`: indices of items on which they disagree with every seed.
        `None` without classes.
    """
    found = disagreements(runs, method, against)
    if not found:
        return None
    old = _predicted(runs, against)
    items = len(next(iter(old.values())))
    between = [
        float(np.mean(old[one] != old[other]))
        for one, other in itertools.combinations(sorted(old), 2)
    ]
    always = set.intersection(*(set(indices.tolist()) for indices in found.values()))
    return {
        "share": statistics.fmean(len(indices) / items for indices in found.values()),
        "between_seeds": statistics.fmean(between) if between else None,
        "always": sorted(always),
    }


def lines(runs, method, against):
    """Returns the two findings in words, a list of lines; empty without classes."""
    rows, items = by_class(runs, method, against), by_item(runs, method, against)
    if not rows or items is None:
        return []
    said = f"{method} and {against} predict different classes for {items['share']:.1%} "
    said += "of the test items"
    if items["between_seeds"] is not None:
        said += f"; two seeds of {against} for {items['between_seeds']:.1%}"
    return [f"{method}, by class: {_changes(rows)}.", f"{said}."]


def _changes(rows):
    changed = [row for row in rows if row["p"] is not None and row["p"] <= 0.05]
    told = "; ".join(_told(row) for row in changed[:SHOWN])
    if len(changed) > SHOWN:
        told += f"; and {len(changed) - SHOWN} more"
    if told:
        return f"changed: {told}"
    if rows[0]["p"] is None:
        return (
            f"nothing can be concluded from one seed (most changed: {_told(rows[0])})"
        )
    return f"no change shown in any of {len(rows)} (most changed: {_told(rows[0])})"


def _told(row):
    text = f"class {row['label']} {row['difference'] * 100:+.2f} points"
    return text if row["p"] is None else f"{text}, p = {row['p']:.2g} after Holm"


def _classes(runs, method):
    return {
        run["seed"]: run["classes"]
        for run in runs
        if run["method"] == method and run["classes"]
    }


def _corrupted(runs, method):
    """Returns {seed: {corruption: mean over its severities}} of what is finite."""
    found = {}
    for run in runs:
        if run["method"] == method and run["robustness"]:
            table = run["robustness"]["report"]["table"]
            found[run["seed"]] = {
                name: statistics.fmean(row.values())
                for name, row in table.items()
                if row and None not in row.values()
            }
    return found


def _predicted(runs, method):
    return {
        seed: measuring.unpack(classes["predicted"])
        for seed, classes in _classes(runs, method).items()
    }
