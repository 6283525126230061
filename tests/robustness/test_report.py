"""`RobustnessReport`: means, mCE and files, on numbers chosen by hand."""

import csv
import json
import math

import pytest

from keras_dsd.robustness import RobustnessReport, plot_gain, published_errors
from keras_dsd.robustness.corruptions.corruption import SEVERITIES


def report(table, clean=0.9, grows=True, metric="accuracy", baseline=None):
    families = {name: name.rpartition("_")[2] for name in table}
    return RobustnessReport(
        metric, grows, clean, table, families, 100, 0, "cifar", baseline
    )


TABLE = {"shot_noise": {1: 0.8, 5: 0.4}, "speckle_noise": {1: 0.5}, "fog": {1: 0.7}}


def test_means_are_over_severities_first():
    found = report(TABLE)
    assert found.means == pytest.approx(
        {"shot_noise": 0.6, "speckle_noise": 0.5, "fog": 0.7}
    )
    assert found.robust == pytest.approx(0.6)
    assert found.by_family == pytest.approx({"noise": 0.55, "fog": 0.7})


def test_no_baseline_no_mce():
    found = report(TABLE)
    assert found.ce is found.mce is found.relative_ce is found.relative_mce is None


def test_mce_is_the_mean_of_ratios_of_errors():
    base = report({"fog": {1: 0.6, 2: 0.2}, "snow": {1: 0.5}}, clean=0.8)
    found = report({"fog": {1: 0.7, 2: 0.5}, "snow": {1: 0.75}}, baseline=base)
    assert found.ce == pytest.approx({"fog": 0.8 / 1.2, "snow": 0.5})
    assert found.mce == pytest.approx((0.8 / 1.2 + 0.5) / 2)
    assert found.relative_ce == pytest.approx({"fog": 0.3 / 0.4, "snow": 0.15 / 0.3})


def test_errors_that_shrink_are_errors():
    base = report({"fog": {1: 4.0}}, clean=2.0, grows=False, metric="mse")
    found = report({"fog": {1: 3.0}}, 1.0, grows=False, metric="mse", baseline=base)
    assert found.mce == 0.75
    assert found.relative_mce == 1.0
    assert found.gain_over(base) == {"fog": 1.0}


def test_no_error_can_be_told_of_a_metric_beyond_one():
    base = report({"fog": {1: 20.0}}, metric="psnr")
    assert report({"fog": {1: 30.0}}, metric="psnr", baseline=base).mce is None


def test_a_perfect_baseline():
    base = report({"fog": {1: 1.0}}, clean=1.0)
    assert report({"fog": {1: 1.0}}, baseline=base).mce == 1.0
    worse = report({"fog": {1: 0.5}}, baseline=base)
    assert worse.mce == math.inf
    assert json.loads(worse.to_json())["mce"] is None


def test_without_clean_images_there_is_no_relative_mce():
    base = report({"fog": {1: 0.5}}, clean=None)
    found = report({"fog": {1: 0.5}}, baseline=base)
    assert found.mce == 1.0
    assert found.relative_mce is None
    assert "clean -" in str(base)


def test_alexnet_has_the_published_mce_of_one():
    table = {
        name: dict.fromkeys(SEVERITIES, 1 - error)
        for name, error in published_errors.ALEXNET.items()
    }
    clean = 1 - published_errors.ALEXNET_CLEAN
    found = report(table, clean=clean, baseline="alexnet")
    assert found.mce == pytest.approx(1)
    assert found.relative_mce == pytest.approx(1)


def test_the_means_of_alexnet_are_those_of_the_paper():
    fifteen = list(published_errors.ALEXNET.values())[:15]
    assert sum(fifteen) / 15 == pytest.approx(0.788993, abs=1e-6)


def test_gain_is_what_this_model_is_better():
    better, worse = report({"fog": {1: 0.75}}), report({"fog": {1: 0.5}})
    assert better.gain_over(worse) == {"fog": 0.25}
    assert worse.gain_over(better) == {"fog": -0.25}


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (report({"fog": {1: 0.5}}, metric="auc"), ValueError),
        (report({"fog": {2: 0.5}}), ValueError),
        (report({"snow": {1: 0.5}}), ValueError),
        ({"fog": 0.5}, TypeError),
    ],
    ids=["metric", "severities", "corruptions", "no report"],
)
def test_only_reports_of_the_same_can_be_compared(other, error):
    with pytest.raises(error, match="Received: "):
        report({"fog": {1: 0.75}}).gain_over(other)


def test_the_second_object_of_a_metric_is_the_same_metric():
    first, third = report(TABLE, metric="auc_1"), report(TABLE, metric="auc_3")
    assert set(first.gain_over(third).values()) == {0.0}
    with pytest.raises(ValueError, match="Received: top_1 and top_5"):
        report(TABLE, metric="top_1").gain_over(report(TABLE, metric="top_5"))


def test_reports_that_grow_and_that_shrink_are_not_compared():
    with pytest.raises(ValueError, match="Received: more is better and less is better"):
        report(TABLE).gain_over(report(TABLE, grows=False))


def test_a_model_that_gains_where_the_baseline_stays_is_not_worse():
    base = report({"fog": {1: 0.5}, "snow": {1: 0.5}}, clean=0.5)
    found = report({"fog": {1: 0.75}, "snow": {1: 0.25}}, clean=0.5, baseline=base)
    assert found.relative_ce == {"fog": -math.inf, "snow": math.inf}
    assert math.isnan(found.relative_mce)
    assert json.loads(found.to_json())["relative_mce"] is None


def test_errors_below_zero_are_none():
    base = report({"fog": {1: -0.5}}, grows=False, metric="cosine_loss")
    found = report({"fog": {1: 0.25}}, grows=False, metric="cosine_loss", baseline=base)
    assert found.ce is found.mce is found.relative_ce is None


def test_json_has_no_number_that_is_none(tmp_path):
    nan = float("nan")
    table = {"fog": {1: nan, 2: math.inf}, "snow": {1: 0.5}}
    found = report(table, clean=nan, baseline=report(table, clean=nan))

    def refuse(constant):
        raise AssertionError(constant)

    numbers = json.loads(found.to_json(), parse_constant=refuse)
    assert numbers["table"] == {"fog": {"1": None, "2": None}, "snow": {"1": 0.5}}
    assert numbers["clean"] is numbers["robust"] is numbers["mce"] is None
    path = tmp_path / "report.json"
    found.to_json(path)
    again = RobustnessReport.from_json(path)
    assert math.isnan(again.table["fog"][1])
    assert again.table["snow"] == {1: 0.5}


def test_json_comes_back(tmp_path):
    found = report(TABLE, baseline=report(TABLE))
    path = tmp_path / "report.json"
    found.to_json(path)
    assert RobustnessReport.from_json(path) == found
    against_alexnet = report(
        {"fog": dict.fromkeys(SEVERITIES, 0.1)}, baseline="alexnet"
    )
    against_alexnet.to_json(path)
    assert RobustnessReport.from_json(path) == against_alexnet


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"table": 3}', "\x00"])
def test_files_of_something_else_are_refused(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"Received: path=.*report\.json"):
        RobustnessReport.from_json(path)


def test_csv_has_a_line_for_each_value(tmp_path):
    path = tmp_path / "report.csv"
    text = report(TABLE).to_csv(path)
    assert path.read_text() == text
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 5
    assert rows[0] == {
        "corruption": "clean",
        "family": "",
        "severity": "0",
        "accuracy": "0.9",
    }
    assert rows[2]["accuracy"] == "0.4"


def test_tables_show_all_values():
    found = report(TABLE, baseline=report(TABLE))
    for text in (str(found), found.to_markdown()):
        for number in ("0.8000", "0.4000", "0.5000", "0.7000", "0.9000", "1.000"):
            assert number in text
    lines = found.to_markdown().splitlines()
    assert len({line.count("|") for line in lines[:5]}) == 1


def test_pictures_are_written(tmp_path):
    found = report(TABLE)
    figure = found.plot(tmp_path / "report.png")
    shown = {text.get_text() for text in figure.axes[0].texts}
    assert {"0.8", "0.4", "0.5", "0.7"} <= shown
    plot_gain(found.gain_over(found), tmp_path / "gain.svg")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "gain.svg").read_text()
