"""`keras-dsd demo`: the whole job once, on real data: train, compare, plot, export.

This file plays the parts in order and writes the results down; it needs the extra
`keras-dsd[demo]`. Each part is a file: `data`, `train`, `figure`, `report`.
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
from keras_dsd.deploy import saved_model
from keras_dsd.studies import verdicts
from keras_dsd.studies.demo import data, figure, report, train
from keras_dsd.training import phases

METHODS = ("conventional", "dsd")


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

    Args:
        settings: a `Settings`.
        console: a `rich.console.Console`. Defaults to `None`: standard output.

    Returns:
        The results, a dict as in `results.json`.
    """
    console = console or rich.console.Console(highlight=False)
    digits = data.digits()
    plan = phases.dsd(settings.epochs, sparsity=settings.sparsity)
    report.introduce(console, settings, digits, plan)
    with report.progress(console, settings, METHODS) as tell:
        train.warm_up(digits)
        pairs = [
            train.Pair(
                **{
                    method: train.train(
                        method, seed=seed, digits=digits, plan=plan, tell=tell
                    )
                    for method in METHODS
                }
            )
            for seed in range(settings.seeds)
        ]
    verdict = _judge(pairs, resolution=1 / len(digits.y_test))
    dsd = pairs[0].dsd
    report.compare(console, pairs, verdict)
    picture = settings.out / "weights.png"
    figure.histograms(dsd, picture)
    _say(console, f"Weights of the three phases: {picture}")
    with console.status("Exporting, and loading with plain TensorFlow"):
        exported = saved_model.export(
            dsd.model, settings.out / "saved_model", digits.x_test
        )
    _say(console, exported.text)
    results = _results(settings, pairs, verdict, exported)
    path = settings.out / "results.json"
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    _say(console, f"All numbers: {path}")
    return results


def _say(console, text):
    # A path may be longer than the line, and hold what looks like markup.
    console.print(text, markup=False, soft_wrap=True)


def _judge(pairs, resolution):
    accuracy = verdicts.Metric(
        name="accuracy", grows=True, scale=100, unit=" points", resolution=resolution
    )
    found = verdicts.judge(
        accuracy,
        {pair.seed: pair.conventional.accuracy for pair in pairs},
        {"DSD": {pair.seed: pair.dsd.accuracy for pair in pairs}},
    )
    return found["DSD"]


def _results(settings, pairs, verdict, exported):
    """Returns what `results.json` holds; accuracies are fractions, times seconds."""
    packages = ("keras", "matplotlib", "numpy", "sklearn", keras.backend.backend())
    return {
        "settings": {
            "seeds": list(range(settings.seeds)),
            "epochs": settings.epochs,
            "sparsity": settings.sparsity,
            "batch_size": train.BATCH_SIZE,
            "learning_rate": train.LEARNING_RATE,
            "momentum": train.MOMENTUM,
            "last_phase_learning_rate_factor": train.LR_FACTOR,
            "backend": keras.backend.backend(),
        },
        "versions": {
            "python": platform.python_version(),
            "keras-dsd": __version__,
            **{package: sys.modules[package].__version__ for package in packages},
        },
        "runs": [
            {
                "seed": run.seed,
                "method": run.method,
                "accuracy": run.accuracy,
                "seconds": run.seconds,
                "median_epoch_seconds": run.epoch_seconds,
                "sparsity_by_phase": run.sparsity_by_phase(),
            }
            for pair in pairs
            for run in (pair.conventional, pair.dsd)
        ],
        "verdict": dataclasses.asdict(verdict),
        "saved_model": dataclasses.asdict(exported),
    }
