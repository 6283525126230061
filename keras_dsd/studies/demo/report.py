"""What the demo prints: what it will do, how far it is, and the table at its end."""

import contextlib
import statistics

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
from keras_dsd.training import phases

NAMES = {"conventional": "conventional", "dsd": "DSD"}


def introduce(console, settings, digits):
    """Prints what will be trained, and why the comparison is fair."""
    plan = phases.dsd(settings.epochs, sparsity=settings.sparsity)
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
        pairs: list of (conventional, DSD), the two `train.Run`s of each seed.
        verdict: a `verdicts.Verdict`.
    """
    console.print(_table(pairs))
    epochs = [
        statistics.fmean(run.epoch_seconds for run in runs)
        for runs in zip(*pairs, strict=True)
    ]
    console.print(
        "Difference: DSD minus conventional, in percentage points. Spread: the sample "
        "standard deviation (std) over the seeds. Time: of `fit`, with the tracing of "
        "its steps, of which DSD has two, one with masks. Without it, a median epoch "
        f"takes {epochs[0] * 1000:.0f} ms conventionally and {epochs[1] * 1000:.0f} ms "
        f"with DSD: x {epochs[1] / epochs[0]:.2f}.\n"
    )
    console.print(f"[bold]Verdict:[/] {verdict.text}\n")


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
    rows = [
        (
            conventional.accuracy * 100,
            dsd.accuracy * 100,
            (dsd.accuracy - conventional.accuracy) * 100,
            conventional.seconds,
            dsd.seconds,
            dsd.seconds / conventional.seconds,
        )
        for conventional, dsd in pairs
    ]
    for (conventional, _), row in zip(pairs, rows, strict=True):
        table.add_row(str(conventional.seed), *_cells(row))
    if len(pairs) > 1:
        columns = list(zip(*rows, strict=True))
        table.add_section()
        table.add_row("mean", *_cells(map(statistics.fmean, columns)))
        table.add_row("std", *_cells(map(statistics.stdev, columns), sign=""))
    return table


def _cells(row, sign="+"):
    conventional, dsd, difference, time, time_dsd, ratio = row
    return (
        f"{conventional:.2f} %",
        f"{dsd:.2f} %",
        f"{difference:{sign}.2f}",
        f"{time:.1f} s",
        f"{time_dsd:.1f} s",
        f"{ratio:.2f}",
    )
