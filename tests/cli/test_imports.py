"""What only reads the command line imports the standard library, wrapt and no more."""

import ast
import contextlib
import os
import subprocess
import sys

import pytest

from keras_dsd.cli import quiet
from tests import processes

pytestmark = pytest.mark.portable

PROGRAM = """
import sys
before = set(sys.modules)
from keras_dsd import cli
try:
    cli.main({argv!r})
except SystemExit as exit_:
    assert exit_.code == {code}, exit_.code
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
print("NEW", sorted(new - sys.stdlib_module_names - {{"keras_dsd", "wrapt"}}))
"""


def new_modules(argv, code):
    done = processes.run(PROGRAM.format(argv=argv, code=code))
    return done.stdout.splitlines()[-1].removeprefix("NEW ")


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        ([], 2),
        (["train"], 2),
        (["demo", "--help"], 0),
        (["demo", "--seeds", "few"], 2),
        (["compare", "--help"], 0),
        (["report"], 2),
        (["report", "--help"], 0),
        (["audit"], 2),
        (["robustness", "--help"], 0),
        (["robustness", "model.keras"], 2),
    ],
    ids=str,
)
def test_answers_import_nothing(argv, code):
    assert new_modules(argv, code) == "[]"


def test_the_log_is_shown_without_keras(tmp_path):
    (tmp_path / "log").touch()
    found = new_modules(["audit", str(tmp_path / "log")], 0)
    assert "matplotlib" in found
    assert not {"keras", "tensorflow", "jax", "torch"} & set(ast.literal_eval(found))


CHATTER = "import os; os.write(2, b'chatter'); "


@pytest.mark.parametrize(
    ("level", "rest", "shown"),
    [
        (None, "", b""),
        (None, "raise ImportError('none')", b"chatter"),
        ("0", "", b"chatter"),
    ],
)
def test_chatter_is_hidden_unless_it_is_wanted(
    level, rest, shown, capfd, monkeypatch, tmp_path
):
    (tmp_path / "keras.py").write_text(CHATTER + rest)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(quiet.LEVEL, level or "")  # so that what is set is undone
    if level is None:
        monkeypatch.delenv(quiet.LEVEL)
    monkeypatch.delitem(sys.modules, "keras")
    with contextlib.suppress(ImportError):
        quiet.import_keras()
    assert capfd.readouterr().err.encode() == shown
    assert quiet.os.environ[quiet.LEVEL] == (level or "3")


def test_there_may_be_no_screen():
    screen = os.dup(2)
    os.close(2)  # as 2>&- does
    try:
        with quiet._hidden_screen():
            pass
    finally:
        os.dup2(screen, 2)
        os.close(screen)


def test_a_reader_that_has_read_enough_is_no_error(tmp_path):
    (tmp_path / "log").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_dsd", "audit", str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=processes.REPOSITORY,
    )
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait() == 141
