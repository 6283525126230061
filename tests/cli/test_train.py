"""`keras-dsd train`: data of every kind in; a model, its export and one page out."""

import csv
import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd import cli
from tests import processes

pytestmark = pytest.mark.one_backend

BUILD = """
import keras
from keras import layers

def network(inputs, outputs):
    return keras.Sequential(
        [keras.Input((inputs,)), layers.Dense(8, "relu"), layers.Dense(outputs)])

def build():
    return network(6, 3)

def pictures():
    return keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(),
         layers.Dense(8, "relu"), layers.Dense(2, "softmax")])

def one():
    return network(2, 1)

def data():
    import numpy as np
    x, y = np.ones((12, 6), "float32"), np.arange(12) % 3
    return (x, y), None, (x[:6], y[:6])
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.modules.pop("mine", None)
    (tmp_path / "mine.py").write_text(BUILD)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 6)).astype("float32"), rng.integers(0, 3, 60)
    np.savez("data.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    return tmp_path


def results(capsys, *more, data="data.npz", model="mine:build", epochs=3):
    line = [
        "train",
        model,
        data,
        "--epochs",
        str(epochs),
        "--export",
        "keras",
        "--json",
    ]
    assert cli.main([*line, *more]) == 0
    return json.loads(_json(capsys))


def _json(capsys):
    return capsys.readouterr().out  # and nothing else: what is told goes elsewhere


def test_in_phases(folder, capsys):
    found = results(capsys, "--dsd", "0.5", "--audit", "--schedule", "cosine")
    assert found["epochs"] == 3
    assert [phase.split("(")[0] for phase in found["phases"]] == [
        "Dense",
        "Sparse",
        "Redense",
    ]
    assert found["metrics"].keys() == {"train", "test"}
    assert "of logits" in found["told"][0]
    out = folder / "keras_dsd_train"
    model = keras.models.load_model(out / "model.keras")
    assert type(model.layers[0]) is layers.Dense
    with np.load("data.npz") as data:
        loss, _ = model.evaluate(data["x_test"], data["y_test"], verbose=0)
    assert found["metrics"]["test"]["loss"] == pytest.approx(loss, rel=1e-5)
    assert (out / "audit.jsonl").read_text().count("\n") >= 1
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["sparsity"]) > 0.4 for row in rows] == [False, True, False]
    page = (out / "page.md").read_text()
    assert (
        "| test | " in page and "keras-dsd" in page and found["export"]["path"] in page
    )


def test_the_data_of_every_kind(folder, capsys):
    table = folder / "table.csv"
    rows = [f"{i},{'xy'[i % 2]},{-i}" for i in range(40)]
    table.write_text("\n".join(["a,kind,b", *rows]))
    to_train = {"data": "table.csv", "model": "mine:one", "epochs": 1}
    found = results(capsys, "--target", "kind", "--out", "1", **to_train)
    assert "binary" in found["told"][0] and "accuracy" in found["metrics"]["validation"]
    table.write_text("\n".join(["a,c,b", *(f"{i},{i / 2},{i / 4}" for i in range(40))]))
    found = results(capsys, "--target", "b", "--out", "2", **to_train)
    assert "mean_squared_error" in found["told"][0]
    found = results(capsys, "--out", "3", data="mine:data", epochs=1)
    assert found["metrics"].keys() == {"train", "test"}
    for name in ("cats", "dogs"):
        os.makedirs(f"pictures/{name}")
        for index in range(12):
            pixels = np.full((9, 9, 3), 200 if name == "cats" else 20)
            keras.utils.save_img(f"pictures/{name}/{index}.png", pixels, scale=False)
    found = results(
        capsys,
        "--out",
        "4",
        "--batch-size",
        "3",
        data="pictures",
        model="mine:pictures",
        epochs=1,
    )
    assert "of logits" not in found["told"][0]


def test_a_compiled_model_keeps_what_it_has(folder, capsys):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.25), loss, metrics=["accuracy"])
    model.save("m.keras")
    found = results(capsys, model="m.keras", epochs=1)
    assert not found["told"]
    loaded = keras.models.load_model("keras_dsd_train/model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.SGD)
    assert float(loaded.optimizer.learning_rate) == 0.25


def test_phases_of_a_file(folder, capsys):
    (folder / "p.toml").write_text(
        '[[phases]]\nphase = "Dense"\nepochs = 1\n'
        '[[phases]]\nphase = "Sparse"\nepochs = 2\nsparsity = 0.25\n'
    )
    found = results(capsys, "--phases", "p.toml", "--out", "1")
    assert "sparsity=0.25" in found["phases"][1]
    config = list(map(keras.saving.serialize_keras_object, dsd.phases.dsd(3, 0.25)))
    (folder / "p.json").write_text(json.dumps(config))
    assert len(results(capsys, "--phases", "p.json", "--out", "2")["phases"]) == 3


def test_a_dry_run_writes_nothing(folder, capsys):
    before = set(folder.iterdir())
    line = ["train", "mine:build", "data.npz", "--epochs", "3", "--dsd", "0.5"]
    assert cli.main([*line, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "dense/kernel" in out and "Sparse(" in out
    assert {p for p in folder.iterdir() if p.name != "__pycache__"} == before


@pytest.mark.parametrize(
    "line, message",
    [
        ("mine:build no.npz", "no.npz"),
        ("mine:build mine.py", "DATA must be"),
        ("mine:nothing data.npz", "mine:nothing"),
        ("no.keras data.npz", "no.keras"),
        ("mine:build data.npz --dsd 1.5", "sparsity=1.5"),
        ("mine:build data.npz --recipe cake", "cake"),
        ("mine:build data.npz --phases no.toml", "no.toml"),
        ("mine:build data.npz --phases mine.py", "No list of phases"),
        ("mine:build table.csv", "--target None"),
        ("mine:build data.npz --optimizer none", "none"),
        ("mine:build data.npz --loss none", "none"),
        ("mine:one data.npz", "give --loss"),
        ("mine:build data.npz --batch-size 0", "batch_size=0"),
        ("mine:build data.npz --epochs 2 --dsd 0.5", "epochs=2"),
        ("mine:build data.npz --out mine.py", "must be a folder"),
    ],
)
def test_bad_input(line, message, folder, capsys):
    (folder / "table.csv").write_text("a,b\n1,2\n")
    arguments = line.split()
    if "--epochs" not in arguments:
        arguments += ["--epochs", "3"]
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", *arguments])
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and not out
    assert message in err and len(err.strip().splitlines()) <= 2
    assert not (folder / "keras_dsd_train").exists()


def test_another_run_in_the_folder(folder, capsys):
    results(capsys, epochs=1)
    with pytest.raises(SystemExit) as stop:
        results(capsys, epochs=2)
    assert stop.value.code == 2
    assert "other settings" in capsys.readouterr().err


def test_killed_and_started_again(folder, capsys):
    """The same command ends with the weights of the run that was not killed."""
    whole = results(capsys, "--dsd", "0.5", "--out", "whole", epochs=4)
    line = [
        "mine:build",
        "data.npz",
        "--epochs",
        "4",
        "--dsd",
        "0.5",
        "--out",
        "killed",
    ]
    line = ["train", *line, "--export", "keras", "--json"]
    program = (
        "import os, signal, sys; sys.path.insert(0, '')\n"
        "import keras\n"
        "from keras_dsd.studies import batches\n"
        "begin = batches.Draws.on_epoch_begin\n"
        "def kill(self, epoch, logs=None):\n"
        "    if epoch == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    begin(self, epoch, logs)\n"
        "batches.Draws.on_epoch_begin = kill\n"
        f"from keras_dsd import cli; cli.main({line!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(processes.REPOSITORY)},
        capture_output=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert cli.main(line) == 0
    again = json.loads(_json(capsys))
    assert again["metrics"] == whole["metrics"]
    assert again["epochs"] == 4
