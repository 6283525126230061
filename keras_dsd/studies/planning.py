"""What a study will train, and how long that will take, before it does.

One run is tried for two epochs, in a process of its own; the rest is multiplication.
Knows studies and how they are played.
"""

import dataclasses
import json
import time

from keras_dsd.studies.compare import is_finished, look
from keras_dsd.studies.study import Study


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs that a study has yet to make.

    Args:
        runs: list of (method, seed).
        epochs: of each.
        epoch_seconds: of the first method's second epoch, the first having traced it.
        start_seconds: of a process, before and beside its epochs.
        workers: how many run at once.
        done: how many runs are made already.
    """

    runs: list
    epochs: int
    epoch_seconds: float
    start_seconds: float
    workers: int
    done: int

    @property
    def seconds(self):
        """How long all of it will take, about."""
        one = self.start_seconds + self.epochs * self.epoch_seconds
        return one * -(-len(self.runs) // self.workers)

    def to_json(self):
        """Returns it as JSON, how long it will take (`seconds`) too."""
        return json.dumps({**dataclasses.asdict(self), "seconds": self.seconds})

    def lines(self):
        """Returns it in words, a list of lines, one for each method's runs."""
        by_method: dict = {}
        for method, seed in self.runs:
            by_method.setdefault(method, []).append(str(seed))
        made = f", {self.done} made before" if self.done else ""
        return [
            *(
                f"{method}: seeds {', '.join(seeds)}"
                for method, seeds in by_method.items()
            ),
            f"{len(self.runs)} runs of {self.epochs} epochs{made}",
            f"about {_duration(self.seconds)} on {self.workers} at a time: "
            f"{self.epoch_seconds:.2g} s an epoch, {self.start_seconds:.2g} s to start "
            "(measured now; epochs with masks may take longer)",
        ]


def plan(build, data, *, methods, workers=1, **arguments):
    """Returns the `Plan` of a study; writes nothing, and trains two epochs.

    Args:
        build: as for `compare`.
        data: as for `compare`.
        methods: as for `compare`.
        workers: as for `compare`.
        **arguments: others of `compare`.

    Raises:
        TypeError, ValueError: as `compare`, before anything is trained.
    """
    for name in ("threads", "executor", "verbose"):
        arguments.pop(name, None)
    arguments.setdefault("fit", None)
    study = Study.of(build, data, methods_wanted=methods, **arguments)
    study.checked()
    missing = [run for run in study.runs if not is_finished(study, run)]
    start = time.perf_counter()
    epoch = look(study, timed=True)["epoch_seconds"]
    beside = max(0.0, time.perf_counter() - start - 2 * epoch)
    return Plan(
        runs=missing,
        epochs=study.epochs,
        epoch_seconds=epoch,
        start_seconds=beside,
        workers=workers,
        done=len(study.runs) - len(missing),
    )


def _duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
