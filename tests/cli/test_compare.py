"""`keras-dsd compare`: study files, and how they refuse and end."""

import json
import sys
import tomllib

import pytest

from keras_dsd import cli, studies
from keras_dsd.studies import methods, planning, processes, study_file, task
from tests import processes as tests_processes
from tests.studies import fake

pytestmark = pytest.mark.one_backend

TOML = """
build = "tests.studies.small:build"
data = "tests.studies.small:data"
epochs = 6
seeds = 2
directory = "result"

[fit]
batch_size = 16

[methods]
conventional = "conventional"
deep = { recipe = "dsd", sparsity = 0.5, cycles = 2, wrap = { exclude = "logits" } }
robust = { recipe = "robust" }
"""

YAML = """
build: tests.studies.small:build
data: tests.studies.small:data
epochs: 6
seeds: [0, 1]
directory: result
fit: {batch_size: 16}
methods:
  conventional: conventional
  deep: {recipe: dsd, sparsity: 0.5, cycles: 2, wrap: {exclude: logits}}
  robust: {recipe: robust}
"""


def arguments():
    return tomllib.loads(TOML)


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """Made-up runs, in an empty folder."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    found = fake.Runs()
    monkeypatch.setattr(processes, "run", found)
    return found


def study(tmp_path, text=TOML, name="study.toml"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_toml_yaml_and_a_function_say_the_same(runs, tmp_path):
    found = [
        study_file.load(name, studies.compare)
        for name in (
            study(tmp_path),
            study(tmp_path, YAML, "study.yaml"),
            "tests.cli.test_compare:arguments",
        )
    ]
    assert found[0] == found[1] == found[2]
    assert found[0]["seeds"] == [0, 1]
    assert found[0]["directory"] == tmp_path / "result"
    deep = found[0]["methods"]["deep"]
    assert [phase.epochs for phase in deep.phases] == [2, 1, 1, 1, 1]
    assert deep.phases[1].sparsity == 0.5
    assert deep.wrap == {"exclude": "logits"}
    assert not deep.track_gradients
    assert found[0]["methods"]["robust"].track_gradients
    # The config that a study writes down is read as well.
    config = json.loads(json.dumps(deep.get_config()))
    assert study_file._method("deep", config, 6) == deep


def test_the_study_of_the_docs_is_the_example(runs):
    example = tests_processes.REPOSITORY / "examples" / "digits_study" / "study.toml"
    if not example.exists():
        pytest.skip("no checkout")
    page = (example.parents[2] / "docs" / "studies.md").read_text()
    shown = page.split("```toml\n")[1].split("```")[0]
    assert example.read_text().endswith(shown)
    found = study_file.load(str(example), studies.compare)
    assert found["seeds"] == list(range(8))
    assert len(methods.resolve(found["methods"], found["epochs"])) == 6
    pytest.importorskip("sklearn")
    for name in ("build", "data"):
        assert task.function(found[name], name)() is not None


def test_compare_makes_the_study_and_goes_on(runs, tmp_path, capsys):
    assert cli.main(["compare", study(tmp_path)]) == 0
    assert len(runs.made) == 6
    assert (
        "No difference shown between deep and conventional" in capsys.readouterr().out
    )
    again = ["compare", study(tmp_path), "--workers", "2", "--json"]
    assert cli.main(again) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 6
    assert len(runs.made) == 6
    assert len(list((tmp_path / "result").glob("runs/*/*.json"))) == 6


def test_a_run_that_fails_is_told_by_the_status(runs, tmp_path, capsys):
    runs.failing = {("deep", 1): {"message": "boom", "output": []}}
    assert cli.main(["compare", study(tmp_path)]) == 3
    assert "Failed: deep, seed 1: boom" in capsys.readouterr().out


def test_a_dry_run_tells_and_writes_nothing(runs, tmp_path, capsys):
    path = study(tmp_path)
    assert cli.main(["compare", path, "--dry-run", "--workers", "2"]) == 0
    said = capsys.readouterr().out
    assert "deep: seeds 0, 1\n" in said
    assert "6 runs of 6 epochs\n" in said
    assert "2 at a time: 2 s an epoch" in said  # as the made-up look found
    assert cli.main(["compare", path, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["runs"][0] == ["conventional", 0] and plan["epoch_seconds"] == 2
    assert not runs.made
    assert not (tmp_path / "result").exists()


def test_time_is_multiplied():
    plan = planning.Plan([("dsd", seed) for seed in range(5)], 10, 2.0, 4.0, 2, 0)
    assert plan.seconds == 3 * (4 + 10 * 2)
    assert "about 72 seconds on 2" in plan.lines()[-1]
    assert "2.0 hours" in planning.Plan(plan.runs, 600, 2.4, 0, 1, 0).lines()[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds = 2", ""), "lacks 'seeds'"),
        (("seeds = 2", "seed = 2"), "Received: seed=2"),
        (("seeds = 2", "seeds = 0"), "Received: seeds=[]"),
        (("epochs = 6", "epochs = 6 7"), "Not a study ("),
        (("epochs = 6", "epochs = 2"), "Method 'deep': "),
        (('recipe = "robust"', 'recipe = "magic"'), "Method 'robust': Unknown `name`"),
        (('recipe = "robust"', 'recipe = "robust", cycles = 2'), "Received: cycles=2"),
        (('recipe = "robust"', "speed = 2"), "Method 'robust': "),
        (("small:build", "small:nothing"), "Received: build="),
        (('"conventional"\n', '"magic"\n'), "Received: method='magic'"),
    ],
)
def test_wrong_files_are_one_line(runs, change, message, tmp_path, capsys):
    path = study(tmp_path, TOML.replace(*change))
    with pytest.raises(SystemExit) as exit_:
        cli.main(["compare", path])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not runs.made


@pytest.mark.parametrize("name", ["nothing.toml", "study.txt", "no.module:function"])
def test_names_that_are_no_study(runs, name, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["compare", name])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_a_look_finds_is_one_line(runs, monkeypatch, tmp_path, capsys):
    error = {"message": "ValueError: no data", "output": ["Traceback", "ValueError"]}
    monkeypatch.setattr(processes, "run", lambda *_, **__: (None, error))
    with pytest.raises(SystemExit) as exit_:
        cli.main(["compare", study(tmp_path)])
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert "Received: ValueError: no data" in said
    assert said.count("\n") == 1
