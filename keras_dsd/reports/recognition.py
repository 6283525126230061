"""What a path holds: a study, a log of mask updates, a robustness report, an export.

By its content, whatever its name. Knows files, and the keys of records.
"""

import json
import os
import pathlib

from keras_dsd._shared import files

# Keys that a record of a kind has in every version, and no other record has.
RECORDS = {
    "robustness": {"metric", "table", "families"},
    "export": {"format", "max_difference", "runtime"},
}
UPDATE = {"step", "phase", "weights"}  # of a line in a log
# What is written beside those, and what to give in its place.
OTHERS = {
    "a file of a study: give the study's folder": {"study", "table", "runs"},
    "a file of a study: give its folder": {"version", "build", "methods"},
    "a run's file of a study: give the study's folder": {"version", "seed", "method"},
    "the numbers of a page: give what the page was made of": {"kind", "sections"},
}


def recognize(path):
    """Returns (kind, record) of what lies at a path.

    Args:
        path: a str or an `os.PathLike`.

    Returns:
        "study", "run", "robustness" or "export"; and the record, a dict, of the last
        two, else `None`.

    Raises:
        TypeError: `path` is neither.
        ValueError: there is nothing, or something else.
        OSError: it can't be read.
    """
    place = pathlib.Path(files.name_of(path))
    if place.is_dir():
        if not (place / "study.json").exists():
            raise ValueError(
                f"There is no study here: no study.json. Received: {os.fspath(path)!r}"
            )
        return "study", None
    if not place.exists():
        raise ValueError(f"There is no such file. Received: {os.fspath(path)!r}")
    found = _parsed(place)
    if found.keys() >= UPDATE:
        return "run", None
    for kind, keys in RECORDS.items():
        if keys <= found.keys():
            return kind, found
    told = f"the keys {', '.join(sorted(found))}" if found else "an empty record"
    for what, keys in OTHERS.items():
        if keys <= found.keys():
            told = what
    raise ValueError(
        "Neither a log of mask updates nor the JSON of a robustness report or an "
        f"export. Received: {str(place)!r} ({told[:200]})"
    )


def check_keys(record, keys, what):
    """Raises a ValueError unless a record has the keys that this version writes.

    Args:
        record: what was read.
        keys: set of str.
        what: what it should be, in words.
    """
    if not isinstance(record, dict):
        raise ValueError(f"Not {what}. Received: {record!r}")
    missing, unknown = sorted(keys - record.keys()), sorted(record.keys() - keys)
    if missing or unknown:
        found = [
            f"{told} {', '.join(map(str, names))}"
            for told, names in (("without", missing), ("with", unknown))
            if names
        ]
        raise ValueError(
            f"Not {what} as this version writes it. Received: one {' and '.join(found)}"
        )


def _parsed(file):
    """Returns the dict in a file of JSON, or in the first line of a log."""
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"Not a file of text. Received: {str(file)!r}") from None
    if not text.strip():
        raise ValueError(f"The file is empty. Received: {str(file)!r}")
    for part in (text, text.lstrip().splitlines()[0]):
        try:
            found = json.loads(part)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
        break
    cut = text.lstrip().startswith("{")
    raise ValueError(
        f"{'Not whole' if cut else 'Not'} JSON of a record. Received: {str(file)!r}"
    )
