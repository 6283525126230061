"""The pictures of a run's page: sparsity and explored, churn, metrics by epoch.

Knows the record that `run_record` makes, and pages; draws with matplotlib.
"""

import itertools

from keras_dsd.reports.page import Picture, Text

SPARSITY, EXPLORED, GROWN = "#2f7fc1", "#b0690f", "#2e8b57"


def _axes():
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    return figure, figure.subplots()


def _percent(axes, language):
    axes.yaxis.set_major_formatter(lambda y, _: language.value(y, "whole_percent"))


def _drawn(value):
    return float("nan") if value is None else value


def sparsity(record):
    """Returns the picture of sparsity and explored over steps, a list."""
    first, last = record["updates"][0], record["updates"][-1]
    values = {
        "first": first["sparsity"],
        "last": last["sparsity"],
        "first_step": first["step"],
        "last_step": last["step"],
        "explored": last["explored"],
    }

    def draw(language):
        figure, axes = _axes()
        steps = [update["step"] for update in record["updates"]]
        for name, color, dashes in (
            ("sparsity", SPARSITY, ".-"),
            ("explored", EXPLORED, ".--"),
        ):
            share = [update[name] for update in record["updates"]]
            # Between two updates masks stay as they are.
            label = language.caption(f"run.table.{name}")
            axes.plot(
                steps, share, dashes, drawstyle="steps-post", color=color, label=label
            )
        axes.set_ylim(-0.02, 1.02)
        _percent(axes, language)
        axes.set_xlabel(language.caption("run.table.step"))
        axes.legend()
        return figure

    caption = Text("run.figure.sparsity")
    return [Picture(caption, Text("run.figure.sparsity_alt", values), draw)]


def churn(record):
    """Returns the picture of churn over steps, a list."""
    most = max(record["updates"], key=lambda update: update["churn"])
    last = record["updates"][-1]
    values = {
        "most": most["churn"],
        "step": most["step"],
        "last": last["churn"],
        "last_step": last["step"],
    }

    def draw(language):
        figure, axes = _axes()
        steps = [update["step"] for update in record["updates"]]
        share = [update["churn"] for update in record["updates"]]
        axes.plot(steps, share, ".-", color=GROWN)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda y, _: language.value(y, "percent"))
        axes.set_xlabel(language.caption("run.table.step"))
        axes.set_ylabel(language.caption("run.table.churn"))
        return figure

    caption = Text("run.figure.churn")
    return [Picture(caption, Text("run.figure.churn_alt", values), draw)]


def metrics(record):
    """Returns the picture of the losses by epoch, a list; empty where there is none."""
    epochs = record["epochs"]
    names = [name for name in ("loss", "val_loss") if name in epochs[0]]
    if not names or len(epochs) < 2:
        return []
    values = {
        "name": names[-1],
        "first": epochs[0][names[-1]],
        "last": epochs[-1][names[-1]],
        "count": len(epochs),
    }

    def draw(language):
        figure, axes = _axes()
        numbers = [epoch["epoch"] for epoch in epochs]
        for name, color, dashes in zip(
            names, (EXPLORED, SPARSITY), ("--", "-"), strict=False
        ):
            losses = [_drawn(epoch[name]) for epoch in epochs]
            axes.plot(numbers, losses, dashes, color=color, label=name)
        for before, epoch in itertools.pairwise(epochs):
            if before["phase"] != epoch["phase"]:
                axes.axvline(epoch["epoch"] - 0.5, color="#888888", linewidth=0.8)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel(language.caption("run.table.epoch"))
        axes.legend()
        return figure

    caption = Text("run.figure.losses")
    return [Picture(caption, Text("run.figure.losses_alt", values), draw)]
