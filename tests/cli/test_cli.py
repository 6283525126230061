"""The command line itself: what it answers before any command runs."""

import pytest

import keras_dsd
from keras_dsd import cli

pytestmark = pytest.mark.one_backend


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
