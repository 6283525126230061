"""Repeating: runs drawn at random are made again, and give the same lines or do not.

Knows parts, lines and playing.
"""

import dataclasses
import random
import tempfile

from tests.results import lines, playing


def repeat(part, count, *, data, lines_folder, tell=print):
    """Makes some runs of a part anew; returns 0 if all gave their line to the bit.

    Args:
        part: a `Part`.
        count: how many, drawn at random.
        data: folder of the packs of data.
        lines_folder: of the lines.
        tell: called with a line of text for each. Defaults to `print`.
    """
    kept = lines.read_all(lines_folder).get(part.name, {})
    chosen = [line for found in kept.values() for line in found if "last" in line]
    chosen = random.sample(chosen, min(count, len(chosen)))
    differ = 0
    for line in chosen:
        again = _again(part, line, data)
        same = lines.what_repeats(again) == lines.what_repeats(line)
        differ += not same
        tell(
            f"{line['setting']}, {line['method']}, seed {line['seed']}: "
            + ("the same" if same else "differs")
        )
    return 1 if differ or not chosen else 0


def _again(part, line, data):
    """Returns the line of a run that is made anew."""
    setting = next(one for one in part.settings if one.name == line["setting"])
    method, seed = line["method"], line["seed"]
    narrow = {name: build for name, build in setting.narrow.items() if name == method}
    methods = {
        name: one
        for name, one in part.methods.items()
        if name == ("conventional" if narrow else method)
    }
    setting = dataclasses.replace(setting, narrow=narrow)
    alone = dataclasses.replace(part, methods=methods, settings=(setting,))
    names = tuple(methods)
    with tempfile.TemporaryDirectory() as folder:
        playing.play_seed(alone, setting, seed, folder, data, 1, names)
        found = playing.lines_of(alone, setting, seed, folder, data, names)
    return next(one for one in found if one["method"] == method)
