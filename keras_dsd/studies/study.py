"""What a study is: its runs, and the folder that belongs to it and to no other.

Knows tasks and records; starts no process.
"""

import dataclasses
import json
import pathlib
from typing import Any

import keras

from keras_dsd._shared import checks, directions
from keras_dsd.studies import methods, records, task

FIT_NOT = ("x", "y", "epochs", "initial_epoch", "validation_data", "verbose", "shuffle")


@dataclasses.dataclass(frozen=True)
class Study:
    """A checked study. Arguments as those of `studies.compare`."""

    build: Any
    data: Any
    methods: dict
    epochs: int
    seeds: tuple
    directory: pathlib.Path
    compile: Any = None
    fit: dict = dataclasses.field(default_factory=dict)
    metric: str | None = None
    mode: str = "auto"
    last: int = 5
    robustness: dict | None = None

    # Each an option that a user names.
    @classmethod
    def of(  # noqa: PLR0913
        cls, build, data, *, methods_wanted, epochs, seeds, directory, fit, **others
    ):
        """Checks what a user gave, and returns the study.

        Raises:
            TypeError, ValueError: an argument is not as said.
        """
        epochs = checks.integer(epochs, "epochs", at_least=1)
        seeds = checks.listed(seeds, "seeds", "integers")
        seeds = tuple(checks.integer(seed, "seeds", at_least=0) for seed in seeds)
        if not seeds or len(set(seeds)) < len(seeds):
            raise ValueError(
                "`seeds` must be one or more, each once. "
                f"Received: seeds={list(seeds)!r}"
            )
        for name, value in (("build", build), ("data", data)):
            task.function(value, name)
        if others.get("compile") is not None:
            task.function(others["compile"], "compile")
        directions.check(others.get("mode", "auto"))
        checks.integer(others.get("last", 5), "last", at_least=1)
        return cls(
            build=build,
            data=data,
            methods=methods.resolve(methods_wanted, epochs),
            epochs=epochs,
            seeds=seeds,
            directory=pathlib.Path(directory).absolute(),
            fit=_fit(fit),
            **others,
        )

    @property
    def place(self):
        """Where its files lie."""
        return records.Place(self.directory)

    @property
    def runs(self):
        """All runs, (method, seed), seed by seed, so that pairs are finished early."""
        return [(name, seed) for seed in self.seeds for name in self.methods]

    def work(self, name, seed):
        """Returns the task of one run."""
        return task.Task(
            build=self.build,
            data=self.data,
            compile=self.compile,
            fit=self.fit,
            method=self.methods[name],
            name=name,
            seed=seed,
            epochs=self.epochs,
            metric=self.metric,
            mode=self.mode,
            last=self.last,
            robustness=self.robustness,
            directory=str(self.directory),
        )

    def claim(self):
        """Takes the folder for this study, or makes sure that it was taken by it.

        More seeds and more methods may come; all else must be as it was.

        Raises:
            records.StudyError: it holds another study, or something else.
        """
        records.write(self.place.study, self.checked())

    def checked(self):
        """Returns what `claim` writes, after the same checks; writes nothing."""
        mine = self._identity()
        if self.place.study.exists():
            before = records.read(self.place.study)
            _refuse_another(before, mine, self.directory)
            mine["methods"] = {**before["methods"], **mine["methods"]}
        elif self.directory.exists() and any(self.directory.iterdir()):
            raise records.StudyError(
                "`directory` holds files, and no study. "
                f"Received: directory={str(self.directory)!r}"
            )
        return mine

    def _identity(self):
        shared = {
            "build": task.identity(self.build),
            "data": task.identity(self.data),
            "compile": task.identity(self.compile),
            "fit": {key: _told(value) for key, value in sorted(self.fit.items())},
            "epochs": self.epochs,
            "metric": self.metric,
            "mode": self.mode,
            "last": self.last,
            "robustness": _told(self.robustness),
            "backend": keras.backend.backend(),
        }
        configs = {
            name: _told(
                {
                    **method.get_config(),
                    "callbacks": task.identity(method.callbacks),
                }
            )
            for name, method in self.methods.items()
        }
        return {"version": records.VERSION, **shared, "methods": configs}


def _fit(fit):
    fit = {} if fit is None else fit
    if not isinstance(fit, dict):
        raise TypeError(f"`fit` must be a dict of arguments. Received: fit={fit!r}")
    wrong = sorted(set(fit) & set(FIT_NOT))
    if wrong:
        raise ValueError(f"The study sets {wrong} itself. Received: fit={fit!r}")
    if fit.get("callbacks") is not None and not callable(fit["callbacks"]):
        task.function(fit["callbacks"], "fit['callbacks']")
    return dict(fit)


def _told(value):
    """Returns a value as JSON would give it back, functions by their identity."""
    return json.loads(
        json.dumps(
            value, default=lambda x: task.identity(x) if callable(x) else repr(x)
        )
    )


def _refuse_another(before, mine, directory):
    for key, value in mine.items():
        if key == "methods":
            changed = [
                name
                for name, config in value.items()
                if name in before[key] and before[key][name] != config
            ]
            if not changed:
                continue
            key = f"the method {changed[0]!r}"
        elif before.get(key) == value:
            continue
        else:
            key = f"{key}: {before.get(key)!r} there, {value!r} now"
        raise records.StudyError(
            f"`directory` holds another study ({key}); give each its own. "
            f"Received: directory={str(directory)!r}"
        )
