"""The map: lines become tables, figures and verdicts, and the page is what they say."""

import dataclasses
import gzip
import json
import math
import pathlib
import re

import numpy as np
import pytest

import keras_dsd
from keras_dsd import phases

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")

from keras_dsd.studies import paired as tests_of_pairs
from keras_dsd.studies.measuring import pack
from tests.results import __main__ as command
from tests.results import (
    claim_tables,
    judging,
    lines,
    packs,
    page,
    parts,
    playing,
    reading,
)

pytestmark = pytest.mark.one_backend

DOCS = pathlib.Path(keras_dsd.__file__).parents[1] / "docs"
ACCURACY = reading.MEASURES["accuracy"]


def line(method, seed, accuracy, right=(1, 1, 1, 0)):
    """Returns a made-up line; two clean test items, then two noisy ones."""
    labels = np.array([3, 5, 3, 5])
    return {
        "setting": "digits-512-300-20",
        "method": method,
        "seed": seed,
        "last": {"test": {"accuracy": accuracy, "cross_entropy": 1 - accuracy}},
        "best": {"test": {"accuracy": accuracy / 2}, "epoch": 1},
        "parameters": 100,
        "zeros": 40,
        "predicted": pack(np.where(right, labels, 0)),
        "labels": pack(labels),
    }


@pytest.fixture
def made_up(tmp_path):
    found = [
        line("conventional", 0, 0.5),
        line("dsd-0.3", 0, 0.75),
        line("lowered", 0, 0.5, right=(1, 0, 0, 0)),
    ]
    lines.write(tmp_path / "regimes" / "digits-512-300-20.jsonl.gz", found)
    return tmp_path


def test_three_lines_make_a_page_and_its_figures(made_up, tmp_path):
    docs = tmp_path / "docs"
    (docs / "images").mkdir(parents=True)
    written = page.write(made_up, docs)
    assert [path.name for path in written] == [
        "results_regimes_accuracy.png",
        "results_regimes_noisy.png",
        "results_regimes_best_accuracy.png",
        "results_regimes_accuracy_controlled.png",
        "results_regimes_noisy_controlled.png",
        "results_regimes_best_accuracy_controlled.png",
        "results.md",
    ]
    assert all(path.stat().st_size > 1000 for path in written)
    text = written[-1].read_text()
    assert "Runs that failed:\nnone.\n" in text
    assert "| regimes | digits-512-300-20 | 1 | 12 | 3, unfinished | 324 |" in text
    assert (
        "| dsd-0.3 | 1 | 75.0 | +25.00 too few seeds | 0.00 identical |"
        in text.replace("+0.00", "0.00")
    )
    assert "| speech | cnn-400 | 0 | 12 | 0, unfinished | 216 |" in text


def test_lines_are_read_as_written_and_equal_lines_are_equal_bytes(made_up):
    (path,) = made_up.glob("*/*.gz")
    before = path.read_bytes()
    assert before[4:8] == bytes(4)  # no time of writing
    found = lines.read_all(made_up)["regimes"]["digits-512-300-20"]
    assert [one["method"] for one in found] == ["conventional", "dsd-0.3", "lowered"]
    lines.write(path, found[::-1])
    assert path.read_bytes() == before


def test_the_best_epoch_has_numbers_of_its_own(made_up):
    one = line("dsd-0.3", 0, 0.5)
    assert lines.value(one, "best_accuracy") == 0.25
    assert lines.value({**one, "best": None}, "best_accuracy") is None
    text = page.text(lines.read_all(made_up))
    assert "| +12.50 too few seeds |" in text


def test_accuracy_under_noise_is_that_of_the_second_half():
    assert lines.value(line("dsd-0.3", 0, 1.0, right=(0, 0, 1, 0)), "noisy") == 0.5


def test_a_verdict_is_better_where_all_seeds_are_and_a_control_is_its_own():
    found = [line("conventional", seed, 0.5) for seed in range(8)]
    found += [line("lowered", seed, 0.7) for seed in range(8)]
    found += [line("dsd-0.3", seed, 0.7 + seed / 1000) for seed in range(8)]
    # 1000 clean test items: differences are taken to vary by no less than one of them.
    found = [
        {**one, "labels": pack(range(2000)), "predicted": pack([0] * 2000)}
        for one in found
    ]
    assert judging.judged(found, ACCURACY)["dsd-0.3"].outcome == "better"
    own = judging.controlled(found, ACCURACY)["dsd-0.3"]
    assert (own.against, own.count) == ("lowered", 8)
    assert own.difference == pytest.approx(0.0035)

    few = judging.paired(
        found[:5] + found[8:13], ACCURACY, [("lowered", "conventional")]
    )
    assert [told.outcome for told in few.values()] == ["too few seeds"]
    same = judging.paired(found, ACCURACY, [("lowered", "lowered"), ("set", "lowered")])
    assert [told.outcome for told in same.values()] == ["identical"]

    pairs = judging.ingredients(found, ACCURACY)
    assert {key[1:]: pairs[key].outcome for key in pairs} == {
        ("lowered", "conventional"): "better",
        ("dsd-0.3", "lowered"): "better",
    }
    variants = [
        {**one, "method": f"dsd-0.3-{how}"}
        for how in ("inner", "kept")
        for one in found[-8:]
    ]
    pairs = judging.ingredients(found + variants, ACCURACY)
    assert list(pairs)[1:] == [
        ("mask and return, at the same rate", "dsd-0.3", "lowered"),
        ("the return", "dsd-0.3", "dsd-0.3-kept"),
        ("first and last layer dense", "dsd-0.3-inner", "dsd-0.3"),
        ("the mask alone, at the same rate", "dsd-0.3-kept", "lowered"),
    ]
    assert pairs["the return", "dsd-0.3", "dsd-0.3-kept"].difference == 0


def test_settings_together_count_seeds_that_all_have():
    def one(method, seed, accuracy):
        wide = {"labels": pack(range(2000)), "predicted": pack([0] * 2000)}
        return {**line(method, seed, accuracy), **wide}

    first = [one("lowered", seed, 0.5) for seed in range(8)]
    second = [one("lowered", seed, 0.25) for seed in range(7)]
    first += [one("dsd-0.3", seed, 0.6 + seed / 1000) for seed in range(8)]
    second += [one("dsd-0.3", seed, 0.25 + seed / 1000) for seed in range(7)]
    few = [one("lowered", 0, 0.5), one("dsd-0.3", 0, 0.1)]
    settings = {"a": first, "b": second, "c": [one("conventional", 0, 0.5)], "d": few}
    found = judging.together(settings, ACCURACY, {"dsd-0.3": "lowered"})["dsd-0.3"]
    assert (found.count, found.outcome) == (7, "better")
    assert found.difference == pytest.approx(0.05 + 0.003)
    assert judging.cell(found, ACCURACY) == "+5.30 (+5.10 to +5.50) **better**"
    del settings["b"]  # one setting is none together
    assert judging.together(settings, ACCURACY, {"dsd-0.3": "lowered"}) == {}


def test_claims_count_outcomes_and_show_each_number(made_up):
    found = lines.read_all(made_up)
    text = claim_tables.section(found)
    assert "| in 1 setting: 1 too few seeds |" in text
    assert (
        "| digits-512-300-20 | dsd-0.3 | lowered | 1 | +25.00 too few seeds |" in text
    )


def test_a_run_that_failed_is_told(made_up):
    message = "No such file: '/home/me/runs/0.json'"
    failure = {"seed": 1, "error": {"message": message}}
    (path,) = made_up.glob("*/*.gz")
    failed = lines.of_failed(failure, setting="digits-512-300-20", method="dsd-0.3")
    lines.write(path, [*lines.read(path), failed])
    text = page.text(lines.read_all(made_up))
    assert (
        "- regimes, digits-512-300-20, dsd-0.3, seed 1: No such file: '.../0.json'"
        in text
    )
    assert "| dsd-0.3 | 1 | 75.0 |" in text


@pytest.mark.skipif(not DOCS.exists(), reason="an installed copy")
def test_the_page_is_what_the_committed_lines_give():
    assert (DOCS / "results.md").read_text() == page.text(lines.read_all())


@pytest.mark.skipif(not DOCS.exists(), reason="an installed copy")
def test_numbers_of_the_page_follow_from_the_lines_by_another_way():
    text = (DOCS / "results.md").read_text()
    for path in lines.FOLDER.glob("*/*.gz"):
        text_of_runs = gzip.decompress(path.read_bytes())
        runs = [json.loads(one) for one in text_of_runs.splitlines()]
        name = path.name.removesuffix(".jsonl.gz")
        table = text.split(f"### {name}\n")[1].split("### ")[0]
        measure = "bits" if path.parent.name == "language" else "accuracy"
        by = {(r["method"], r["seed"]): r["last"]["test"][measure] for r in runs}
        for method in {run["method"] for run in runs} - {"conventional"}:
            seeds = [seed for name, seed in by if name == method]
            gaps = [by[method, seed] - by["conventional", seed] for seed in seeds]
            mean, gap = np.mean([by[method, s] for s in seeds]), np.mean(gaps)
            row = re.search(rf"^\| {re.escape(method)} \|.*$", table, re.M)[0]
            count, shown, difference = row.split("|")[2:5]
            scale, digits = (1, 3) if measure == "bits" else (100, 1)
            assert int(count) == len(seeds)
            assert f"{mean * scale:.{digits}f}" == shown.split()[0]
            digits = 3 if measure == "bits" else 2
            assert f"{gap * scale:+.{digits}f}" == difference.split()[0]


def test_only_what_has_no_line_is_made_and_all_is_kept(tmp_path, monkeypatch):
    part = parts.all_parts()["regimes"]
    (setting,) = [one for one in part.settings if one.name == "digits-64-300-20"]
    part = dataclasses.replace(
        part,
        core=("conventional", "lowered"),
        methods=dict.fromkeys(["conventional", "lowered", "dsd-0.3"]),
        settings=(setting,),
        seeds=2,
    )
    failed = lines.of_failed(
        {"seed": 1, "error": {"message": "killed"}}, setting="", method="lowered"
    )
    path = lines.path(tmp_path / "lines", "regimes", setting.name)
    lines.write(path, [line("conventional", 0, 0.5), line("dsd-0.3", 1, 0.5), failed])
    made = []

    def play_seed(part, setting, seed, place, data, names, executor):
        place.mkdir(parents=True)
        made.append((seed, names))

    monkeypatch.setattr(playing, "play_seed", play_seed)
    monkeypatch.setattr(
        playing,
        "lines_of",
        lambda part, setting, seed, place, data, names: [
            line(name, seed, 0.75) for name in names
        ],
    )
    where = {"folder": tmp_path, "data": "", "lines_folder": tmp_path / "lines"}
    assert not playing.play(part, **where, hours=0)
    assert not made
    assert playing.play(part, **where, hours=1, tell=lambda text: None)
    narrow = list(setting.narrow)
    assert made == [
        (0, ["lowered"]),
        (1, ["conventional", "lowered"]),
        (0, ["dsd-0.3", *narrow]),
        (1, narrow),
    ]
    found = {(one["seed"], one["method"]): one for one in lines.read(path)}
    assert len(found) == 2 * (3 + len(narrow))
    assert lines.value(found[0, "conventional"], "accuracy") == 0.5
    assert lines.value(found[1, "lowered"], "accuracy") == 0.75
    assert not list((tmp_path / "regimes" / setting.name).iterdir())


def test_lines_stay_small():
    files = list(lines.FOLDER.glob("*/*.gz"))
    assert all(path.stat().st_size < 1_000_000 for path in files)


@pytest.mark.parametrize("name", list(parts.all_parts()))
def test_every_part_has_seeds_enough_to_show_something(name):
    part = parts.all_parts()[name]
    for setting in part.settings:
        compared = len(part.methods) + len(setting.narrow) - 1
        assert part.seeds >= tests_of_pairs.fewest_seeds(compared)


@pytest.mark.parametrize("name", list(parts.all_parts()))
def test_every_part_names_its_core_and_its_data(name, tmp_path):
    part = parts.all_parts()[name]
    assert reading.BASELINE in part.methods
    assert set(part.core) <= set(part.methods)
    assert len({setting.name for setting in part.settings}) == len(part.settings)
    packed = [setting for setting in part.settings if setting.needs]
    assert parts.missing_packs(part, tmp_path, packed[0].name)
    with pytest.raises(FileNotFoundError, match="Received: "):
        packed[0].data(tmp_path, 0)


def test_without_its_data_a_part_says_what_it_needs(tmp_path, capsys):
    assert command.main(["--part", "speech", "--data", str(tmp_path)]) == 1
    assert re.search(r"speech_fsdd\.npz .*Received: ", capsys.readouterr().out)
    assert command.main(["--part", "video"]) == 2


def test_digits_are_drawn_anew_by_each_seed():
    setting = parts.all_parts()["regimes"].settings[0]
    (x, y), held_out, test = setting.data("", 0)
    assert (len(x), len(held_out[0]), len(test[0])) == (900, 200, 2 * 597)
    assert test[2].sum() == 597
    again, other = setting.data("", 0)[0], setting.data("", 1)[0]
    np.testing.assert_array_equal(again[1], y)
    assert not np.array_equal(other[1], y)
    # An epoch sees each of 300 examples three times, with the same label.
    np.testing.assert_array_equal(y[:300], y[300:600])
    np.testing.assert_array_equal(x[:300], x[600:])


@pytest.mark.parametrize(
    "name", ["digits-512-300-20", "cifar-64-1000-0", "cnn-32-300-20"]
)
def test_a_narrower_model_has_the_weights_that_sparsity_keeps(name):
    _no_width_comes_nearer("regimes", name)


@pytest.mark.parametrize("name", ["cnn-400", "gru-400"])
def test_a_narrower_model_of_speech_has_the_weights_that_sparsity_keeps(name):
    _no_width_comes_nearer("speech", name)


def _no_width_comes_nearer(part, name):
    def weights(model):
        return sum(math.prod(one.shape) for one in model.weights if one.name != "bias")

    settings = parts.all_parts()[part].settings
    (setting,) = [one for one in settings if one.name == name]
    full = weights(setting.build())
    assert setting.narrow
    for method, build in setting.narrow.items():
        kept = (1 - float(method.removeprefix("narrow-"))) * full
        has = weights(build())
        half_a_width = has / build.args[-1]  # weights grow with a width's square
        assert abs(has - kept) < half_a_width


def test_a_kept_mask_stays_and_what_returns_from_zero_is_not_drawn():
    methods = parts.all_parts()["regimes"].methods
    kept = methods["restart-0.95-kept"].phases
    nought = methods["restart-0.95-zero"].phases
    drawn = phases.restart(parts.DIGITS_EPOCHS, 0.95)
    assert [phase.is_sparse for phase in kept] == [False] + 5 * [True]
    for other in (kept, nought):
        assert [one.lr_factor for one in other] == [one.lr_factor for one in drawn]
        assert [one.epochs for one in other] == [one.epochs for one in drawn]
    assert [one.restore for one in drawn].count("random") == 2
    assert {one.restore for one in nought} == {"zero"}


def test_weights_of_test_items_leave_noisy_ones_out():
    x, y, weights = packs.with_noisy(np.ones((3, 2)), np.zeros((3, 2)), np.arange(3))
    assert (x.shape, y.tolist()) == ((6, 2), [0, 1, 2, 0, 1, 2])
    assert weights.tolist() == [1, 1, 1, 0, 0, 0]


def test_a_dry_run_makes_a_run_and_its_line(tmp_path):
    part = parts.all_parts()["regimes"]
    (found,) = playing.rehearse(part, folder=tmp_path, data="", only="digits-64-300")
    assert found["setting"] == "digits-64-300-20"
    assert found["epochs_trained"] == 3
    assert 0 < lines.value(found, "noisy") < lines.value(found, "accuracy") < 1
