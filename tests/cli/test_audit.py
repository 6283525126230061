"""`keras-dsd audit`: a table and a plot of a log, or one line of what is wrong."""

import json
import re
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")

from keras_dsd import audit, cli

pytestmark = pytest.mark.one_backend


@pytest.fixture
def log(tmp_path):
    """The path of a log with one update: of four connections one goes, one comes."""
    path = tmp_path / "run[b].jsonl"  # brackets: markup to Rich
    old, new = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool)
    audit.AuditLog(path).write(
        step=1234,
        epoch=5,
        phase=0,
        drop_fraction=0.3,
        explored=0.75,
        weights=[audit.entry("kernel", old, new)],
    )
    return path


@pytest.mark.parametrize("out", [None, "elsewhere.png"])
def test_audit_prints_and_plots(out, log, capsys, tmp_path):
    picture = tmp_path / (out or "run[b].png")
    before = log.read_bytes()
    assert cli.main(["audit", str(log), *(["--out", str(picture)] if out else [])]) == 0
    printed = capsys.readouterr().out
    assert "1,234 5 0 30.00% 50.00% 1 1 75.00%" in " ".join(printed.split())
    assert printed.endswith(f"Plot: {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(tmp_path.iterdir()) == sorted([log, picture])
    assert log.read_bytes() == before


def test_audit_as_json(log, capsys):
    assert cli.main(["audit", str(log), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["step"], found["explored"]) == (1234, 0.75)


def test_a_terminal_without_colours(log, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    assert cli.main(["audit", str(log)]) == 0
    codes = re.findall(r"\x1b\[([0-9;]*)m", capsys.readouterr().out)
    numbers = {number for code in codes for number in code.split(";")}
    assert not {str(n) for n in (*range(30, 39), *range(90, 98))} & numbers


def test_audit_of_no_updates(capsys, tmp_path):
    (tmp_path / "log").touch()
    assert cli.main(["audit", str(tmp_path / "log")]) == 0
    assert capsys.readouterr().out == f"No mask updates in {tmp_path / 'log'}\n"
    assert [file.name for file in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "'nowhere'"),
        (["."], "'.'"),
        (["notes"], "Line 2 of 'notes'"),
        (["run[b].jsonl", "--out", "nowhere/plot.png"], "'nowhere/plot.png'"),
        (["run[b].jsonl", "--out", "."], "'.'"),
        (["run[b].jsonl", "--out", "run[b].jsonl"], "must not replace the log"),
        (["log.png"], "must not replace the log"),
    ],
)
def test_audit_refuses_in_one_line(
    arguments, message, log, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    content = log.read_bytes()
    (tmp_path / "log.png").write_bytes(content)
    (tmp_path / "notes").write_bytes(content + b"not an update")
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SystemExit) as exit_:
        cli.main(["audit", *arguments])
    assert exit_.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("keras-dsd audit: error: ")
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize("module", ["matplotlib", "rich"])
def test_audit_without_its_extra(module, log, capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    assert cli.main(["audit", str(log)]) == 1
    assert capsys.readouterr().err.startswith(f"keras-dsd: {module} not found.")
    assert list(tmp_path.iterdir()) == [log]
