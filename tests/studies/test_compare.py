"""`studies.compare`: fair, resumable, each run a process of its own."""

import concurrent.futures
import dataclasses
import functools
import json

import keras
import pytest

from keras_dsd import phases, studies
from keras_dsd.studies import probe, records, task
from keras_dsd.studies.study import Study
from tests.studies import small

BUILD, DATA = "tests.studies.small:build", "tests.studies.small:data"


def compare(directory, **changes):
    arguments = {
        "methods": {
            "conventional": "conventional",
            "lowered": "lowered",
            "dsd-0.5": "dsd-0.5",
            "dsd-0": studies.Method(phases=phases.dsd(3, sparsity=0.0)),
        },
        "epochs": 3,
        "seeds": [0],
        "directory": directory,
        "fit": {"batch_size": 16},
        "threads": 1,
        "verbose": 0,
    }
    return studies.compare(BUILD, DATA, **{**arguments, **changes})


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return compare(tmp_path_factory.mktemp("study"), workers=2)


def run_of(result, method):
    return next(run for run in result.runs if run["method"] == method)


def test_methods_are_the_same_until_they_differ(result):
    conventional, lowered, dsd = (
        run_of(result, name) for name in ("conventional", "lowered", "dsd-0.5")
    )
    assert conventional["history"][0]["loss"] == lowered["history"][0]["loss"]
    assert conventional["history"][1]["loss"] == lowered["history"][1]["loss"]
    assert conventional["history"][2]["loss"] != lowered["history"][2]["loss"]
    assert conventional["history"][0]["loss"] == dsd["history"][0]["loss"]
    assert conventional["history"][1]["loss"] != dsd["history"][1]["loss"]
    assert dsd["history"][1]["sparsity"] == 0.5
    # Without zeros it is its control to the end: rates, batches, dropout and noise.
    nothing = run_of(result, "dsd-0")
    for mine, theirs in zip(nothing["history"], lowered["history"], strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    assert conventional["drawn"] == lowered["drawn"] == dsd["drawn"]
    assert len(set(dsd["drawn"])) == 3
    assert result.unequal() == []


def test_what_is_measured(result):
    run = run_of(result, "dsd-0.5")
    assert set(run["metrics"]) == {"last", "best", "mean_of_last"}
    assert set(run["metrics"]["last"]) == {"train", "validation", "test"}
    losses = [epoch["val_accuracy"] for epoch in run["history"]]
    assert run["metrics"]["best"]["epoch"] == losses.index(max(losses))
    assert run["metrics"]["best"]["validation"]["accuracy"] == max(losses)
    assert run["resolution"] == 1 / 40
    parameters = {run["model"]["parameters"] for run in result.runs}
    assert parameters == {6 * 16 + 16 + 16 * 3 + 3}
    assert len({run["model"]["file_bytes"] for run in result.runs}) == 1
    correct = sum(
        run["classes"]["accuracy"][label] * count
        for label, count in run["classes"]["counts"].items()
    )
    assert correct / 40 == pytest.approx(run["metrics"]["last"]["test"]["accuracy"])


def test_the_result_in_all_its_forms(result, tmp_path):
    text = str(result)
    assert "Nothing can be concluded from one seed" in text
    assert "same batches in the same order and, in each epoch, the same draws" in text
    assert result.to_markdown().startswith("| method |")
    assert len(result.to_csv().splitlines()) == 5
    result.to_json(tmp_path / "result.json")
    found = json.loads((tmp_path / "result.json").read_text())
    assert len(found["runs"]) == 4
    assert len(result.plot().axes) == 3
    worth = result.value(
        "dsd-0.5", cost_per_hour=2, events_per_month=100, cost_per_error=1, months=3
    )
    assert worth.errors_saved == result.verdict("dsd-0.5").difference
    disagreements = result.disagreements("dsd-0.5")[0]
    assert 0 <= len(disagreements) <= 40


def test_a_finished_study_is_not_trained_again(result):
    files = sorted(result.directory.glob("runs/*/*.json"))
    before = [file.stat().st_mtime_ns for file in files]
    again = compare(result.directory, seeds=[0])
    assert [file.stat().st_mtime_ns for file in files] == before
    assert again.runs == result.runs
    assert not (result.directory / "unfinished").exists() or not list(
        (result.directory / "unfinished").iterdir()
    )


def test_another_study_is_refused_before_anything_is_trained(result):
    for changes in (
        {"epochs": 4},
        {"fit": {"batch_size": 8}},
        {"methods": {"dsd-0.5": "dsd-0.3"}},
    ):
        wanted = {
            "methods_wanted": ["conventional"],
            "epochs": 3,
            "seeds": [0],
            "directory": result.directory,
            "fit": {"batch_size": 16},
        }
        if "methods" in changes:
            changes["methods_wanted"] = changes.pop("methods")
        study = Study.of(BUILD, DATA, **{**wanted, **changes})
        with pytest.raises(records.StudyError, match=r"another study .*Received: dir"):
            study.claim()


def test_an_executor_gives_the_same_run(result, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        there = compare(tmp_path / "there", methods=["conventional"], executor=executor)
    mine, theirs = run_of(there, "conventional"), run_of(result, "conventional")
    assert mine["initial_weights"] == theirs["initial_weights"]
    assert mine["history"][0]["loss"] == pytest.approx(theirs["history"][0]["loss"])


def study(tmp_path, **changes):
    arguments = {
        "methods_wanted": ["conventional"],
        "epochs": 3,
        "seeds": [0],
        "directory": tmp_path / "study",
        "fit": None,
    }
    build, data = changes.pop("build", BUILD), changes.pop("data", DATA)
    return Study.of(build, data, **{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"seeds": []}, "Received: seeds="),
        ({"seeds": [1, 1]}, "Received: seeds="),
        ({"epochs": 0}, "Received: epochs=0"),
        ({"build": "tests.studies.small:nothing"}, "Received: build="),
        ({"build": "no.such.module:build"}, "Received: build="),
        ({"data": 7}, "Received: data=7"),
        ({"fit": {"epochs": 3}}, "Received: fit="),
        ({"fit": 3}, "Received: fit=3"),
        ({"mode": "up"}, "Received: mode='up'"),
        ({"methods_wanted": ["magic"]}, "Received: method='magic'"),
    ],
)
def test_bad_input(changes, received, tmp_path):
    with pytest.raises((TypeError, ValueError), match=received):
        study(tmp_path, **changes)
    assert not (tmp_path / "study").exists()


def test_a_function_with_other_arguments_is_another():
    names = {
        task.identity(functools.partial(function, size=size))
        for function in (small.build, small.data)
        for size in (1, 2)
    }
    assert len(names) == 4


def prunable():
    import keras_dsd

    return keras_dsd.make_prunable(small.build())


def uncompiled():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])


def wrong_labels():
    (x, _), validation, test = small.data()
    return (x, x), validation, (test[0], test[0])


def labels_from_one():
    return tuple((x, y + 1) for x, y in small.data())


def empty():
    train, validation, test = small.data()
    return (train[0][:0], train[1][:0]), validation, test


_kept = []


def the_same():
    _kept.append(small.build())
    return _kept[0]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"build": prunable}, "plain model"),
        ({"build": uncompiled}, "must compile"),
        ({"build": the_same}, "same object twice"),
        ({"build": dict}, "must return a `keras.Model`"),
        ({"data": empty}, "train data: "),
        ({"data": dict}, "no train data"),
        ({"data": wrong_labels}, "Received: labels "),
        ({"data": labels_from_one}, "Received: labels 1 to 3"),
        ({"metric": "f1"}, "Received: metric='f1'"),
    ],
)
def test_what_is_seen_before_training(changes, what, tmp_path):
    looked = study(tmp_path, **changes)
    with pytest.raises((TypeError, ValueError), match=what):
        probe.look(looked.work("conventional", 0))


def test_a_look_tells_what_will_be_trained(tmp_path):
    work = study(tmp_path).work("conventional", 0)
    found = probe.look(dataclasses.replace(work, epochs=0))
    assert found["items"] == {"train": 80, "validation": 30, "test": 40}
    assert found["metric"] == "accuracy"
    assert found["epoch_seconds"] > 0


def test_an_executor_must_submit(tmp_path):
    with pytest.raises(TypeError, match="Received: executor=3"):
        compare(tmp_path / "study", executor=3)
    assert not (tmp_path / "study").exists()


def test_a_folder_without_a_study(tmp_path):
    with pytest.raises(ValueError, match="no study here"):
        studies.Result(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="holds files, and no study"):
        study(tmp_path, directory=tmp_path).claim()
