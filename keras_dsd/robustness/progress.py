"""The progress bar of long measurements. Knows how many steps there are, no more."""

import contextlib

from rich import progress
from rich.console import Console


@contextlib.contextmanager
def bar(steps, shown):
    """Yields a function `advance(text, steps=steps)` that moves a progress bar on.

    Args:
        steps: how many there will be, or `None`: nobody knows, or not yet.
        shown: whether to show it at all.
    """
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
    )
    # Beside the results, which may be written to a file.
    console = Console(stderr=True)
    with progress.Progress(*columns, console=console, disable=not shown) as shown_bar:
        task = shown_bar.add_task("", total=steps)

        def advance(text, steps=steps):
            shown_bar.update(task, advance=1, total=steps, description=text)

        yield advance
