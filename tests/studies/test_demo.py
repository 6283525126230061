"""The demo: a fair comparison, an honest verdict, and what it leaves in its folder."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

from matplotlib import colors, image

import keras_dsd
from keras_dsd.deploy import saved_model
from keras_dsd.sparsity import counts
from keras_dsd.studies import demo
from keras_dsd.studies.demo import data, figure, train
from keras_dsd.training import phases

pytestmark = pytest.mark.one_backend

ROOT = pathlib.Path(keras_dsd.__file__).parents[1]


@pytest.fixture(scope="module")
def digits():
    return data.digits()


def run(method, digits, seed=0, sparsity=0.3):
    plan = phases.dsd(3, sparsity=sparsity)
    return train.train(method, seed=seed, digits=digits, plan=plan)


def distance(one, other, phase):
    """Returns the largest difference of two runs' kernels at the end of a phase."""
    return max(
        np.max(np.abs(kernel - other.weights[phase][path]))
        for path, kernel in one.weights[phase].items()
    )


def test_digits_are_split_in_two_halves_that_never_change(digits):
    again = data.digits()
    np.testing.assert_array_equal(digits.x_test, again.x_test)
    assert digits.x_train.shape == (898, 8, 8, 1)
    assert digits.x_test.shape == (899, 8, 8, 1)
    assert digits.x_train.dtype == "float32"
    assert digits.x_train.min() == 0
    assert digits.x_train.max() == 1
    frequent = [np.bincount(y) for y in (digits.y_train, digits.y_test)]
    assert np.max(np.abs(frequent[0] - frequent[1])) <= 1


def test_methods_are_the_same_until_masks_make_the_difference(digits):
    conventional, dsd = run("conventional", digits), run("dsd", digits)
    assert distance(conventional, dsd, "Dense") == 0
    assert distance(conventional, dsd, "Sparse") > 1e-3
    assert conventional.rates == dsd.rates
    assert dsd.rates[1] == dsd.rates[0]
    assert dsd.rates[2] == pytest.approx(0.1 * dsd.rates[0])


def test_without_zeros_dsd_is_conventional_training_to_the_end(digits):
    # So the data's order, the dropout and the rates are the same in later phases too.
    conventional = run("conventional", digits)
    dsd = run("dsd", digits, sparsity=0.0)
    another = run("conventional", digits, seed=1)
    assert distance(conventional, dsd, "Redense") < 1e-4
    assert distance(conventional, another, "Redense") > 1e-2


def test_dsd_prunes_what_the_demo_says(digits):
    dsd = run("dsd", digits)
    assert dsd.pruned == [
        "digits/conv2/kernel",
        "digits/hidden/kernel",
        "digits/logits/kernel",
    ]
    for path in dsd.pruned:
        kernel = dsd.weights["Sparse"][path]
        zeros = kernel.size - np.count_nonzero(kernel)
        assert zeros == counts.zeros(kernel.size, 0.3)
    by_phase = dsd.sparsity_by_phase()
    assert by_phase["Dense"] == 0
    assert by_phase["Sparse"] == pytest.approx(0.3, abs=1e-3)
    assert by_phase["Redense"] < by_phase["Sparse"]
    assert not any(isinstance(layer, keras_dsd.Prunable) for layer in dsd.model.layers)


def test_histograms_show_who_is_pruned_and_comes_back(tmp_path, rng):
    dense = rng.normal(size=(100, 40)).astype("float32")
    sparse = np.where(np.abs(dense) < 0.5, 0, dense)
    redense = np.where(sparse == 0, dense / 10, dense)
    run = train.Run(
        seed=0,
        method="dsd",
        accuracy=1.0,
        seconds=1.0,
        epoch_seconds=1.0,
        rates=[],
        weights={
            "Dense": {"kernel": dense},
            "Sparse": {"kernel": sparse},
            "Redense": {"kernel": redense},
        },
        pruned=["kernel"],
        model=None,
    )
    figure.histograms(run, tmp_path / "weights.png")
    picture = image.imread(tmp_path / "weights.png")[..., :3]
    height, width, _ = picture.shape
    assert width > height > 500
    # Without the legend below; one third for each phase.
    panels = np.array_split(picture[: height * 4 // 5], 3, axis=1)
    for color, shown in (
        (figure.SURVIVED, [True, True, True]),
        (figure.RETURNED, [True, False, True]),
    ):
        edge = np.array(colors.to_rgb(color))
        found = [np.any(np.all(abs(p - edge) < 0.02, axis=2)) for p in panels]
        assert found == shown


@pytest.mark.parametrize(
    ("wrong", "received"),
    [
        ({"seeds": 0}, "Received: seeds=0"),
        ({"epochs": 2}, "Received: epochs=2"),
        ({"sparsity": 1.0}, r"Received: sparsity=1\.0"),
    ],
)
def test_settings_refuse_and_make_no_folder(wrong, received, tmp_path):
    out = tmp_path / "out"
    fine = {"seeds": 1, "epochs": 3, "sparsity": 0.3, "out": out}
    with pytest.raises(ValueError, match=received):
        demo.Settings(**{**fine, **wrong})
    assert not out.exists()


def test_settings_refuse_a_file_as_folder(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match="must be a folder"):
        demo.Settings(seeds=1, epochs=3, sparsity=0.3, out=file)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="no SavedModel there")
def test_export_tells_equal_from_not_equal(monkeypatch, tmp_path, digits):
    model, x = train.network(), digits.x_test[:5]
    right = keras.ops.convert_to_numpy(model(x, training=False))
    monkeypatch.setattr(saved_model, "outputs_of", lambda folder, x: right)
    same = saved_model.export(model, tmp_path / "model", x)
    assert same.equal
    assert "equal, to the bit" in same.text
    monkeypatch.setattr(saved_model, "outputs_of", lambda folder, x: right + 0.5)
    other = saved_model.export(model, tmp_path / "model", x)
    assert not other.equal
    assert other.max_difference == pytest.approx(0.5, abs=1e-6)
    assert "not equal" in other.text


def test_a_model_that_tensorflow_cannot_load_is_an_error(tmp_path, digits):
    with pytest.raises(RuntimeError, match="could not run"):
        saved_model.outputs_of(tmp_path, digits.x_test[:1])


def test_the_whole_demo(tmp_path):
    out = tmp_path / "out[b]"  # brackets: markup to Rich, a pattern to TensorFlow
    command = [sys.executable, "-m", "keras_dsd", "demo", "--seeds", "2"]
    done = subprocess.run(
        [*command, "--epochs", "6", "--sparsity", "0.4", "--out", str(out)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    _check_results(results)
    printed = " ".join(done.stdout.split())  # the console breaks lines
    assert results["verdict"]["text"] in printed
    for run in results["runs"]:
        assert f"{run['accuracy'] * 100:.2f} %" in printed
    assert str(out / "weights.png") in printed
    assert image.imread(out / "weights.png").std() > 0
    assert results["saved_model"]["text"] in printed
    if keras.backend.backend() == "torch":
        assert not results["saved_model"]["exported"]
        assert "Not exported" in printed
    else:
        assert (out / "saved_model" / "saved_model.pb").is_file()
        assert results["saved_model"]["max_difference"] < 1e-4
        if keras.backend.backend() == "tensorflow":
            assert results["saved_model"]["equal"]


def _check_results(results):
    assert results["settings"]["seeds"] == [0, 1]
    assert results["settings"]["sparsity"] == 0.4
    assert results["versions"]["keras"] == keras.__version__
    assert results["versions"]["keras-dsd"] == keras_dsd.__version__
    runs = results["runs"]
    assert [(run["seed"], run["method"]) for run in runs] == [
        (0, "conventional"),
        (0, "dsd"),
        (1, "conventional"),
        (1, "dsd"),
    ]
    accuracies = [run["accuracy"] for run in runs]
    # A few epochs are enough to be far beyond guessing one of ten digits.
    assert all(0.5 < accuracy <= 1 for accuracy in accuracies)
    assert all(run["seconds"] > run["median_epoch_seconds"] > 0 for run in runs)
    assert runs[1]["sparsity_by_phase"]["Sparse"] == pytest.approx(0.4, abs=1e-3)
    differences = np.subtract(accuracies[1::2], accuracies[::2])
    assert results["verdict"]["difference"] == pytest.approx(differences.mean())
