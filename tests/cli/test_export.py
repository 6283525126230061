"""`keras-dsd export` and `keras-dsd inspect`: files in, files and facts out."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import cli
from keras_dsd.cli import export
from keras_dsd.deploy import formats
from tests.deploy import test_exporting


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a model ä.keras"
    model = test_exporting.sparse_model()
    model.save(path)
    return path


def failing(arguments, capsys):
    """Returns the status and what was written to the screen of errors."""
    try:
        status = cli.main(arguments)
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert not out and "Traceback" not in err
    return status, err


def test_inspect(file, capsys):
    assert cli.main(["inspect", str(file)]) == 0
    text = capsys.readouterr().out
    assert "3 prunable layers, 48.6% of their weights are zero" in text
    assert "masks in force in 3 layers" in text
    assert "phase 1, epoch 1, finished" in text
    assert cli.main(["inspect", file.name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == {"phase": 0, "epoch": 0, "finished": True}
    assert [weight["masked"] for weight in found["weights"]] == [
        15 / 30,
        12 / 25,
        7 / 15,
    ]
    plain = dsd.strip(keras.models.load_model(file))
    plain.save("plain.keras")
    assert cli.main(["inspect", "plain.keras"]) == 0
    assert "0 prunable layers" in capsys.readouterr().out


def test_export(file, tmp_path, capsys):
    status, err = failing(["export", str(file), "m.keras", "--format", "keras"], capsys)
    assert status == 2 and "Masks are in force" in err
    x = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    np.savez("x.npz", x_test=x)
    line = ["export", str(file), "m.keras", "--format", "keras", "--sparse"]
    assert cli.main([*line, "--inputs", "x.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["zeros"] == 34
    assert (tmp_path / "m.keras").is_file()
    status, err = failing(line, capsys)
    assert status == 2 and "overwrite=True" in err
    assert cli.main([*line, "--overwrite"]) == 0
    assert "equal to the model's, to the bit" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["inspect {}", "export {} out.keras --format keras"]
)
@pytest.mark.parametrize("content", [None, b"", b"no model", b"PK\3\4 half a model"])
def test_no_model(command, content, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "m.keras").write_bytes(content)
    status, err = failing(command.format("m.keras").split(), capsys)
    assert status == 2
    assert len(err.strip().splitlines()) <= 3 and "m.keras" in err
    assert not (tmp_path / "out.keras").exists()


def test_refused(file, monkeypatch, capsys):
    def nothing(model, path, options, batch):
        path.write_bytes(b"")

    wrong = dataclasses.replace(formats.FORMATS["keras"], write=nothing)
    monkeypatch.setitem(formats.FORMATS, "keras", wrong)
    line = ["export", str(file), "m.keras", "--format", "keras", "--sparse"]
    status, err = failing(line, capsys)
    assert status == 1 and "refused" in err


def test_formats_are_those_of_the_package():
    assert tuple(formats.FORMATS) == export.FORMATS
