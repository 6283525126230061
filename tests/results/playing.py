"""Playing a part: its runs, seed by seed, until the time is over.

Each (setting, seed) is a study of its own, for each seed draws its own data: so what
differs from seed to seed is all that could, and pairs are independent. Knows parts,
studies and lines.
"""

import dataclasses
import functools
import pathlib
import time

from keras_dsd import studies
from tests.results import lines


def play(
    part, *, folder, data, hours, seeds=None, only="", core=False, workers=1, tell=print
):
    """Makes the runs of a part that are missing, and writes the lines of all.

    Args:
        part: a `Part`.
        folder: where the studies lie; outside of the repository.
        data: folder of the packs of data.
        hours: after how many no further seed of a setting is begun.
        seeds: how many. Defaults to `None`: the part's.
        only: of which settings, a part of their names. Defaults to all.
        core: whether to leave the rest of the methods for later. Defaults to False.
        workers: how many runs at once, each on one core. Defaults to 1.
        tell: called with a line of text after each seed of a setting.

    Returns:
        Whether all is finished.
    """
    end = time.monotonic() + hours * 3600
    rounds = (part.core,) if core else (part.core, tuple(part.methods))
    for methods in rounds:
        for seed in range(seeds or part.seeds):
            for setting in part.settings:
                if only not in setting.name:
                    continue
                if is_finished(part, setting, seed, folder, methods):
                    continue
                if time.monotonic() >= end:
                    return False
                begun = time.monotonic()
                play_seed(part, setting, seed, folder, data, workers, methods)
                took = time.monotonic() - begun
                tell(f"{setting.name}, seed {seed}, {len(methods)} runs: {took:.0f} s")
    return True


def play_seed(part, setting, seed, folder, data, workers, methods):
    """Makes the missing runs of one seed of a setting."""
    made = functools.partial(setting.data, data, seed)
    shared = {
        "epochs": part.epochs,
        "seeds": [seed],
        "fit": part.fit,
        "metric": part.metric,
        "mode": part.mode,
        "workers": workers,
        "threads": 1,
        "verbose": 0,
    }
    place = _place(part, setting, seed, folder)
    for name in _narrow(part, setting, methods):
        studies.compare(
            setting.narrow[name],
            made,
            methods=["conventional"],
            directory=place / name,
            **shared,
        )
    studies.compare(
        setting.build,
        made,
        methods={name: part.methods[name] for name in methods},
        directory=place / "full",
        **shared,
    )


def _place(part, setting, seed, folder):
    return pathlib.Path(folder) / part.name / setting.name / str(seed)


def _narrow(part, setting, methods):
    # Narrow models are no core: they come with the last of the methods.
    return list(setting.narrow) if set(methods) == set(part.methods) else []


def is_finished(part, setting, seed, folder, methods, *, failed=False):
    """Returns whether some runs of a seed all have a record.

    Args:
        part: a `Part`.
        setting: one of its settings.
        seed: number of the seed.
        folder: where the studies lie.
        methods: names of the methods.
        failed: whether the record of a run that failed counts. Defaults to False.
    """
    runs = _place(part, setting, seed, folder)
    wanted = [runs / "full/runs" / name / f"{seed}.json" for name in methods]
    wanted += [
        runs / name / f"runs/conventional/{seed}.json"
        for name in _narrow(part, setting, methods)
    ]
    return all(
        path.exists() or (failed and path.with_suffix(".failed.json").exists())
        for path in wanted
    )


def rehearse(part, *, folder, data, only=""):
    """Plays one run of three epochs of a part's first setting; returns `collect`'s."""
    chosen = [setting for setting in part.settings if only in setting.name][:1]
    small = dataclasses.replace(
        part,
        settings=tuple(dataclasses.replace(one, narrow={}) for one in chosen),
        methods={"conventional": "conventional"},
        core=("conventional",),
        epochs=3,
        seeds=1,
    )
    where = {"folder": folder, "data": data}
    play(small, **where, hours=1, tell=lambda text: None)
    return collect(small, **where, lines_folder=pathlib.Path(folder) / "lines")


def collect(part, *, folder, data, lines_folder=lines.FOLDER):
    """Writes the lines of finished runs.

    Those of a seed count when all of the core, or all of the rest, are there, so that a
    table never lacks the runs that happened to come last.

    Returns:
        {setting: how many lines}.
    """
    counts = {}
    for setting in part.settings:
        found = []
        for seed in range(part.seeds):
            for methods in (tuple(part.methods), part.core):
                if is_finished(part, setting, seed, folder, methods, failed=True):
                    found += lines_of(part, setting, seed, folder, data, methods)
                    break
        if found:
            path = pathlib.Path(lines_folder) / part.name / f"{setting.name}.jsonl.gz"
            lines.write(path, found)
            counts[setting.name] = len(found)
    return counts


def lines_of(part, setting, seed, folder, data, methods):
    """Returns the lines of some methods of one seed of a setting."""
    place = _place(part, setting, seed, folder)
    labels = None
    if part.metric == "accuracy":
        labels = setting.data(data, seed)[2][1]
    make = functools.partial(lines.of, setting=setting.name, labels=labels)
    results = {"": studies.Result(place / "full", methods=methods)}
    for name in _narrow(part, setting, methods):
        results[name] = studies.Result(place / name)
    found = []
    for name, result in results.items():
        found += [make(run, method=name or run["method"]) for run in result.runs]
        found += [
            lines.of_failed(run, setting=setting.name, method=name or run["method"])
            for run in result.failures
        ]
    return found
