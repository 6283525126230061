"""The files of a search: what was suggested, what came of it, and what to try next.

Optuna suggests, by ask-and-tell; the files are the truth, and from them a search goes
on. Knows studies and spaces.
"""

import statistics
import warnings

from keras_dsd.studies import methods, records, spaces
from keras_dsd.studies.compare import compare, look
from keras_dsd.studies.result import Result
from keras_dsd.studies.study import Study


class Search:
    """A search in its folder. Arguments as those of `studies.tune`.

    `tune.json` says what it is; `trials/N.json` holds what was suggested, before it is
    trained; `search/` is a study that has a method for each trial.
    """

    def __init__(self, directory, space, sampler_seed, common, seeds, against):
        self.directory = directory
        self.space = space
        self.sampler_seed = sampler_seed
        self.common = common
        self.seeds = seeds
        self.against = against

    def begin(self):
        """Checks all that can be, and takes the folder.

        Raises:
            TypeError, ValueError: see `tune`.
        """
        methods.resolve([self.against], self.common["epochs"])
        spaces.suggest_phases(spaces.Longest(), self.common["epochs"], self.space)
        mine = {
            "version": records.VERSION,
            "space": records.to_json(self.space),
            "epochs": self.common["epochs"],
            "seeds": self.seeds,
            "sampler_seed": self.sampler_seed,
        }
        file = self.directory / "tune.json"
        if file.exists():
            before = records.read(file)
            other = [key for key in mine if before.get(key) != mine[key]]
            if other:
                raise records.StudyError(
                    f"`directory` holds another search: its {other[0]} is "
                    f"{before.get(other[0])!r}. Received: {mine[other[0]]!r}"
                )
            return
        if self.directory.exists() and any(self.directory.iterdir()):
            raise records.StudyError(
                "`directory` holds files, and no search. "
                f"Received: directory={str(self.directory)!r}"
            )
        self._look()
        records.write(file, mine)

    def _look(self):
        """Looks at the data, in a process: is there validation data?"""
        taken = ("workers", "executor", "threads", "verbose")
        arguments = {k: v for k, v in self.common.items() if k not in taken}
        study = Study.of(
            **{"fit": None, **arguments},
            methods_wanted=[self.against],
            seeds=self.seeds,
            directory=self.directory / "search",
        )
        found = look(study)
        if "validation" not in found["items"]:
            raise ValueError(
                "A search chooses on validation data: `data` must return some. "
                "Received: validation=None"
            )

    def run(self, trials, batch):
        """Suggests and trains until there are so many trials."""
        known = self.trials()
        self._train([one for one in known if one["value"] is None])
        while len(known) < trials:
            count = min(batch, trials - len(known))
            new = self._ask(known, count)
            for one in new:
                records.write(self._file(one["number"]), one)
            self._train(new)
            known += new

    def _train(self, asked):
        if asked:
            compare(
                **self.common,
                methods={self._name(one): self.method(one) for one in asked},
                seeds=self.seeds,
                directory=self.directory / "search",
            )

    def _ask(self, known, count):
        """Returns suggestions, which depend on what is known and nothing else."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=self.sampler_seed + len(known), multivariate=True, group=True
            )
        study = optuna.create_study(direction=self._direction(), sampler=sampler)
        for one in self.trials():
            # Asked for and told again: so Optuna knows the ranges as well.
            study.enqueue_trial(one["params"])
            trial = study.ask()
            spaces.suggest_phases(trial, self.common["epochs"], self.space)
            if one["value"] is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, one["value"])
        asked = []
        for index in range(count):
            trial = study.ask()
            spaces.suggest_phases(trial, self.common["epochs"], self.space)
            asked.append(
                {
                    "version": records.VERSION,
                    "number": len(known) + index,
                    "params": trial.params,
                }
            )
        return asked

    def _direction(self):
        found = self._results()
        grows = found.runs[0]["grows"] if found and found.runs else True
        return "maximize" if grows else "minimize"

    def method(self, one):
        """Returns the `Method` of a suggestion."""
        plan = spaces.suggest_phases(
            spaces.Given(one["params"]), self.common["epochs"], self.space
        )
        gradients = methods.needs_gradients(plan)
        return methods.Method(phases=plan, track_gradients=gradients)

    def trials(self):
        """Returns all suggestions with their values; `None` where a run failed."""
        found = self._results()
        return [{**one, "value": self._value(one, found)} for one in self._suggested()]

    def best(self):
        """Returns the suggestion with the best value.

        Raises:
            ValueError: all have failed.
        """
        valued = [one for one in self.trials() if one["value"] is not None]
        if not valued:
            failures = self._results().failures
            raise ValueError(
                "All trials failed. Received: "
                f"{failures[0]['error']['message'] if failures else 'no runs'}"
            )
        choose = max if self._direction() == "maximize" else min
        return choose(valued, key=lambda one: one["value"])

    def _suggested(self):
        files = sorted((self.directory / "trials").glob("[0-9]*.json"))
        return [records.read(file) for file in files]

    def _value(self, one, found):
        """Returns the mean over the seeds, or `None` unless all have a record."""
        if found is None or self._name(one) not in found.methods:
            return None
        values = found.values(self._name(one), part="validation")
        if len(values) < len(self.seeds):
            return None
        return statistics.fmean(values.values())

    def _results(self):
        try:
            return Result(self.directory / "search")
        except records.StudyError:
            return None

    def _file(self, number):
        return self.directory / "trials" / f"{number:05d}.json"

    @staticmethod
    def _name(one):
        return f"trial-{one['number']:03d}"
