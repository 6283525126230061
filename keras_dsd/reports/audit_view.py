"""The log of mask updates for people: a table and a picture.

Needs the extra `keras-dsd[demo]`. Knows the records that `audit.read` returns; knows no
file of theirs and no model.
"""

import matplotlib
import rich.console
from rich import box
from rich.table import Table

matplotlib.use("Agg")  # a file, no window; before pyplot is imported

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, PercentFormatter

SPARSITY, EXPLORED, GROWN = "#2b6ca3", "#e08a1e", "#3a7d44"
SHOWN = 20  # updates at the beginning, and as many at the end
HEADINGS = (
    "step",
    "epoch",
    "phase",
    "drop\nfraction",
    "sparsity",
    "dropped",
    "grown",
    "explored",
)


def show(records):
    """Prints a table of updates; of many, the first and the last.

    Args:
        records: list of dicts, as `audit.read` returns it.
    """
    console = rich.console.Console(highlight=False)
    table = Table(title="Mask updates", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        # A number that is too long goes on in the next line, rather than be cut.
        table.add_column(heading, justify="right", overflow="fold")
    left_out = max(len(records) - 2 * SHOWN, 0)
    for index, record in enumerate(records):
        if left_out and index == SHOWN:
            table.add_row(*["..."] * len(HEADINGS))
        if not left_out or not SHOWN <= index < len(records) - SHOWN:
            table.add_row(*_cells(record))
    console.print(table)
    if left_out:
        console.print(
            f"{left_out:,} of {len(records):,} updates are left out: "
            f"those between the first {SHOWN} and the last {SHOWN}."
        )
    for record in records:
        if "search" in record:
            console.print(_found(record["phase"], record["search"]), markup=False)


def _found(phase, search):
    """Returns how `sparsity="auto"` found the sparsity of a phase, a line of text."""
    tried = ", ".join(
        f"{value} at {sparsity:g}"
        for path, sparsity, value in sorted(search["trials"], key=lambda one: one[1])
        if path is None
    )
    return (
        f"Phase {phase}: sparsity {search['sparsity']:.3f} was found, at which "
        f"val_{search['metric']} ({search['baseline']:.4g}) gets worse by no more than "
        f"{search['tolerance']:g}. Tried: {tried}."
    )


def _cells(record):
    return (
        f"{record['step']:,}",
        f"{record['epoch']:,}",
        f"{record['phase']}",
        f"{record['drop_fraction']:.2%}",
        f"{_sparsity(record):.2%}",
        f"{_total(record, 'dropped'):,}",
        f"{_total(record, 'grown'):,}",
        f"{record['explored']:.2%}",
    )


def _total(record, name):
    return sum(weight[name] for weight in record["weights"])


def _sparsity(record):
    """Returns the fraction of all connections that the update left inactive."""
    size = _total(record, "size")
    active = _total(record, "kept") + _total(record, "grown")
    return 1 - active / size if size else 0.0


def plot(records, file):
    """Draws sparsity, explored connections and growth against the step, as a PNG.

    Args:
        records: list of dicts, as `audit.read` returns it.
        file: path of the picture.

    Raises:
        OSError: the file can't be written.
    """
    steps = [record["step"] for record in records]
    figure, (shares, counts) = plt.subplots(
        2, 1, figsize=(9, 6), sharex=True, layout="constrained"
    )
    shares.plot(
        steps, list(map(_sparsity, records)), ".-", color=SPARSITY, label="sparsity"
    )
    shares.plot(
        steps,
        [record["explored"] for record in records],
        ".-",
        color=EXPLORED,
        label="explored: ever active in the phase",
    )
    shares.set_ylim(-0.02, 1.02)
    shares.yaxis.set_major_formatter(PercentFormatter(1))
    shares.set_ylabel("share of connections")
    shares.legend(frameon=False)
    counts.plot(steps, [_total(record, "grown") for record in records], ".-", c=GROWN)
    counts.set_ylim(bottom=0)
    counts.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
    counts.set_ylabel("connections grown")
    counts.set_xlabel("optimizer step")
    for panel in (shares, counts):
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Mask updates")
    try:
        figure.savefig(file, dpi=150, format="png")
    finally:
        plt.close(figure)
