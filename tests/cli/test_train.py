"""`keras-dsd train`: data of every kind in; a model, its export and one page out."""

import csv
import json
import os
import signal
import sys

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd import cli, deploy
from keras_dsd.cli.training import data
from keras_dsd.studies import batches

one_backend = pytest.mark.one_backend

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
    with np.load("data.npz") as stored:
        loss, _ = model.evaluate(stored["x_test"], stored["y_test"], verbose=0)
    assert found["metrics"]["test"]["loss"] == pytest.approx(loss, rel=1e-5)
    assert (out / "audit.jsonl").read_text().count("\n") >= 1
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["sparsity"]) > 0.4 for row in rows] == [False, True, False]
    page = (out / "page.md").read_text()
    assert (
        "| test | " in page and "keras-dsd" in page and found["export"]["path"] in page
    )


@one_backend
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


@one_backend
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


@one_backend
def test_phases_of_a_file(folder, capsys, monkeypatch):
    sparse, export = [], deploy.export

    def exported(*args, **options):
        sparse.append(options["sparse"])
        return export(*args, **options)

    monkeypatch.setattr(deploy, "export", exported)
    (folder / "p.toml").write_text(
        '[[phases]]\nphase = "Dense"\nepochs = 1\n'
        '[[phases]]\nphase = "Sparse"\nepochs = 2\nsparsity = 0.25\n'
    )
    found = results(capsys, "--phases", "p.toml", "--out", "1")
    assert "sparsity=0.25" in found["phases"][1]
    config = list(map(keras.saving.serialize_keras_object, dsd.phases.dsd(3, 0.25)))
    (folder / "p.json").write_text(json.dumps(config))
    assert len(results(capsys, "--phases", "p.json", "--out", "2")["phases"]) == 3
    assert sparse == [True, False]  # as the last phase is


@one_backend
def test_a_dry_run_writes_nothing(folder, capsys):
    before = set(folder.iterdir())
    line = ["train", "mine:build", "data.npz", "--epochs", "3", "--dsd", "0.5"]
    assert cli.main([*line, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "dense/kernel" in out and "Sparse(" in out
    assert {p for p in folder.iterdir() if p.name != "__pycache__"} == before


@one_backend
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


@one_backend
def test_another_run_in_the_folder(folder, capsys):
    results(capsys, epochs=1)
    with pytest.raises(SystemExit) as stop:
        results(capsys, epochs=2)
    assert stop.value.code == 2
    assert "other settings" in capsys.readouterr().err


def _pictures():
    for name in ("cats", "dogs"):
        os.makedirs(f"pictures/{name}")
        for index in range(12):
            pixels = np.full((9, 9, 3), 10 * index + 125 * (name == "cats"))
            keras.utils.save_img(f"pictures/{name}/{index}.png", pixels, scale=False)
    return {"data": "pictures", "model": "mine:pictures"}


def _data_set_of_tfds(folder, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")

    class TinyOfOurs(tfds.core.GeneratorBasedBuilder):
        """Forty items to train on and twenty to test."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            x = tfds.features.Tensor(shape=(6,), dtype=np.float32)
            y = tfds.features.ClassLabel(num_classes=3)
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict({"x": x, "y": y}),
                supervised_keys=("x", "y"),
            )

        def _split_generators(self, manager):
            return {
                "train": self._generate_examples(40, 0),
                "test": self._generate_examples(20, 1),
            }

        def _generate_examples(self, count, seed):
            x = np.random.default_rng(seed).normal(size=(count, 6)).astype("float32")
            return ((i, {"x": x[i], "y": i % 3}) for i in range(count))

    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(folder / "sets"))
    TinyOfOurs().download_and_prepare()
    return {"data": "tiny_of_ours"}


def _orders(parts):
    """Returns the items to train on in the order of the epochs 0, 1 and 0 again."""
    found = []
    for epoch in (0, 1, 0):
        keras.utils.set_random_seed(epoch)  # as `batches.Draws` does
        parts["train"].start(epoch)
        found.append(np.concatenate([batch[0] for batch in parts["train"]]))
    return found


def _weights(out):
    return keras.models.load_model(f"{out}/model.keras").get_weights()


def test_ctrl_c_and_the_same_command(folder, capsys, monkeypatch):
    """Trains once, and once more with Ctrl-C as the third epoch begins.

    Nothing but files goes over, as where it is killed.
    """
    line = ["--dsd", "0.5", "--batch-size", "4"]
    whole = results(capsys, *line, "--out", "whole")
    begin = batches.Draws.on_epoch_begin

    def interrupt(self, epoch, logs=None):
        if epoch == 2:
            # A shell that runs the tests in the background has it ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.raise_signal(signal.SIGINT)
        begin(self, epoch, logs)

    with monkeypatch.context() as patched:
        patched.setattr(batches.Draws, "on_epoch_begin", interrupt)
        command = ["train", "mine:build", "data.npz", *line]
        command += ["--epochs", "3", "--out", "part", "--export", "keras", "--json"]
        assert cli.main(command) == 130
        out, err = capsys.readouterr()
        assert not out and err.splitlines()[-1] == "keras-dsd: interrupted"
        assert not os.path.exists("part/model.keras")
    assert cli.main(command) == 0
    again = json.loads(_json(capsys))
    assert again["metrics"] == whole["metrics"] and again["epochs"] == 3
    for one, other in zip(_weights("whole"), _weights("part"), strict=True):
        np.testing.assert_array_equal(one, other)


@one_backend
def test_a_data_set_of_tfds(folder, capsys, monkeypatch):
    tiny = _data_set_of_tfds(folder, monkeypatch)
    capsys.readouterr()  # what TFDS tells
    found = results(capsys, epochs=1, **tiny)
    assert found["metrics"].keys() == {"train", "validation", "test"}
    parts = data.load(tiny["data"], target=None, shape=(6,), batch_size=4, seed=0)
    first, second, again = _orders(parts)
    assert len(first) == 36  # a tenth validates
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(np.sort(first, 0), np.sort(second, 0))


@one_backend
def test_pictures(folder, capsys):
    pictures = _pictures()
    found = results(capsys, "--batch-size", "3", epochs=1, **pictures)
    assert "of logits" not in found["told"][0]
    parts = data.load("pictures", target=None, shape=(8, 8, 3), batch_size=3, seed=0)
    first, second, again = (order[:, 0, 0, 0].tolist() for order in _orders(parts))
    assert first == again != second and sorted(first) == sorted(second)
    held = [
        [x[0, 0, 0] for batch, _ in parts[part].as_numpy_iterator() for x in batch]
        for part in ("validation", "test", "validation")
    ]
    assert held[0] == held[2] and sorted([*first, *held[0], *held[1]]) == [
        *(10 * index + shade for shade in (0, 125) for index in range(12)),
    ]


CONFIG = """
model = "mine:build"
data = "data.npz"
epochs = 3
batch-size = 8
optimizer = "sgd"
learning_rate = 0.25
metrics = ["accuracy"]
loss = "sparse_categorical_crossentropy"
audit = true
export = "keras"

[[phases]]
phase = "Dense"
epochs = 1

[[phases]]
phase = "Sparse"
epochs = 2
sparsity = 0.25
"""


@one_backend
def test_the_whole_command_in_a_file(folder, capsys):
    """A file says it all; a run writes one that repeats it to the bit."""
    (folder / "all.toml").write_text(CONFIG)
    assert cli.main(["train", "--config", "all.toml", "--out", "1", "--json"]) == 0
    first = json.loads(_json(capsys))
    assert "sparsity=0.25" in first["phases"][1] and "accuracy" in str(first["metrics"])
    assert (folder / "1" / "audit.jsonl").exists()
    line = ["train", "--config", "1/settings.json", "--json"]
    assert cli.main([*line, "--out", "2"]) == 0
    second = json.loads(_json(capsys))
    assert second["metrics"] == first["metrics"]
    for one, other in zip(_weights("1"), _weights("2"), strict=True):
        np.testing.assert_array_equal(one, other)
    # What the command line says comes before the file, the phases as a whole.
    assert cli.main([*line, "--out", "3", "--dsd", "0.5", "--dry-run"]) == 0
    shown = json.loads(_json(capsys))
    assert len(shown["phases"]) == 3 and "sparsity=0.5" in shown["phases"][1]


@one_backend
@pytest.mark.parametrize(
    "change, message",
    [
        (("epochs = 3", "epoch = 3"), "Received: epoch=3 in all.toml"),
        (("epochs = 3", "epochs = 'three'"), "invalid int value: 'three'"),
        (("epochs = 3", ""), "--epochs"),
        (("epochs = 3", "epochs = 3\ndsd = 0.5"), "several ways: dsd, phases"),
        (("epochs = 3", "epochs = 3\ndsd = 1\nset = 1"), "not allowed with"),
        (('export = "keras"', 'export = "h5"'), "invalid choice: 'h5'"),
        (('model = "mine:build"', "model = 3"), "Received: model=3"),
        (("sparsity = 0.25", "sparsity = 2"), "sparsity=2"),
        (('phase = "Dense"', 'phase = "Thick"'), "Thick"),
        (("audit = true", "audit = 3 4"), "Not a table of arguments"),
    ],
)
def test_wrong_configs_are_one_line(change, message, folder, capsys):
    (folder / "all.toml").write_text(CONFIG.replace(*change))
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--config", "all.toml"])
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and not out
    assert message in err and err.count("\n") == 1
    assert not (folder / "keras_dsd_train").exists()
