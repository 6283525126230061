"""The page of an export: its numbers anew from the JSON beside it."""

import dataclasses
import json

import pytest

pytest.importorskip("babel")
pytest.importorskip("jinja2")

from keras_dsd.deploy.comparing import Comparison
from keras_dsd.deploy.export_record import Export
from keras_dsd.reports import export_page
from tests.reports import samples

pytestmark = pytest.mark.one_backend


def written(tmp_path, language="en", comparison=None, **other):
    """Returns (the page's text, what stands in the JSON beside it)."""
    path = Export(**samples.export(**other)).to_html(
        tmp_path / "page.html", language, comparison=comparison
    )
    beside = (tmp_path / "page.page.json").read_text("utf-8")
    return path.read_text("utf-8"), json.loads(beside)


def keys(told):
    """Returns the keys of all sentences that are no cells of tables."""
    blocks = [block for section in told["sections"] for block in section["blocks"]]
    notes = [note for block in blocks for note in block.get("notes", [])]
    return {one["key"] for one in [*told["verdict"], *blocks, *notes] if "key" in one}


def test_the_keys_are_an_exports():
    assert {field.name for field in dataclasses.fields(Export)} == export_page.KEYS


def test_the_numbers_follow_from_the_record_beside_them(tmp_path):
    text, told = written(tmp_path)
    record = told["record"]
    assert record == samples.export()
    close = told["verdict"][0]["values"]
    assert close["difference"] == record["max_difference"]
    assert close["tolerance"] == record["tolerance"]
    cost = told["sections"][1]["blocks"]
    values = [row[1]["values"] for row in cost[0]["rows"]]
    assert [value["value"] for value in values] == [
        1_234_567,
        345_678,
        308_000,
        77_000,
        0.25,
        2.0,
    ]
    assert values[3]["share"] == record["zeros"] / record["weights"] == 0.25
    assert cost[1]["notes"][0]["values"]["ratio"] == 0.125
    for shown in (
        "1.2 MB",
        "77,000 (25.0%)",
        "0.25 ms",
        "1.5\u00a0×\u00a010⁻⁷",
        "n × 28 × 28",
    ):
        assert shown in text
    assert "to the bit" not in " ".join(one["text"] for one in told["verdict"])


def test_to_json_is_the_record_of_the_page(tmp_path):
    text = Export(**samples.export()).to_json(tmp_path / "export.json")
    assert json.loads(text) == samples.export()
    assert (tmp_path / "export.json").read_text("utf-8") == text + "\n"


def test_no_more_is_said_than_was_proved(tmp_path):
    said = keys(written(tmp_path)[1])
    assert "export.verdict.close" in said and "export.verdict.weights" not in said
    assert {"export.how_sure.alone", "export.production.nothing"} <= said
    _, told = written(
        tmp_path, comparison=Comparison(**samples.SAME, text=""), **samples.BY_KERAS
    )
    said = keys(told)
    assert {"export.verdict.equal", "export.verdict.weights"} <= said
    assert {"export.how_sure.keras", "export.production.same"} <= said
    assert "1 input all" in told["verdict"][0]["text"]
    _, told = written(tmp_path, comparison=Comparison(**samples.DIFFERS, text=""))
    assert "export.production.differs" in keys(told)
    assert told["record"]["comparison"] == samples.DIFFERS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_difference": 1e-3}, "No export has such numbers"),
        ({"max_difference": float("nan")}, "No export has such numbers"),
        ({"zeros": 400_000}, "No export has such numbers"),
        ({"items": 0}, "No export has such numbers"),
        ({"milliseconds": 0}, "No export has such numbers"),
        ({"bytes": "many"}, "Not the numbers of an export"),
        ({"further": 1}, "Not the record of an export"),
    ],
)
def test_what_no_export_says_is_refused(change, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        export_page.page({**samples.export(), **change})


def test_a_comparison_is_what_compare_files_returns(tmp_path):
    with pytest.raises(TypeError, match="Received: comparison='same'"):
        written(tmp_path, comparison="same")
    assert list(tmp_path.iterdir()) == []
