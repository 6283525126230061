"""The demo: a fair comparison, an honest verdict, and what it leaves in its folder."""

import io
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

import rich.console
from matplotlib import colors, image

import keras_dsd
from keras_dsd import studies
from keras_dsd.studies import demo, measuring
from keras_dsd.studies.demo import figure, phase_ends, problem, report
from keras_dsd.training import phases
from tests.studies import fake

pytestmark = pytest.mark.one_backend

ROOT = pathlib.Path(keras_dsd.__file__).parents[1]


def test_digits_are_split_in_two_halves_that_never_change():
    (x, y), validation, (x_test, y_test) = problem.data()
    np.testing.assert_array_equal(x_test, problem.data()[2][0])
    assert validation is None
    assert x.shape == (898, 8, 8, 1)
    assert x_test.shape == (899, 8, 8, 1)
    assert x.dtype == "float32"
    assert x.min() == 0
    assert x.max() == 1
    frequent = [np.bincount(labels) for labels in (y, y_test)]
    assert np.max(np.abs(frequent[0] - frequent[1])) <= 1


def test_the_first_run_leaves_its_weights_phase_by_phase(tmp_path):
    plan = phases.dsd(5, sparsity=0.3)  # ends after epochs 2, 3 and 4
    for first in (True, False):
        model = keras_dsd.make_prunable(problem.network())
        keep = phase_ends.PhaseEnds(tmp_path, plan)
        keep.set_model(model)
        for epoch in range(5):
            value = epoch if first else 9
            model.layers[-1].kernel.assign(np.full((64, 10), value))
            keep.on_epoch_end(epoch)
    for phase, value in (("Dense", 2), ("Sparse", 3), ("Redense", 4)):
        kernels = phase_ends.kernels(tmp_path, phase)
        assert len(kernels) == 4
        assert np.all(kernels["digits/logits/kernel"] == value)
    plain = phase_ends.model(tmp_path, "Redense")
    assert not isinstance(plain.layers[-1], keras_dsd.Prunable)


def test_the_table_has_a_line_for_each_seed(tmp_path):
    fake.study(tmp_path, ["conventional", "dsd"], range(3))
    result = studies.Result(tmp_path)
    console = rich.console.Console(record=True, width=100, file=io.StringIO())
    report.compare(console, result)
    said = console.export_text()
    old, new = result.values("conventional"), result.values("dsd")
    lines = {line.split()[0]: line for line in said.splitlines() if line.split()}
    for seed in range(3):
        assert f"{old[seed] * 100:.2f} %" in lines[str(seed)]
        assert f"{(new[seed] - old[seed]) * 100:+.2f}" in lines[str(seed)]
    deviation = np.std([new[seed] * 100 for seed in range(3)], ddof=1)
    assert f"{deviation:.2f} %" in lines["std"]
    assert " ".join(result.verdict("dsd").text.split()) in " ".join(said.split())


def test_histograms_show_who_is_pruned_and_comes_back(tmp_path, rng):
    dense = rng.normal(size=(100, 40)).astype("float32")
    sparse = np.where(np.abs(dense) < 0.5, 0, dense)
    redense = np.where(sparse == 0, dense / 10, dense)
    kept = {"Dense": dense, "Sparse": sparse, "Redense": redense}
    weights = {phase: {"kernel": kernel} for phase, kernel in kept.items()}
    figure.histograms(weights, tmp_path / "weights.png")
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


def test_the_whole_demo(tmp_path):
    out = tmp_path / "out[b]"  # brackets: markup to Rich, a pattern to TensorFlow
    command = [sys.executable, "-m", "keras_dsd", "demo", "--seeds", "1"]
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
    _check_the_exported_model(out)
    printed = " ".join(done.stdout.split())  # the console breaks lines
    assert results["verdict"]["text"] in printed
    for run in results["runs"]:
        assert f"{run['accuracy'] * 100:.2f} %" in printed
    assert str(out / "weights.png") in printed
    assert image.imread(out / "weights.png").std() > 0
    if keras.backend.backend() == "torch":
        assert results["saved_model"] is None
        assert demo.NOT_EXPORTED in printed
    else:
        assert (out / "saved_model" / "saved_model.pb").is_file()
        assert results["saved_model"]["weights_equal"]
        assert results["saved_model"]["runtime"] in printed


def _check_the_exported_model(out):
    """It is the very one whose accuracy is told, of seed 0."""
    record = json.loads((out / "study" / "runs" / "dsd" / "0.json").read_text())
    model = phase_ends.model(out / "weights", "Redense")
    found = model.predict(problem.data()[2][0], batch_size=32, verbose=0).argmax(axis=1)
    told = measuring.unpack(record["classes"]["predicted"])
    assert np.mean(found == told) > 0.999


def _check_results(results):
    assert results["settings"]["seeds"] == [0]
    assert results["settings"]["sparsity"] == 0.4
    assert results["versions"]["keras"] == keras.__version__
    assert results["versions"]["keras-dsd"] == keras_dsd.__version__
    runs = results["runs"]
    assert [(run["seed"], run["method"]) for run in runs] == [
        (0, "conventional"),
        (0, "dsd"),
    ]
    accuracies = [run["accuracy"] for run in runs]
    # A few epochs are enough to be far beyond guessing one of ten digits.
    assert all(0.5 < accuracy <= 1 for accuracy in accuracies)
    assert all(run["seconds"] > run["median_epoch_seconds"] > 0 for run in runs)
    assert runs[1]["sparsity_by_phase"]["Sparse"] == pytest.approx(0.4, abs=1e-3)
    differences = np.subtract(accuracies[1::2], accuracies[::2])
    assert results["verdict"]["difference"] == pytest.approx(differences.mean())
