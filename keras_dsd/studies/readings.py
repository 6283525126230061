"""Readings: one number of a run's record, and how its metric is read and written.

Knows records.
"""

from keras_dsd._shared import directions
from keras_dsd.studies import verdicts

ACCURACIES = ("acc", "accuracy")


def value(run, metric, when, part):
    """Returns a number of a record, `None` if it has none; see `Result.values`."""
    if metric == "seconds":
        return sum(run["seconds"])
    if metric == "corrupted":
        return (run["robustness"] or {}).get("robust")
    if when == "mean_of_last":
        key = {"validation": f"val_{metric}", "train": metric}.get(part)
        return run["metrics"][when].get(key)
    return run["metrics"].get(when, {}).get(part, {}).get(metric)


def described(run, metric):
    """Returns the `verdicts.Metric` of a metric of a study.

    Args:
        run: any record of the study.
        metric: as for `Result.values`.
    """
    if metric == "seconds":
        return verdicts.Metric("training time", False, 1.0, " s")
    main = run["metric"]
    if metric not in ("corrupted", main):
        return verdicts.Metric(metric, directions.grows(metric))
    name = f"{main} under corruptions" if metric == "corrupted" else metric
    if main.endswith(ACCURACIES):
        return verdicts.Metric(
            name, run["grows"], 100, " points", resolution=run["resolution"]
        )
    return verdicts.Metric(name, run["grows"], resolution=run["resolution"])
