"""The command line: what it answers before, instead of and after the work."""

import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

import keras_dsd
from keras_dsd import audit, cli
from keras_dsd.studies import demo


@pytest.fixture
def settings(monkeypatch):
    """The settings that demos would have run with, instead of running them."""
    found = []
    monkeypatch.setattr(demo, "run", found.append)
    return found


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.strip() == keras_dsd.__version__


def test_a_command_is_needed(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main([])
    assert exit_.value.code == 2
    assert "command" in capsys.readouterr().err


def test_demo_has_defaults(monkeypatch, tmp_path, settings):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo"]) == 0
    assert [(s.seeds, s.epochs, s.sparsity, s.out.name) for s in settings] == [
        (3, 60, 0.3, "keras_dsd_demo")
    ]
    assert (tmp_path / "keras_dsd_demo").is_dir()


def test_demo_hands_on_its_arguments(tmp_path, settings):
    out = tmp_path / "a" / "b"
    options = ["--seeds", "2", "--epochs", "9", "--sparsity", "0.5", "--out", str(out)]
    assert cli.main(["demo", *options]) == 0
    assert settings == [demo.Settings(seeds=2, epochs=9, sparsity=0.5, out=out)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "0"], "Received: seeds=0"),
        (["--epochs", "2"], "Received: epochs=2"),
        (["--sparsity", "1"], "Received: sparsity=1.0"),
        (["--sparsity", "nan"], "Received: sparsity=nan"),
        (["--seeds", "few"], "'few'"),
        (["--out", __file__], "must be a folder"),
        (["--out", __file__ + "/below"], "below"),
    ],
)
def test_wrong_arguments_are_refused(
    options, message, capsys, monkeypatch, tmp_path, settings
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["demo", *options])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
    assert not settings
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["matplotlib", "rich", "sklearn"])
def test_a_missing_extra_is_one_line(module, capsys, monkeypatch, tmp_path, settings):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    assert cli.main(["demo"]) == 1
    line = capsys.readouterr().err
    package = "scikit-learn" if module == "sklearn" else module
    assert line == (
        f"keras-dsd: {package} not found. Install what this command needs: "
        f"pip install {package}\n"
    )
    assert not settings
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_cleanly(capsys, monkeypatch, tmp_path):
    def interrupted(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "run", interrupted)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "keras-dsd: interrupted\n"


@pytest.mark.parametrize(("before", "after"), [(None, "3"), ("0", "0")])
def test_tensorflow_is_quiet_unless_the_user_wants_it(
    before, after, monkeypatch, tmp_path, settings
):
    name = "TF_CPP_MIN_LOG_LEVEL"
    monkeypatch.setenv(name, "")  # so that what `main` sets is undone
    if before is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, before)
    cli.main(["demo", "--out", str(tmp_path)])
    assert cli.os.environ[name] == after


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


def test_robustness_says_which_packages_it_lacks(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cv2", None)  # as if it were not installed
    assert cli.main(["robustness", "model.keras", "--data", "x.npz"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("keras-dsd: opencv-python-headless not found")
    assert "pip install opencv-python-headless" in error
