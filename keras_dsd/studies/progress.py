"""How far a study is: runs done, running with their epoch, failed, and the time left.

Knows names and numbers.
"""

import contextlib

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Told:
    """Takes news of runs, and says nothing."""

    def began(self, run):
        """A run began."""

    def epoch(self, run, epochs):
        """A run has so many epochs behind it."""

    def ended(self, run, error):
        """A run ended; `error` is `None` or says how it failed."""


class _Shown(Told):
    def __init__(self, bars, total, epochs):
        self.bars, self.epochs = bars, epochs
        self.all = bars.add_task(
            "runs", total=total * epochs, runs=total, ended=0, note=""
        )
        self.behind = {}
        self.failed = 0
        self.ended_runs = 0

    def began(self, run):
        self.epoch(run, 0)

    def epoch(self, run, epochs):
        self.behind[run] = epochs
        self._show()

    def ended(self, run, error):
        self.behind.pop(run, None)
        self.failed += error is not None
        if error is not None:
            self.bars.console.print(
                f"{_name(run)} failed: {error['message']}", markup=False
            )
        self.ended_runs += 1
        self._show()

    def _show(self):
        running = ", ".join(
            f"{_name(run)} {epoch}/{self.epochs}"
            for run, epoch in list(self.behind.items())
        )
        failed = f", {self.failed} failed" if self.failed else ""
        behind = self.ended_runs * self.epochs + sum(self.behind.values())
        self.bars.update(
            self.all,
            completed=behind,
            ended=self.ended_runs,
            note=f"{running}{failed}",
        )


@contextlib.contextmanager
def shown(study, missing, verbose):
    """Shows the progress of the missing runs of a study; yields a `Told`."""
    if not verbose:
        yield Told()
        return
    console = Console(stderr=True, highlight=False)
    done = len(study.runs) - len(missing)
    console.print(
        f"Study of {_count(study.methods, 'method')} and {_count(study.seeds, 'seed')} "
        f"in {study.directory}: {_count(missing, 'run')} of {study.epochs} epochs to "
        "train" + (f", {done} done before" if done else ""),
        markup=False,
        soft_wrap=True,
    )
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[ended]}/{task.fields[runs]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
    ) as bars:
        yield _Shown(bars, len(missing), study.epochs)


def _count(listed, what):
    return f"{len(listed)} {what}" + ("s" if len(listed) != 1 else "")


def _name(run):
    method, seed = run
    return f"{method}, seed {seed}"
