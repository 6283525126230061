"""What a mean hides: classes that a method hurts, items on which it differs."""

import copy

import numpy as np
import pytest

from keras_dsd import studies
from keras_dsd.studies import measuring, subgroups
from tests.studies import fake

pytestmark = pytest.mark.one_backend

LABELS = np.arange(40) % 4


def runs(predictions):
    """Returns records of {(method, seed): predicted classes}."""
    made = []
    for (method, seed), predicted in predictions.items():
        run = copy.deepcopy(fake.record(method, seed, items=40))
        run["classes"]["predicted"] = measuring.pack(predicted)
        run["classes"]["accuracy"] = {
            str(label): float(np.mean(predicted[label == LABELS] == label))
            for label in range(4)
        }
        made.append(run)
    return made


def hurt(seeds):
    """Class 2 loses, class 1 wins as much, so the mean stays."""
    found = {}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        old, new = LABELS.copy(), LABELS.copy()
        old[rng.choice(np.flatnonzero(LABELS == 1), 5, replace=False)] = 0
        new[rng.choice(np.flatnonzero(LABELS == 2), 5, replace=False)] = 0
        new[2] = 3  # of class 2, wrong with every seed
        found["conventional", seed], found["dsd", seed] = old, new
    return runs(found)


def test_classes_that_change_while_the_mean_stays():
    rows = subgroups.by_class(hurt(8), "dsd", "conventional")
    by_label = {row["label"]: row for row in rows}
    assert by_label["1"]["difference"] == pytest.approx(0.5)
    assert by_label["2"]["difference"] <= -0.5
    assert by_label["0"]["difference"] == 0
    assert [row["p"] <= 0.05 for row in rows] == [True, True, False, False]
    assert rows[0]["low"] < rows[0]["difference"] < rows[0]["high"]
    said = subgroups.lines(hurt(8), "dsd", "conventional")[0]
    assert said.startswith("dsd, by class: changed: class 2 -5")
    assert "class 1 +50.00 points" in said


def test_items_on_which_methods_disagree():
    made = hurt(3)
    items = subgroups.by_item(made, "dsd", "conventional")
    each = subgroups.disagreements(made, "dsd", "conventional")
    assert set(each) == {0, 1, 2}
    for run in made[::2]:
        old = measuring.unpack(run["classes"]["predicted"])
        new = measuring.unpack(made[2 * run["seed"] + 1]["classes"]["predicted"])
        assert each[run["seed"]].tolist() == np.flatnonzero(old != new).tolist()
    assert items["share"] == np.mean([len(found) for found in each.values()]) / 40
    assert 2 in items["always"]
    assert 0 < items["between_seeds"] < 0.3


def test_one_seed_shows_nothing():
    made = hurt(1)
    assert subgroups.by_class(made, "dsd", "conventional")[0]["p"] is None
    assert subgroups.by_item(made, "dsd", "conventional")["between_seeds"] is None
    assert "nothing can be concluded" in subgroups.lines(made, "dsd", "conventional")[0]


def test_without_classes_nothing_is_said():
    made = hurt(2)
    for run in made:
        run["classes"] = None
    assert subgroups.lines(made, "dsd", "conventional") == []


def test_the_report_tells_them(tmp_path):
    fake.study(tmp_path, ["conventional", "dsd"], range(8))
    result = studies.Result(tmp_path)
    text = str(result)
    assert "dsd, by class: no change shown in any of 4" in text
    assert "dsd and conventional predict different classes for" in text
    assert "two seeds of conventional for" in text
    assert result.to_dict()["classes"]["dsd"] == result.classes("dsd")
    assert "| latency, ms |" in result.to_markdown()


def test_what_differs_is_told(tmp_path):
    fake.study(tmp_path, ["conventional", "dsd"], range(2))
    result = studies.Result(tmp_path)
    assert result.unequal() == []
    assert "the same draws of dropout and augmentation" in str(result)
    result.runs[0]["drawn"][1] = "another"
    result.runs[1]["initial_weights"] = "another"
    del result.runs[2]["drawn"][1:]  # it ended early
    assert result.unequal() == ["seed 1: the methods' initial weights differ"]
    result.runs[2]["drawn"].append("a third")
    assert "seed 0: the methods' order of data or draws" in str(result)
