"""The files of a study: whole or not there, and never silently used when damaged."""

import math

import pytest

from keras_dsd.studies import Result, records
from tests.studies import fake

pytestmark = pytest.mark.one_backend


def test_numbers_that_json_lacks_come_back(tmp_path):
    path = tmp_path / "runs" / "dsd" / "0.json"
    record = {"version": records.VERSION, "a": [math.inf, -math.inf, 1.5, None]}
    records.write(path, {**record, "nan": math.nan})
    assert "NaN" not in path.read_text()
    found = records.read(path)
    assert math.isnan(found.pop("nan"))
    assert found == record


def test_a_disk_that_is_full_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "0.json"
    records.write(path, {"version": records.VERSION, "a": 1})

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        records.write(path, {"version": records.VERSION, "a": 2})
    assert records.read(path)["a"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["0.json"]


def test_damaged_files_are_listed(tmp_path):
    for name, text in (
        ("0.json", '{"version": 1, "met'),
        ("1.json", '{"version": 999}'),
        ("2.json", "[]"),
        ("3.json", '{"version": 1, "seed": 3}'),
        ("4.failed.json", '{"version": 1, "seed": 4}'),
        ("unfinished.5.json", '{"version": 1'),
    ):
        folder = tmp_path / "runs" / "dsd"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    runs, failures, damaged = records.read_all(tmp_path)
    assert [run["seed"] for run in runs] == [3]
    assert [run["seed"] for run in failures] == [4]
    assert [line.split("/")[-1] for line in damaged] == ["0.json", "1.json", "2.json"]


def test_a_run_that_diverged_is_told_and_no_number(tmp_path):
    fake.study(tmp_path, ["conventional", "dsd"], range(2))
    file = records.Place(tmp_path).run("dsd", 1)
    run = records.read(file)
    run["metrics"]["last"]["test"]["accuracy"] = math.nan
    records.write(file, run)
    result = Result(tmp_path)
    assert math.isnan(result.table()[1]["last"])
    assert "Diverged, and left out of verdicts: dsd, seed 1." in str(result)
