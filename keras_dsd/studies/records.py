"""The files of a study: one for each finished run, written whole or not at all.

They are the truth: everything else is computed from them. Knows JSON and folders.
"""

import contextlib
import dataclasses
import json
import math
import pathlib

import filelock

from keras_dsd._shared import files

VERSION = 1


class StudyError(ValueError):
    """A directory, or a file in it, is not what it should be."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the files of a study lie.

    Args:
        directory: path of the study's folder.
    """

    directory: pathlib.Path

    @property
    def study(self):
        """The file that says what the study is."""
        return self.directory / "study.json"

    def run(self, method, seed):
        """The file of a finished run."""
        return self.directory / "runs" / method / f"{seed}.json"

    def failure(self, method, seed):
        """The file that says how a run failed."""
        return self.directory / "runs" / method / f"{seed}.failed.json"

    def progress(self, method, seed):
        """The folder with which a run that was killed goes on."""
        return self.directory / "unfinished" / f"{method}-{seed}"

    @contextlib.contextmanager
    def held(self):
        """Keeps other processes out; whoever dies lets go.

        Raises:
            StudyError: another process holds it.
        """
        lock = filelock.FileLock(self.directory / "lock", blocking=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise StudyError(
                "Another process makes runs in `directory`; wait for it, or give each "
                f"its own. Received: directory={str(self.directory)!r}"
            ) from None
        try:
            yield
        finally:
            lock.release()


def write(path, record):
    """Writes a record as JSON, whole or not at all.

    Numbers that are not finite, which JSON lacks, are written as
    `{"not_finite": "nan"}`, "inf" or "-inf".

    Raises:
        OSError: it can't be written (a disk that is full, say); what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(to_json(record), indent=1, allow_nan=False) + "\n"
    with files.replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def read(path):
    """Returns a record.

    Raises:
        StudyError: the file is damaged, or of another version; ends in its name.
        FileNotFoundError: there is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StudyError(f"Not a whole JSON file ({error}). Received: {path}") from None
    if not isinstance(record, dict) or record.get("version") != VERSION:
        version = record.get("version") if isinstance(record, dict) else None
        raise StudyError(
            f"Not a file of version {VERSION}, but {version!r}. Received: {path}"
        )
    return _from_json(record)


def read_all(directory):
    """Returns (records of finished runs, of failed runs, errors of damaged files)."""
    runs: list = []
    failures: list = []
    damaged: list = []
    for path in sorted((directory / "runs").glob("*/*.json")):
        if path.name.startswith("unfinished."):
            continue
        try:
            record = read(path)
        except StudyError as error:
            damaged.append(str(error))
            continue
        failed = path.name.endswith(".failed.json")
        (failures if failed else runs).append(record)
    return runs, failures, damaged


_NOT_FINITE = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def to_json(value):
    """Returns a value with what JSON lacks, as `write` writes it."""
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"not_finite": str(value)}
    return value


def _from_json(value):
    if isinstance(value, dict):
        if list(value) == ["not_finite"]:
            return _NOT_FINITE[value["not_finite"]]
        return {key: _from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return value
