"""One training from the command line: prepared, run, resumed, evaluated, exported.

Knows what a user of the library calls; its settings are the command's arguments.
"""

import dataclasses
import json
import pathlib
import shlex
import sys
from typing import Any

import keras
import numpy as np

from keras_dsd import deploy
from keras_dsd._shared import checks
from keras_dsd.analysis import sparsity
from keras_dsd.cli.training import compiling, data, page, plan
from keras_dsd.layers import conversion
from keras_dsd.studies import batches, measuring, methods, task
from keras_dsd.training import callback
from keras_dsd.training.backup import Backup

SETTINGS = "settings.json"  # what `--config` reads to do the same again
UNKEPT = ("out", "json", "dry_run", "command_line")
FREE = ("export", "backend")  # may be others when a run goes on


@dataclasses.dataclass
class Job:
    """A training that was checked as far as it can be.

    Args:
        settings: dict of the command's arguments.
        model: the compiled model, prunable if there are phases.
        parts: {part: (x, y) or a data set}.
        phases: list of phases.
        told: list of str; what was decided for the user.
    """

    settings: dict
    model: Any
    parts: dict
    phases: list
    told: list

    @property
    def folder(self):
        """The folder of the results."""
        return pathlib.Path(self.settings["out"])

    def preview(self, as_json):
        """Returns what would be pruned, as text or JSON."""
        report = sparsity.sparsity_report(self.model)
        if as_json:
            rows = [dataclasses.asdict(row) for row in report.rows]
            return json.dumps({"phases": list(map(str, self.phases)), "rows": rows})
        return "\n".join([*self.told, *map(str, self.phases), str(report)])

    def run(self):
        """Trains, evaluates and exports; returns a `page.Page`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _remember(self.settings, self.folder)
        for line in self.told:
            print(line)
        self._fit()
        model = conversion.strip(self.model) if self.phases else self.model
        model.save(self.folder / "model.keras")
        found = page.Page(
            command=self.settings["command_line"],
            told=self.told,
            phases=list(map(str, self.phases)),
            metrics=measuring.metrics(model, self.parts, self.settings["batch_size"]),
            epochs=_logged(self.folder / "log.csv"),
            export=self._export(model),
        )
        (self.folder / "page.md").write_text(found.to_markdown(), encoding="utf-8")
        return found

    def _fit(self):
        size, seed = self.settings["batch_size"], self.settings["seed"]
        train, order = self.parts["train"], None
        if isinstance(train, tuple):
            train = order = batches.Batches(train, size, seed)
        elif isinstance(train, data.Redrawn):
            order = train
        held = self.parts["validation"]
        self.model.fit(
            train,
            validation_data=_in_order(held, size),
            epochs=self.settings["epochs"],
            callbacks=[batches.Draws(seed, order), *self._callbacks()],
            verbose=2,
            shuffle=False,  # the order is drawn by the epoch
        )

    def _callbacks(self):
        made = []
        if self.phases:
            audit = self.folder / "audit.jsonl" if self.settings["audit"] else None
            made.append(
                callback.DSDCallback(
                    self.phases, seed=self.settings["seed"], audit=audit, verbose=0
                )
            )
        made.append(keras.callbacks.CSVLogger(self.folder / "log.csv", append=True))
        if self.settings["tensorboard"]:
            made.append(keras.callbacks.TensorBoard(self.folder / "tensorboard"))
        return [*made, Backup(self.folder / "run.weights.h5", verbose=1)]

    def _export(self, model):
        format = self.settings["export"]
        if format is None:
            torch = keras.backend.backend() == "torch"
            format = "keras" if torch else "saved_model"
        if format == "none":
            return None
        path = self.folder / f"export{deploy.FORMATS[format].ending}"
        return deploy.export(
            model,
            path,
            format=format,
            inputs=_some(self.parts["test"]),
            sparse=bool(self.phases) and self.phases[-1].is_sparse,
            overwrite=True,
        )


def prepare(settings):
    """Returns a `Job`, after all that can be checked was; nothing is written.

    Raises:
        OSError, TypeError, ValueError: an argument, a file or a function is wrong.
    """
    settings = {
        **settings,
        "command_line": shlex.join(["keras-dsd", *sys.argv[1:]]),
        "backend": keras.backend.backend(),
        "phases": plan.read(settings["phases"]),
    }
    for name in ("epochs", "batch_size"):
        checks.integer(settings[name], name, at_least=1)
    phases = plan.of(settings)
    _check_folder(settings)
    sys.path.insert(0, "")  # for modules beside the user
    keras.utils.set_random_seed(settings["seed"])
    if settings["mixed_precision"]:
        keras.config.set_dtype_policy(settings["mixed_precision"])
    model = _model(settings["model"])
    parts = data.load(
        settings["data"],
        target=settings["target"],
        shape=model.input_shape[1:] if len(model.inputs or ()) == 1 else None,
        batch_size=settings["batch_size"],
        seed=settings["seed"],
    )
    if phases:
        gradients = methods.needs_gradients(phases)
        model = conversion.make_prunable(model, track_gradients=gradients)
    told = compiling.compile(model, parts["train"], settings)
    return Job(settings, model, parts, phases, told)


def _model(name):
    if ":" in name:
        model = task.function(name, "MODEL")()
    elif pathlib.Path(name).suffix == ".keras":
        model = keras.models.load_model(name)
    else:
        raise ValueError(
            f"MODEL must be a .keras file or module:function. Received: {name}"
        )
    if not isinstance(model, keras.Model) or not model.built:
        raise TypeError(
            f"MODEL must be, or return, a built `keras.Model`. Received: {model!r}"
        )
    if conversion.prunable_layers(model):
        raise ValueError(
            "MODEL must be a plain model; a model in the middle of its phases goes on "
            f"by the command that began them. Received: {name}"
        )
    return model


def _kept(settings):
    return {
        key: value
        for key, value in settings.items()
        if key not in UNKEPT and value is not None
    }


def _check_folder(settings):
    folder = pathlib.Path(settings["out"])
    file = folder / SETTINGS
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`--out` must be a folder. Received: --out {folder}")
    if not file.exists():
        return
    before, now = json.loads(file.read_text(encoding="utf-8")), _kept(settings)
    other = sorted(
        key
        for key in before.keys() | now.keys()
        if key not in FREE and before.get(key) != now.get(key)
    )
    if other:
        received = ", ".join(f"{key}={now.get(key)!r}" for key in other)
        raise ValueError(
            "The folder holds a run with other settings: choose another --out. "
            f"Received: {received} in {folder}"
        )


def _remember(settings, folder):
    (folder / SETTINGS).write_text(json.dumps(_kept(settings), indent=2) + "\n")


def _in_order(part, size):
    return batches.in_order(part, size) if isinstance(part, tuple) else part


def _logged(path):
    """Returns how many epochs the log has."""
    return sum(1 for line in path.read_text().splitlines() if line[:1].isdigit())


def _some(part):
    """Returns a few inputs of a part."""
    x = part[0][:4] if isinstance(part, tuple) else next(iter(part))[0]
    return keras.tree.map_structure(
        lambda array: np.asarray(keras.ops.convert_to_numpy(array))[:4], x
    )
