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


def play(part, *, folder, data, hours, seeds=None, only="", workers=1, tell=print):
    """Makes the runs of a part that are missing, and writes the lines of all.

    Args:
        part: a `Part`.
        folder: where the studies lie; outside of the repository.
        data: folder of the packs of data.
        hours: after how many no further seed of a setting is begun.
        seeds: how many. Defaults to `None`: the part's.
        only: of which settings, a part of their names. Defaults to all.
        workers: how many runs at once, each on one core. Defaults to 1.
        tell: called with a line of text after each seed of a setting.

    Returns:
        Whether all is finished.
    """
    end = time.monotonic() + hours * 3600
    for seed in range(seeds or part.seeds):
        for setting in part.settings:
            if only not in setting.name:
                continue
            if is_finished(part, setting, seed, folder):
                continue
            if time.monotonic() >= end:
                return False
            begun = time.monotonic()
            play_seed(part, setting, seed, folder, data, workers)
            tell(f"{setting.name}, seed {seed}: {time.monotonic() - begun:.0f} s")
    return True


def play_seed(part, setting, seed, folder, data, workers):
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
    for name, build in setting.narrow.items():
        studies.compare(
            build, made, methods=["conventional"], directory=place / name, **shared
        )
    studies.compare(
        setting.build, made, methods=part.methods, directory=place / "full", **shared
    )


def _place(part, setting, seed, folder):
    return pathlib.Path(folder) / part.name / setting.name / str(seed)


def is_finished(part, setting, seed, folder):
    """Returns whether all runs of a seed have a record."""
    runs = _place(part, setting, seed, folder)
    wanted = [runs / "full/runs" / name / f"{seed}.json" for name in part.methods]
    wanted += [
        runs / name / f"runs/conventional/{seed}.json" for name in setting.narrow
    ]
    return all(path.exists() for path in wanted)


def rehearse(part, *, folder, data, only=""):
    """Plays one run of three epochs of a part's first setting; returns `collect`'s."""
    chosen = [setting for setting in part.settings if only in setting.name][:1]
    small = dataclasses.replace(
        part,
        settings=tuple(dataclasses.replace(one, narrow={}) for one in chosen),
        methods={"conventional": "conventional"},
        epochs=3,
        seeds=1,
    )
    where = {"folder": folder, "data": data}
    play(small, **where, hours=1, tell=lambda text: None)
    return collect(small, **where, lines_folder=pathlib.Path(folder) / "lines")


def collect(part, *, folder, data, lines_folder=lines.FOLDER):
    """Writes the lines of all finished runs; a seed counts when all its runs are there.

    Returns:
        {setting: how many lines}.
    """
    counts = {}
    for setting in part.settings:
        found = []
        for seed in range(part.seeds):
            if is_finished(part, setting, seed, folder):
                found += lines_of(part, setting, seed, folder, data)
        if found:
            path = pathlib.Path(lines_folder) / part.name / f"{setting.name}.jsonl.gz"
            lines.write(path, found)
            counts[setting.name] = len(found)
    return counts


def lines_of(part, setting, seed, folder, data):
    """Returns the lines of one seed of a setting."""
    place = _place(part, setting, seed, folder)
    labels = None
    if part.metric == "accuracy":
        labels = setting.data(data, seed)[2][1]
    found = []
    for name in ["full", *setting.narrow]:
        if not (place / name / "study.json").exists():
            continue
        for record in studies.Result(place / name).runs:
            method = record["method"] if name == "full" else name
            found.append(
                lines.of(record, setting=setting.name, method=method, labels=labels)
            )
    return found
