"""`keras-dsd demo`, before it works; its work is in tests/studies."""

import json
import sys

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

from keras_dsd import cli
from keras_dsd.studies import demo

pytestmark = pytest.mark.one_backend


@pytest.fixture
def settings(monkeypatch):
    """The settings that demos would have run with, instead of running them."""
    found = []
    monkeypatch.setattr(demo, "run", found.append)
    return found


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


def test_demo_as_json(tmp_path, capsys, monkeypatch):
    def run(settings):
        print("a table")
        return {"seeds": settings.seeds}

    monkeypatch.setattr(demo, "run", run)
    assert cli.main(["demo", "--out", str(tmp_path / "out"), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"seeds": 3}
    assert said.err == "a table\n"


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
