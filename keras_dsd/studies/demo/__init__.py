"""`keras-dsd demo`: the whole job once, on real data: train, compare, plot, export.

A study of two methods, and what it shows; needs the extra `keras-dsd[demo]`. Each part
is a file: `problem`, `phase_ends`, `figure`, `report`.
"""

import dataclasses
import json
import pathlib
import platform
import sys

import keras
import rich.console

from keras_dsd._shared import checks
from keras_dsd._version import __version__
from keras_dsd.deploy import export
from keras_dsd.studies import methods
from keras_dsd.studies.compare import compare
from keras_dsd.studies.demo import figure, phase_ends, problem, report
from keras_dsd.training import phases

NOT_EXPORTED = "Not exported: Keras can't write a SavedModel on the torch backend."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user can choose. Makes the folder for the results.

    Args:
        seeds: how many seeds, 1 or more; they are 0, 1, 2 and so on.
        epochs: of each training, 3 or more: a third for each phase.
        sparsity: of the sparse phase, in [0, 1).
        out: path of the folder for the results.

    Raises:
        TypeError, ValueError: an argument is not as said.
        OSError: the folder can't be made.
    """

    seeds: int
    epochs: int
    sparsity: float
    out: pathlib.Path

    def __post_init__(self):
        checks.integer(self.seeds, "seeds", at_least=1)
        checks.integer(self.epochs, "epochs", at_least=3)
        checks.sparsity(self.sparsity)
        out = pathlib.Path(self.out)
        if out.exists() and not out.is_dir():
            raise ValueError(f"`out` must be a folder. Received: out={str(out)!r}")
        out.mkdir(parents=True, exist_ok=True)
        object.__setattr__(self, "out", out)


def run(settings, console=None):
    """Runs the demo, prints what it finds and writes it to `settings.out`.

    Stopped, it goes on when it is called again with the same settings.

    Args:
        settings: a `Settings`.
        console: a `rich.console.Console`. Defaults to `None`: standard output.

    Returns:
        The results, a dict as in `results.json`.

    Raises:
        ValueError: the folder holds the study of other settings.
        RuntimeError: a training failed.
    """
    console = console or rich.console.Console(highlight=False)
    plan = phases.dsd(settings.epochs, sparsity=settings.sparsity)
    weights = settings.out.absolute() / "weights"

    def keep():
        return [phase_ends.PhaseEnds(weights, plan)]

    report.introduce(console, settings, plan)
    result = compare(
        problem.build,
        problem.data,
        methods={
            "conventional": methods.Method(phases=methods.as_dense(plan)),
            "dsd": methods.Method(phases=plan, callbacks=keep),
        },
        epochs=settings.epochs,
        seeds=range(settings.seeds),
        directory=settings.out / "study",
        fit={"batch_size": problem.BATCH_SIZE},
    )
    if result.failures:
        raise RuntimeError(f"A training failed: {result.failures[0]['error']}")
    report.compare(console, result)
    picture = settings.out / "weights.png"
    kept = {phase: phase_ends.kernels(weights, phase) for phase in figure.TITLES}
    figure.histograms(kept, picture)
    _say(console, f"Weights of the three phases: {picture}")
    with console.status("Exporting, and loading with plain TensorFlow"):
        exported = _export(phase_ends.model(weights, "Redense"), settings.out)
    _say(console, exported or NOT_EXPORTED)
    results = _results(settings, plan, result, exported)
    path = settings.out / "results.json"
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    _say(console, f"All numbers: {path}")
    return results


def _export(model, folder):
    if keras.backend.backend() == "torch":
        return None
    path, x = folder / "saved_model", problem.data()[2][0]
    return export(model, path, inputs=x, overwrite=True)


def _say(console, text):
    # A path may be longer than the line, and hold what looks like markup.
    console.print(str(text), markup=False, soft_wrap=True)


def _results(settings, plan, result, exported):
    """Returns what `results.json` holds; accuracies are fractions, times seconds."""
    packages = ("keras", "matplotlib", "numpy", "sklearn", keras.backend.backend())
    return {
        "settings": {
            "seeds": list(range(settings.seeds)),
            "epochs": settings.epochs,
            "sparsity": settings.sparsity,
            "batch_size": problem.BATCH_SIZE,
            "learning_rate": problem.LEARNING_RATE,
            "momentum": problem.MOMENTUM,
            "last_phase_learning_rate_factor": plan[-1].lr_factor,
            "backend": keras.backend.backend(),
        },
        "versions": {
            "python": platform.python_version(),
            "keras-dsd": __version__,
            **{package: sys.modules[package].__version__ for package in packages},
        },
        "runs": [
            {
                "seed": run["seed"],
                "method": run["method"],
                "accuracy": run["metrics"]["last"]["test"]["accuracy"],
                "seconds": sum(run["seconds"]),
                "median_epoch_seconds": report.epoch_seconds(run),
                "sparsity_by_phase": {
                    type(plan[int(logs["dsd_phase"])]).__name__: logs["sparsity"]
                    for logs in (run["history"] if run["method"] == "dsd" else ())
                },
            }
            for run in sorted(result.runs, key=lambda run: run["seed"])
        ],
        "verdict": dataclasses.asdict(result.verdict("dsd")),
        "saved_model": exported and exported.to_dict(),
    }
