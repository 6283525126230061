"""`keras-dsd robustness`, on real files."""

import json

import keras
import numpy as np
import pytest

from keras_dsd import cli
from keras_dsd.robustness import STANDARD, RobustnessReport, evaluate, names


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with two models, and the same ten images in three forms."""
    folder = tmp_path_factory.mktemp("files")
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), "uint8")
    labels = np.arange(10) % 2
    for seed, name in enumerate(("model", "other")):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Flatten(),
                keras.layers.Dense(2, activation="softmax"),
            ]
        )
        kernel = np.random.default_rng(seed).normal(0, 1, (192, 2))
        model.set_weights([kernel, np.zeros(2)])
        model.save(folder / f"{name}.keras")
    np.savez(folder / "arrays.npz", x_test=images, y_test=labels)
    np.savez(folder / "plain.npz", x=images, y=labels)
    np.savez(folder / "binary.npz", x=images, y=np.eye(2)[labels])
    np.savez(folder / "wrong.npz", a=images)
    for i in range(10):
        of_class = folder / "pictures" / f"class{labels[i]}"
        of_class.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(of_class / f"{i}.png", images[i], scale=False)
    (folder / "set").mkdir()
    np.save(folder / "set" / "fog.npy", np.tile(images, (5, 1, 1, 1)))
    np.save(folder / "set" / "labels.npy", np.tile(labels, 5))
    return folder


def command(files, data, *options):
    model = str(files / "model.keras")
    fixed = ["--corruptions", "fog", "--severities", "1", "4"]
    return cli.main(
        ["robustness", model, "--data", str(files / data), *fixed, *map(str, options)]
    )


@pytest.mark.parametrize("data", ["arrays.npz", "plain.npz", "pictures"])
def test_a_report_is_printed_and_written(files, tmp_path, capsys, data):
    as_json = ["--json"] if data == "pictures" else []
    options = ["--out", tmp_path / "out", "--input-range", 0, 1, *as_json]
    assert command(files, data, *options) == 0
    with np.load(files / "plain.npz") as arrays:
        images, labels = arrays["x"], arrays["y"]
    if data == "pictures":  # in the order of the classes
        order = np.argsort(labels, kind="stable")
        images, labels = images[order], labels[order]
    expected = evaluate(
        keras.saving.load_model(files / "model.keras"),
        images,
        labels,
        corruptions="fog",
        severities=[1, 4],
        preprocess=lambda x: x / np.float32(255),
        progress=False,
    )
    report = RobustnessReport.from_json(tmp_path / "out" / "report.json")
    assert report == expected
    said = capsys.readouterr()
    assert str(expected) in (said.err if as_json else said.out)
    assert not as_json or said.out == expected.to_json()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "frequencies.png",
        "report.csv",
        "report.json",
        "report.md",
        "report.png",
        *(["classes.txt"] if data == "pictures" else []),
    }


def test_the_direction_of_the_metric_may_be_said(files, tmp_path):
    options = ["--metric", "mse", "--input-range", 0, 1, "--out", tmp_path]
    for mode, grows in (([], False), (["--mode", "max"], True)):
        assert command(files, "binary.npz", *options, *mode) == 0
        report = RobustnessReport.from_json(tmp_path / "report.json")
        assert report.grows == grows


def test_only_what_the_run_wrote_is_told(files, tmp_path, capsys):
    (tmp_path / "gain.png").write_bytes(b"of an earlier run")
    command(files, "plain.npz", "--out", tmp_path)
    assert (
        "Written: frequencies.png, report.csv, report.json, report.md, report.png in "
        in capsys.readouterr().out
    )


def test_results_do_not_go_where_the_data_is(files, capsys):
    with pytest.raises(SystemExit):
        command(files, "pictures", "--out", files / "pictures" / "results")
    assert "must not lie among the data" in capsys.readouterr().err
    assert not (files / "pictures" / "results").exists()


def test_corruptions_are_named_by_their_family_too(files, tmp_path):
    options = ["--corruptions", "lens", "fog", "occlusion", "--out", tmp_path]
    command(files, "plain.npz", *options)
    report = RobustnessReport.from_json(tmp_path / "report.json")
    assert list(report.table) == [*names("lens"), "fog"]


def test_the_list_of_corruptions_needs_no_model(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["robustness", "--list"])
    assert exit_.value.code == 0
    listed = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert listed.pop("adversarial") == "fgsm, pgd"
    assert listed == {family: ", ".join(names(family)) for family in listed}
    assert sum(len(one.split(", ")) for one in listed.values()) == len(names())


def test_corruptions_of_videos_are_refused_before_the_model_sees_an_image(
    files, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(keras.Model, "predict_on_batch", lambda *_: pytest.fail("seen"))
    for data in ("plain.npz", "pictures"):
        with pytest.raises(SystemExit):
            command(files, data, "--corruptions", "freeze", "--out", tmp_path)
        assert "'freeze' is for videos" in capsys.readouterr().err


def test_what_the_published_mean_leaves_out_is_told(files, tmp_path, capsys):
    with np.load(files / "plain.npz") as arrays:
        images, labels = arrays["x"], arrays["y"]
    (tmp_path / "set").mkdir()
    for name in (*STANDARD, *names("extra")):
        np.save(tmp_path / "set" / f"{name}.npy", np.tile(images, (5, 1, 1, 1)))
    np.save(tmp_path / "set" / "labels.npy", labels)
    model = [str(files / "model.keras"), "--data", str(tmp_path / "set")]
    fixed = ["--severities", "1", "--out", str(tmp_path / "out")]
    cli.main(["robustness", *model, *fixed])
    report = RobustnessReport.from_json(tmp_path / "out" / "report.json")
    assert set(report.table) == set(STANDARD)
    left = ", ".join(sorted(names("extra")))
    line = f"Not measured, as no part of the published mean: {left}\n"
    assert line in capsys.readouterr().out
    cli.main(["robustness", *model, *fixed, "--corruptions", "extra"])
    report = RobustnessReport.from_json(tmp_path / "out" / "report.json")
    assert set(report.table) == set(names("extra"))
    assert "Not measured" not in capsys.readouterr().out


def test_attacked_images_are_brought_into_the_range_of_the_model(files, tmp_path):
    model = keras.saving.load_model(files / "model.keras")
    model.compile(loss="sparse_categorical_crossentropy")
    model.save(tmp_path / "model.keras")
    with np.load(files / "plain.npz") as arrays:
        images, labels = arrays["x"], arrays["y"]
    np.savez(tmp_path / "plain.npz", x=images, y=labels)
    options = ["--corruptions", "fgsm", "--input-range", -1, 1, "--out", tmp_path]
    command(tmp_path, "plain.npz", *options)
    expected = evaluate(
        model,
        images,
        labels,
        corruptions="fgsm",
        severities=[1, 4],
        preprocess=lambda x: x * np.float32(2 / 255) - 1,
        progress=False,
    )
    report = RobustnessReport.from_json(tmp_path / "report.json")
    assert report.table == expected.table


@pytest.mark.parametrize("baseline", ["other.keras", "report.json"])
def test_a_baseline_is_a_model_or_a_report(files, tmp_path, baseline):
    if baseline == "report.json":
        model = keras.saving.load_model(files / "other.keras")
        with np.load(files / "plain.npz") as arrays:
            evaluate(
                model,
                arrays["x"],
                arrays["y"],
                corruptions="fog",
                severities=[1, 4],
                progress=False,
            ).to_json(files / baseline)
    command(
        files, "plain.npz", "--baseline", files / baseline, "--out", tmp_path / baseline
    )
    numbers = json.loads((tmp_path / baseline / "report.json").read_text())
    assert numbers["mce"] is not None
    assert (tmp_path / baseline / "gain.png").exists()


def test_data_that_is_corrupted_already(files, tmp_path):
    clean = ["--clean", files / "arrays.npz"]
    assert command(files, "set", *clean, "--out", tmp_path) == 0
    report = RobustnessReport.from_json(tmp_path / "report.json")
    assert report.table["fog"] == {1: report.clean, 4: report.clean}


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("nothing", [], "nothing'"),
        ("wrong.npz", [], "wrong.npz' with ['a']"),
        ("model.keras", [], "model.keras'"),
        ("set", ["--corruptions", "snow"], "corruptions=['snow']"),
        ("plain.npz", ["--corruptions", "frogs"], "corruption='frogs'"),
        ("plain.npz", ["--severities", "6"], "severities=6"),
        ("plain.npz", ["--metric", "nonsense"], "metric='nonsense'"),
        ("plain.npz", ["--baseline", "no.keras"], "'no.keras'"),
        ("plain.npz", ["--batch-size", "0"], "batch_size=0"),
        ("plain.npz", ["--input-range", "1", "1"], "input_range=[1.0, 1.0]"),
        ("plain.npz", ["--seed", "-1"], "seed=-1"),
        ("plain.npz", ["--classes", "a", "b"], "plain.npz' with Pictures("),
        ("pictures", ["--image-size", "0", "8"], "image_size=[0, 8]"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_wrong_is_told_in_a_line(
    files, tmp_path, capsys, data, options, message
):
    with pytest.raises(SystemExit) as exit_:
        command(files, data, "--out", tmp_path, *options)
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-dsd robustness: error: ")
    assert message in error


def test_a_truncated_model_is_told_in_a_line(files, tmp_path, capsys):
    whole = (files / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(whole[:500])
    (tmp_path / "plain.npz").write_bytes((files / "plain.npz").read_bytes())
    with pytest.raises(SystemExit) as exit_:
        command(tmp_path, "plain.npz", "--out", tmp_path)
    assert exit_.value.code == 2
    assert "Keras can't load this model" in capsys.readouterr().err
