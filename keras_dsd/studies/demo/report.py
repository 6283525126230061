"""What the demo prints: what it will do, and the table at its end.

Knows a `Result` of its two methods.
"""

import statistics
from typing import NamedTuple

import keras
from rich import box
from rich.table import Table

from keras_dsd.studies.demo import problem


def introduce(console, settings, plan):
    """Prints what will be trained, and why the comparison is fair."""
    lengths = ", ".join(f"{type(phase).__name__} {phase.epochs}" for phase in plan)
    (x_train, _), _, (x_test, _) = problem.data()
    console.rule("Dense-Sparse-Dense against conventional training")
    console.print(
        f"Data: handwritten digits, {len(x_train)} to train and {len(x_test)} to test "
        "(one fixed split, every digit as frequent in both). Network: a CNN of "
        f"{problem.network().count_params():,} weights, Keras on "
        f"{keras.backend.backend()}.\n"
        f"Both methods: {settings.epochs} epochs of SGD with momentum. For each seed "
        "they have the same initial weights, order of data and dropout, and in each "
        f"epoch the same learning rate: DSD's drop to x {plan[-1].lr_factor:g} for the "
        f"last {plan[-1].epochs} epochs is the conventional training's too.\n"
        f"DSD, in epochs: {lengths}; sparsity {settings.sparsity:g}. Accuracies are "
        "those after the last epoch; nothing was chosen by the test set. Each training "
        "is a process of its own; stopped, the same command goes on.\n"
    )


def compare(console, result):
    """Prints the table of the results and the verdict.

    Args:
        console: a `rich.console.Console`.
        result: a `Result` of "conventional" and "dsd".
    """
    console.print(_table(result))
    conventional, dsd = (
        statistics.fmean(
            epoch_seconds(run) for run in result.runs if run["method"] == m
        )
        for m in ("conventional", "dsd")
    )
    console.print(
        "Difference: DSD minus conventional, in percentage points. Spread: the sample "
        "standard deviation (std) over the seeds. Time: of all epochs, with the "
        "tracing of their steps, of which DSD has two, one with masks. Without it, a "
        f"median epoch takes {conventional * 1000:.0f} ms conventionally and "
        f"{dsd * 1000:.0f} ms with DSD: x {dsd / conventional:.2f}.\n"
    )
    console.print(f"[bold]Verdict:[/] {result.verdict('dsd').text}\n")


def epoch_seconds(run):
    """Returns how long the median epoch of a run took, which traces nothing."""
    return statistics.median(run["seconds"])


class _Row(NamedTuple):
    """A line of the table: accuracies and their difference in percent, seconds."""

    accuracy: float
    dsd_accuracy: float
    difference: float
    seconds: float
    dsd_seconds: float
    ratio: float

    def cells(self, sign="+"):
        """Returns its numbers as they are printed."""
        return (
            f"{self.accuracy:.2f} %",
            f"{self.dsd_accuracy:.2f} %",
            f"{self.difference:{sign}.2f}",
            f"{self.seconds:.1f} s",
            f"{self.dsd_seconds:.1f} s",
            f"{self.ratio:.2f}",
        )


def _rows(result):
    """Returns {seed: its line}, of seeds that both methods finished."""
    old, new = result.values("conventional"), result.values("dsd")
    old_seconds = result.values("conventional", "seconds")
    new_seconds = result.values("dsd", "seconds")
    return {
        seed: _Row(
            accuracy=old[seed] * 100,
            dsd_accuracy=new[seed] * 100,
            difference=(new[seed] - old[seed]) * 100,
            seconds=old_seconds[seed],
            dsd_seconds=new_seconds[seed],
            ratio=new_seconds[seed] / old_seconds[seed],
        )
        for seed in sorted(old.keys() & new.keys())
    }


def _table(result):
    table = Table(title="Test accuracy and training time", box=box.SIMPLE_HEAD)
    table.add_column("seed", no_wrap=True)
    for heading in (
        "conventional\naccuracy",
        "DSD\naccuracy",
        "difference\n(points)",
        "conventional\ntime",
        "DSD\ntime",
        "time\nratio",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = _rows(result)
    for seed, row in rows.items():
        table.add_row(str(seed), *row.cells())
    if len(rows) > 1:
        columns = list(zip(*rows.values(), strict=True))
        table.add_section()
        table.add_row("mean", *_Row(*map(statistics.fmean, columns)).cells())
        table.add_row("std", *_Row(*map(statistics.stdev, columns)).cells(sign=""))
    return table
