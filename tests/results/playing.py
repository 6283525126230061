"""Playing a part: its runs, seed by seed, until the time is over.

Each (setting, seed) is a study of its own, for each seed draws its own data, as far as
there are enough. What has a line is not made again; the studies only hold what is under
way. Knows parts, studies and lines.
"""

import dataclasses
import functools
import pathlib
import shutil
import time

from keras_dsd import studies
from keras_dsd.studies.study import Study
from tests.results import lines


def play(
    part,
    *,
    folder,
    data,
    hours,
    lines_folder=lines.FOLDER,
    seeds=None,
    only="",
    core=False,
    executor=None,
    tell=print,
):
    """Makes the runs of a part that have no line, and writes their lines.

    Those of a seed are written together, so that a table never lacks the runs that
    happened to come last. A run that failed is tried again.

    Args:
        part: a `Part`.
        folder: where the studies under way lie; outside of the repository.
        data: folder of the packs of data.
        hours: after how many no further seed of a setting is begun.
        lines_folder: of the lines.
        seeds: how many. Defaults to `None`: the part's.
        only: of which settings, a part of their names. Defaults to all.
        core: whether to leave the rest of the methods for later. Defaults to False.
        executor: what makes the runs. Defaults to `None`: a fresh process for each.
        tell: called with a line of text after each seed of a setting.

    Returns:
        Whether all is finished.
    """
    end = time.monotonic() + hours * 3600
    rounds = (part.core,) if core else (part.core, None)
    for methods in rounds:
        for seed in range(seeds or part.seeds):
            for setting in part.settings:
                if only not in setting.name:
                    continue
                path = lines.path(lines_folder, part.name, setting.name)
                names = missing(part, setting, seed, path, methods)
                if not names:
                    continue
                if time.monotonic() >= end:
                    return False
                begun = time.monotonic()
                place = pathlib.Path(folder) / part.name / setting.name / str(seed)
                play_seed(part, setting, seed, place, data, names, executor=executor)
                lines.add(path, lines_of(part, setting, seed, place, data, names))
                shutil.rmtree(place)
                took = time.monotonic() - begun
                tell(f"{setting.name}, seed {seed}, {len(names)} runs: {took:.0f} s")
    return True


def missing(part, setting, seed, path, methods=None):
    """Returns names of methods of which a seed has no line, narrow models among them.

    Args:
        part: a `Part`.
        setting: one of its settings.
        seed: number of the seed.
        path: of the setting's lines.
        methods: which to look for. Defaults to `None`: all.
    """
    done = {
        line["method"]
        for line in (lines.read(path) if path.exists() else [])
        if line["seed"] == seed and "last" in line
    }
    wanted = (*part.methods, *setting.narrow) if methods is None else methods
    return [name for name in wanted if name not in done]


def play_seed(part, setting, seed, place, data, names, *, executor=None):
    """Makes runs of one seed of a setting: a study, and one for each narrow model."""
    shared = {
        "data": functools.partial(setting.data, data, seed),
        "epochs": part.epochs,
        "seeds": [seed],
        "fit": part.fit,
        "metric": part.metric,
        "mode": part.mode,
    }
    how = {"threads": 1, "executor": executor, "verbose": 0}
    full, narrow = _shared_and_own(setting, names)
    wanted = {
        name: (setting.narrow[name], {"conventional": "conventional"})
        for name in narrow
    }
    if full:
        wanted["full"] = (setting.build, {name: part.methods[name] for name in full})
    for name, (build, methods) in wanted.items():
        given = {"build": build, "directory": place / name, **shared}
        if executor is not None:
            # A folder that a study has taken was looked at: a look takes as long as a
            # run, and all seeds of a setting look the same.
            Study.of(methods_wanted=methods, **given).claim()
        studies.compare(methods=methods, **given, **how)


def rehearse(part, *, folder, data, only=""):
    """Plays one run of three epochs of a part's first setting; returns its lines."""
    chosen = [setting for setting in part.settings if only in setting.name][:1]
    small = dataclasses.replace(
        part,
        settings=tuple(dataclasses.replace(one, narrow={}) for one in chosen),
        methods={"conventional": "conventional"},
        core=("conventional",),
        epochs=3,
        seeds=1,
    )
    written = pathlib.Path(folder) / "lines"
    where = {"folder": folder, "data": data, "lines_folder": written}
    play(small, **where, hours=1, tell=lambda text: None)
    return lines.read_all(written)[part.name][chosen[0].name]


def lines_of(part, setting, seed, place, data, names):
    """Returns the lines of some methods of one seed of a setting."""
    labels = None
    if part.metric == "accuracy":
        labels = setting.data(data, seed)[2][1]
    make = functools.partial(lines.of, setting=setting.name, labels=labels)
    full, narrow = _shared_and_own(setting, names)
    results = {name: studies.Result(place / name) for name in narrow}
    if full:
        results[""] = studies.Result(place / "full", methods=full)
    found = []
    for name, result in results.items():
        found += [make(run, method=name or run["method"]) for run in result.runs]
        found += [
            lines.of_failed(run, setting=setting.name, method=name or run["method"])
            for run in result.failures
        ]
    return found


def _shared_and_own(setting, names):
    """Returns names of those that share a study, and of narrow models."""
    narrow = [name for name in names if name in setting.narrow]
    return [name for name in names if name not in setting.narrow], narrow
