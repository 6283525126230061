"""The page of a robustness report: its numbers anew from the JSON beside it."""

import copy
import json
import math
import re
import shlex
import statistics

import pytest

pytest.importorskip("babel")
pytest.importorskip("cv2")
pytest.importorskip("jinja2")

from keras_dsd.reports import language as languages
from keras_dsd.reports import robustness_page
from keras_dsd.reports.language import Language
from keras_dsd.robustness import RobustnessReport, command
from tests.reports import samples

pytestmark = pytest.mark.one_backend


def written(record, tmp_path, language="en"):
    """Returns (the page's text, what stands in the JSON beside it)."""
    report = RobustnessReport.from_dict(copy.deepcopy(record))
    path = report.to_html(tmp_path / "page.html", language)
    return path.read_text("utf-8"), json.loads(
        (tmp_path / "page.page.json").read_text("utf-8")
    )


def tables(told):
    return [
        block
        for section in told["sections"]
        for block in section["blocks"]
        if "table" in block
    ]


def key(cell):
    return cell["key"].split(".")[-1] if isinstance(cell, dict) else cell


def test_the_numbers_follow_from_the_record_beside_them(tmp_path):
    record = samples.robustness(baseline=samples.baseline())
    text, told = written(record, tmp_path)
    assert told["record"] == record
    mean = {
        name: statistics.fmean(row.values())
        for name, row in told["record"]["table"].items()
    }
    other = {
        name: statistics.fmean(row.values())
        for name, row in told["record"]["baseline"]["table"].items()
    }
    total = statistics.fmean(mean.values())
    worse, mce, counts, weakest = (one["values"] for one in told["verdict"])
    assert worse["robust"]["values"]["value"] == pytest.approx(total)
    assert worse["gap"]["values"]["value"] == pytest.approx(0.9375 - total)
    ratios = [(1 - mean[name]) / (1 - other[name]) for name in mean]
    assert mce["mce"] == pytest.approx(statistics.fmean(ratios))
    gains = {name: mean[name] - other[name] for name in mean}
    half = 1.96 * math.sqrt(0.25 / 640)
    assert counts.pop("margin") == pytest.approx(half)
    assert counts == {"better": 1, "worse": 1, "total": 3}
    assert key(weakest["name"]) == "shot_noise"
    assert weakest["value"]["values"]["value"] == mean["shot_noise"]

    by_corruption, _, by_severity, _ = tables(told)
    assert [key(row[0]) for row in by_corruption["rows"]] == [
        "shot_noise",
        "fog",
        "of_my_own",
    ]
    for name, _, *cells in by_corruption["rows"]:
        name = key(name)
        ratio = (1 - mean[name]) / (1 - other[name])
        expected = [mean[name], mean[name] - 0.9375, other[name], gains[name], ratio]
        assert cells == pytest.approx(expected)
    assert [row[1:] for row in by_severity["rows"]] == [
        [row["1"], row["5"]] for row in record["table"].values()
    ]
    shown = " ".join(re.sub(r"<[^>]*>", " ", text).split())
    assert "shot noise noise 37.5% -56.25 12.5% +25.00 0.71" in shown
    assert "accuracy is 62.5%: 31.25 points worse than on clean ones (93.8%)" in shown
    assert f"±{100 * half:.2f} points" in shown


def test_what_may_be_chance_is_no_difference(tmp_path):
    half = 1.96 * math.sqrt(0.25 / 640)
    for gap, key in ((0.9 * half, "within"), (1.1 * half, "worse"), (0, "same")):
        table = {"fog": {"1": 0.5}}
        record = samples.robustness(table, clean=0.5 + gap)
        assert written(record, tmp_path)[1]["verdict"][0]["key"].endswith(key)
        record = samples.robustness(
            table, baseline=samples.robustness({"fog": {"1": 0.5 + gap}})
        )
        (counts,) = (
            one["values"]
            for one in written(record, tmp_path)[1]["verdict"]
            if one["key"].endswith("counts_and_margin")
        )
        assert counts["better"] == 0 and counts["worse"] == (key == "worse")


def test_a_metric_that_shrinks_is_worse_where_it_is_larger(tmp_path):
    errors = {"fog": {"1": 1.5}, "shot_noise": {"1": 4.0}}
    record = samples.robustness(errors, clean=1.0, metric="mse", grows=False)
    text, told = written(record, tmp_path)
    assert told["verdict"][0]["key"].endswith(".worse")
    assert key(told["verdict"][-1]["values"]["name"]) == "shot_noise"
    assert "%" not in "".join(one["text"] for one in told["verdict"])
    assert tables(told)[0]["rows"][0][2:] == [4.0, 3.0]
    assert "1.96" not in text


def test_the_command_measures_the_same(tmp_path):
    from keras_dsd import cli

    _, told = written(samples.robustness(baseline=samples.baseline()), tmp_path, "ja")
    (line,) = (
        block["command"]
        for block in told["sections"][-1]["blocks"]
        if "command" in block
    )
    line = line.replace("\\\n", "")  # a shell goes on in the next line
    assert shlex.split(line) == [
        *["keras-dsd", "robustness", "MODEL.keras", "--data", "DATA"],
        *["--metric", "accuracy", "--mode", "max"],
        *["--corruptions", "fog", "shot_noise", "of_my_own"],
        *["--severities", "1", "5", "--seed", "3"],
        *["--baseline", "BASELINE.keras"],
    ]
    with pytest.raises(SystemExit) as exit_:  # it is understood, and the file missed
        cli.main(shlex.split(line)[1:])
    assert exit_.value.code == 2


def test_every_corruption_and_family_has_a_name():
    named = {word for name, row in command._families().items() for word in (name, *row)}
    for language in languages.LANGUAGES:
        start = "robustness.name."
        keys = {
            key.removeprefix(start)
            for key in languages._sentences(language)
            if key.startswith(start)
        }
        assert keys == named


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"robust": 0.7}, "do not belong together"),
        ({"robust": None}, "do not belong together"),
        ({"images": 0}, "do not belong together"),
        ({"table": {"fog": {"1": 0.5}}}, "do not belong together"),
        ({"table": {}}, "StatisticsError"),
        ({"table": 3}, "AttributeError"),
        ({"table": {**samples.TABLE, "fog": {"a": 0.625}}}, "ValueError"),
        ({"further": 1}, "Not a robustness report"),
        ({"baseline": {"metric": "accuracy"}}, "Not a robustness report"),
        ({"baseline": samples.TABLE}, "Not a robustness report"),
    ],
)
def test_what_is_no_report_is_refused(change, message):
    record = {**samples.robustness(), **change}
    with pytest.raises(ValueError, match=message) as caught:
        robustness_page.page(record)
    assert "Received: " in str(caught.value)


def test_wrong_arguments_write_nothing(tmp_path):
    report = RobustnessReport.from_dict(samples.robustness())
    for path, language in (("a.html", "fr"), ("a.pdf", "en"), ("no/a.html", "en")):
        with pytest.raises(ValueError, match="Received: "):
            report.to_html(tmp_path / path, language)
    assert list(tmp_path.iterdir()) == []
    assert Language("ja").value(None, "percent") == languages.NOTHING
