"""A search goes on where it was, chooses on validation data, and tells both values."""

import json
import types

import pytest

import keras_dsd
from keras_dsd import cli, studies
from keras_dsd.studies import processes, records, spaces, task, tuning
from tests import processes as processes_of_tests
from tests.studies import fake

pytest.importorskip("optuna")
pytestmark = pytest.mark.one_backend


class Runs:
    """Takes the place of `processes.run`: what is best is known.

    Validation is the better the nearer the sparsity is to .4; test data say the
    contrary, so that who looks at them is found out.
    """

    def __init__(self, stop=None, failing=(), validates=True):
        self.made = []
        self.stop = stop
        self.failing = failing
        self.validates = validates

    def __call__(self, module, data, **_):
        if module == "probe":
            items = {"train": 9, "validation": 9, "test": 9}
            if not self.validates:
                del items["validation"]
            return {"version": records.VERSION, "items": items}, None
        work = task.Task.from_bytes(data)
        run = (work.name, work.seed)
        if self.stop is not None and len(self.made) == self.stop:
            raise KeyboardInterrupt
        if run in self.failing:
            return None, {"message": "broken", "exit_code": 1, "output": []}
        self.made.append(run)
        record = fake.record(*run, epochs=work.epochs)
        plan = work.method.phases or ()
        sparsity = max((getattr(p, "sparsity", 0) for p in plan), default=0)
        for when in ("last", "best"):
            parts = record["metrics"][when]
            value = 0.9 - (sparsity - 0.4) ** 2 + (work.seed % 5) / 1000
            parts["validation"] = {"accuracy": value, "loss": 1 - value}
            parts["test"] = {"accuracy": 1 - value, "loss": value}
        return record, None


@pytest.fixture
def searched(monkeypatch, tmp_path):
    """Returns a function that searches with stubs in place of runs."""

    def search(runs, folder="search", **changes):
        monkeypatch.setattr(processes, "run", runs)
        arguments = {
            "epochs": 12,
            "trials": 14,
            "space": {"method": "dsd"},
            "fresh_seeds": 6,
            "verbose": 0,
            **changes,
        }
        return studies.tune(
            "tests.studies.small:build",
            "tests.studies.small:data",
            directory=tmp_path / folder,
            **arguments,
        )

    return search


def test_it_finds_what_is_best_on_validation_data(searched):
    runs = Runs()
    found = searched(runs)
    assert len(found.trials) == 14
    values = [one["value"] for one in found.trials]
    assert found.searched == max(values) == values[found.best["number"]]
    assert abs(found.params["sparsity"] - 0.4) < 0.1
    # Later suggestions are better than the first, which are random.
    gaps = [abs(one["params"]["sparsity"] - 0.4) for one in found.trials]
    assert sum(gaps[10:]) / 4 < sum(gaps[:10]) / 10
    confirmed = {run for run in runs.made if run[0] in ("tuned", "conventional")}
    assert confirmed == {
        (name, seed)
        for name in ("tuned", "conventional")
        for seed in range(tuning.SEED, tuning.SEED + 6)
    }
    assert found.phases[1].sparsity == found.params["sparsity"]
    assert found.fresh != found.searched
    text = str(found)
    assert f"{found.searched:.4f}; on fresh seeds: {found.fresh:.4f}" in text
    assert found.verdict().text in text
    assert json.loads(found.to_json())["best"]["params"] == found.params


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_that_was_stopped_goes_on(searched, workers):
    whole = searched(Runs(), "whole", workers=workers)
    with pytest.raises(KeyboardInterrupt):
        searched(Runs(stop=5), "stopped", workers=workers)
    runs = Runs()
    again = searched(runs, "stopped", workers=workers)
    assert again.trials == whole.trials
    assert len(runs.made) < 14 + 12
    assert str(again) == str(whole)
    same = Runs()
    assert searched(same, "stopped", workers=workers).trials == whole.trials
    assert not same.made
    more = searched(Runs(), "stopped", workers=workers, trials=16)
    assert more.trials[:14] == whole.trials


def test_trials_that_fail(searched, capsys):
    found = searched(Runs(failing=[("trial-001", 0), ("trial-003", 0)]), trials=5)
    assert [one["value"] is None for one in found.trials] == [0, 1, 0, 1, 0]
    assert "(2 failed)" in str(found)
    again = searched(Runs(), trials=5)
    assert all(one["value"] is not None for one in again.trials)
    failing = [(f"trial-00{number}", 0) for number in range(2)]
    with pytest.raises(ValueError, match=r"All trials failed\. Received: broken"):
        searched(Runs(failing=failing), "other", trials=2)


def test_several_seeds(searched):
    found = searched(Runs(), trials=2, seeds=[3, 4])
    one = found.trials[0]
    gap = (one["params"]["sparsity"] - 0.4) ** 2
    assert one["value"] == pytest.approx(0.9 - gap + 0.0035)


@pytest.mark.parametrize(
    "changes, received",
    [
        ({"trials": 0}, "Received: trials=0"),
        ({"epochs": 2}, "Received: epochs=2"),
        ({"space": {"depth": 3}}, "Received: space='depth'"),
        ({"space": {"method": ["sgd"]}}, "Received: method='sgd'"),
        ({"space": {"sparsity": (0.8, 0.2)}}, r"Received: sparsity=\(0.8, 0.2\)"),
        ({"space": {"restore": []}}, r"Received: restore=\[\]"),
        ({"space": 3}, "Received: space=3"),
        ({"seeds": [tuning.SEED]}, r"Received: \[1048576\] in both"),
        ({"against": "magic"}, "Received: method='magic'"),
        ({"runs": Runs(validates=False)}, "Received: validation=None"),
        ({"directory": 3}, "got multiple values|directory"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input(changes, received, searched, tmp_path):
    runs = changes.pop("runs", Runs())
    with pytest.raises((TypeError, ValueError), match=received):
        searched(runs, **changes)
    assert not runs.made
    assert not (tmp_path / "search").exists()


def test_another_search_in_the_folder(searched):
    searched(Runs(), trials=1)
    with pytest.raises(ValueError, match=r"another search: its epochs is 12"):
        searched(Runs(), trials=1, epochs=15)


class First:
    """Suggests the first of all, as a search of one's own might, KerasTuner's say."""

    def suggest_float(self, name, low, high, log=False):
        return low

    def suggest_int(self, name, low, high):
        return low

    def suggest_categorical(self, name, choices):
        return choices[0]


@pytest.mark.parametrize("epochs", [3, 5, 20])
@pytest.mark.parametrize("method", ["dsd", *spaces.MOVING])
def test_suggested_phases_fill_the_epochs(method, epochs):
    space = {"method": method, "sparse_share": 0.6, "redense_share": 0.6}
    plan = studies.suggest_phases(First(), epochs, space)
    assert sum(phase.epochs for phase in plan) == epochs
    assert plan[-1].is_sparse == (method != "dsd")
    keras_dsd.DSDCallback(plan)


@pytest.mark.skipif(
    not (processes_of_tests.REPOSITORY / "docs").exists(), reason="an installed copy"
)
def test_the_example_of_keras_tuner():
    """The docs' adapter, with what KerasTuner has by name in place of KerasTuner."""
    text = (processes_of_tests.REPOSITORY / "docs" / "tuning.md").read_text()
    code = text.split("<!-- keras_tuner -->\n```python\n")[1].split("\n```")[0]
    tuner = types.SimpleNamespace(HyperModel=object)
    names = {"keras_tuner": tuner, "studies": studies, "dsd": keras_dsd}
    exec(code, names)
    hp = types.SimpleNamespace(
        Float=lambda name, low, high, sampling: high,
        Int=lambda name, low, high: high,
        Choice=lambda name, values: values[0],
    )
    fitted = types.SimpleNamespace(fit=lambda *args, **kwargs: kwargs)
    found = names["Tuned"]().fit(hp, fitted, 1, epochs=9, callbacks=[2])
    assert found["epochs"] == 9
    assert isinstance(found["callbacks"][1], keras_dsd.DSDCallback)


def test_from_the_command_line(searched, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(processes, "run", Runs())
    (tmp_path / "study.toml").write_text(
        'build = "tests.studies.small:build"\ndata = "tests.studies.small:data"\n'
        'epochs = 6\ntrials = 9\ndirectory = "out"\nfresh_seeds = 2\n'
        "[space]\nsparsity = 0.5\n[fit]\nbatch_size = 8\n"
    )
    line = ["tune", str(tmp_path / "study.toml"), "--trials", "2"]
    assert cli.main(line) == 0
    assert "Best of 2 trials" in capsys.readouterr().out
    assert cli.main([*line, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["trials"]) == 2
    (tmp_path / "study.toml").write_text("epochs = 6\n")
    with pytest.raises(SystemExit) as stop:
        cli.main(line)
    assert stop.value.code == 2
    assert "lacks 'build'" in capsys.readouterr().err
