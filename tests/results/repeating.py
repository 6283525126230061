"""Repeating: runs drawn at random are made again, and give the same lines or do not.

Knows parts, lines and playing.
"""

import pathlib
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
    names = [line["method"]]
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder, "study")
        playing.play_seed(part, setting, line["seed"], place, data, names)
        (found,) = playing.lines_of(part, setting, line["seed"], place, data, names)
    return found
