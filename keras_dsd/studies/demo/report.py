"""What the demo prints: what it will do, how far it is, and the table at its end."""

import contextlib
import statistics
from typing import NamedTuple

import keras
from rich import box
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from keras_dsd.studies.demo import train

NAMES = {"conventional": "conventional", "dsd": "DSD"}


def introduce(console, settings, digits, plan):
    """Prints what will be trained, and why the comparison is fair."""
    lengths = ", ".join(f"{type(phase).__name__} {phase.epochs}" for phase in plan)
    console.rule("Dense-Sparse-Dense against conventional training")
    console.print(
        f"Data: handwritten digits, {len(digits.y_train)} to train and "
        f"{len(digits.y_test)} to test (one fixed split, every digit as frequent in "
        f"both). Network: a CNN of {train.network().count_params():,} weights, Keras "
        f"on {keras.backend.backend()}.\n"
        f"Both methods: {settings.epochs} epochs of SGD with momentum. For each seed "
        "they have the same initial weights, order of data and dropout, and in each "
        f"epoch the same learning rate: DSD's drop to x {train.LR_FACTOR:g} for the "
        f"last {plan[-1].epochs} epochs is the conventional training's too.\n"
        f"DSD, in epochs: {lengths}; sparsity {settings.sparsity:g}. Accuracies are "
        "those after the last epoch; nothing was chosen by the test set.\n"
    )


@contextlib.contextmanager
def progress(console, settings, methods):
    """Shows how far the trainings are.

    Yields:
        What `train.train` takes as `tell`.
    """
    total = settings.seeds * len(methods) * settings.epochs
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("warming up", total=total)

        def tell(seed, method, phase, epoch):
            phase = f" {phase}" if method == "dsd" else ""
            bar.update(
                task,
                completed=(seed * len(methods) + methods.index(method))
                * settings.epochs
                + epoch,
                description=f"seed {seed} ({seed + 1}/{settings.seeds}) "
                f"{NAMES[method]}{phase} epoch {epoch + 1}/{settings.epochs}",
            )

        yield tell


def compare(console, pairs, verdict):
    """Prints the table of the results and the verdict.

    Args:
        console: a `rich.console.Console`.
        pairs: list of `train.Pair`s, one for each seed.
        verdict: a `verdicts.Verdict`.
    """
    console.print(_table(pairs))
    conventional = statistics.fmean(pair.conventional.epoch_seconds for pair in pairs)
    dsd = statistics.fmean(pair.dsd.epoch_seconds for pair in pairs)
    console.print(
        "Difference: DSD minus conventional, in percentage points. Spread: the sample "
        "standard deviation (std) over the seeds. Time: of `fit`, with the tracing of "
        "its steps, of which DSD has two, one with masks. Without it, a median epoch "
        f"takes {conventional * 1000:.0f} ms conventionally and {dsd * 1000:.0f} ms "
        f"with DSD: x {dsd / conventional:.2f}.\n"
    )
    console.print(f"[bold]Verdict:[/] {verdict.text}\n")


class _Row(NamedTuple):
    """A line of the table: accuracies and their difference in percent, seconds."""

    accuracy: float
    dsd_accuracy: float
    difference: float
    seconds: float
    dsd_seconds: float
    ratio: float

    @classmethod
    def of(cls, pair):
        """Returns the line of one seed."""
        old, new = pair.conventional, pair.dsd
        return cls(
            accuracy=old.accuracy * 100,
            dsd_accuracy=new.accuracy * 100,
            difference=(new.accuracy - old.accuracy) * 100,
            seconds=old.seconds,
            dsd_seconds=new.seconds,
            ratio=new.seconds / old.seconds,
        )

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


def _table(pairs):
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
    rows = [_Row.of(pair) for pair in pairs]
    for pair, row in zip(pairs, rows, strict=True):
        table.add_row(str(pair.seed), *row.cells())
    if len(pairs) > 1:
        columns = list(zip(*rows, strict=True))
        table.add_section()
        table.add_row("mean", *_Row(*map(statistics.fmean, columns)).cells())
        table.add_row("std", *_Row(*map(statistics.stdev, columns)).cells(sign=""))
    return table
