"""What holds for every command: help, wrong lines, names of files, lost readers."""

import os
import sys

import pytest

from keras_dsd import cli

pytestmark = pytest.mark.one_backend

LOST = "kein Ordner/ä モデル"  # a relative path, with a space, of nothing
# A line that is right but for a file that is not there; demo reads none.
LINES = {
    "demo": ["--epochs", "2"],
    "train": [f"{LOST}.keras", "data.npz", "--epochs", "3"],
    "compare": [f"{LOST}.toml"],
    "tune": [f"{LOST}.toml"],
    "report": [LOST],
    "inspect": [f"{LOST}.keras"],
    "export": [f"{LOST}.keras", "out"],
    "audit": [f"{LOST}.jsonl"],
    "robustness": [f"{LOST}.keras", "--data", f"{LOST}.npz"],
}
COMMANDS = [command.__name__.split(".")[-1] for command in cli.COMMANDS]
every_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def refusal(line, capsys):
    """Returns the one line on the screen of errors of a command that is refused."""
    with pytest.raises(SystemExit) as stop:
        cli.main(line)
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and not out
    assert err.count("\n") == 1 and "Traceback" not in err
    return err


def test_there_is_a_line_of_each():
    assert sorted(LINES) == sorted(COMMANDS)


@every_command
def test_help_has_examples(command, capsys, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0
    assert f"keras-dsd {command} " in said.split("example")[-1]
    assert "\x1b" not in said


@every_command
def test_results_can_be_had_as_json(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    assert "print the results as JSON" in " ".join(capsys.readouterr().out.split())


@every_command
@pytest.mark.parametrize("wrong", ["--sparsty=0.3", "--out", "too many names here"])
def test_typing_errors_are_one_line(command, wrong, capsys):
    said = refusal([command, *LINES[command], *wrong.split(" ")], capsys)
    assert said.startswith("keras-dsd") and "--help" in said


@pytest.mark.parametrize("line", [["trian"], ["--helpme"], ["export"], []])
def test_commands_that_are_none(line, capsys):
    refusal(line, capsys)


@every_command
def test_what_is_not_there_is_named(command, capsys, empty):
    said = refusal([command, *LINES[command]], capsys)
    assert "epochs=2" in said if command == "demo" else LOST in said
    assert not [path for path in empty.rglob("*") if path.is_file()]


@every_command
def test_ctrl_c_is_told(command, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    chosen = cli.COMMANDS[COMMANDS.index(command)]
    monkeypatch.setattr(chosen, "_run", interrupted)
    assert cli.main([command, *LINES[command]]) == 130
    assert capsys.readouterr() == ("", "keras-dsd: interrupted\n")


@every_command
@pytest.mark.parametrize("help_", [True, False])
def test_nobody_reads_the_output(command, help_, capfd, monkeypatch):
    """Piped to `head`, which has read enough, a command ends in silence."""

    def tells(parser, args):
        print("results " * 10_000)
        return 0

    chosen = cli.COMMANDS[COMMANDS.index(command)]
    monkeypatch.setattr(chosen, "_run", tells)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        line = ["--help"] if help_ else LINES[command]
        assert cli.main([command, *line]) == 141
    assert capfd.readouterr() == ("", "")
