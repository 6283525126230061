"""The page by which one decides: its numbers from the files, its words from numbers."""

import html.parser
import json
import re
import statistics

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

pytest.importorskip("jinja2")
pytest.importorskip("babel")

from keras_dsd.reports import forms, language, study_page
from keras_dsd.reports.language import Language
from keras_dsd.reports.page import Picture
from keras_dsd.studies import Result, decision, records
from tests.reports.page_texts import texts
from tests.studies import fake

pytestmark = pytest.mark.one_backend

OLD = [0.80, 0.82, 0.81, 0.83, 0.80, 0.82, 0.81, 0.80]
BETTER = [0.84, 0.85, 0.86, 0.86, 0.85, 0.85, 0.86, 0.84]
SAME = [0.81, 0.81, 0.81, 0.82, 0.80, 0.83, 0.81, 0.79]
ASSUMPTIONS = {
    "cost_per_hour": 2.0,
    "events_per_month": 50_000,
    "cost_per_error": 0.2,
    "months": 24,
    "currency": "EUR",
}
EXPORT = {
    "path": "model.onnx",
    "format": "onnx",
    "items": 37,
    "max_difference": 2.5e-7,
    "tolerance": 1e-5,
    "runtime": "onnxruntime 1.23",
    "weights_equal": True,
    "bytes": 12_345,
}


def phases(*kinds):
    return [
        {"class_name": kind, "config": {"epochs": 3, "lr_factor": factor}}
        for kind, factor in kinds
    ]


PLANS = {
    "dsd": phases(("Dense", None), ("Sparse", None), ("Redense", 0.1)),
    "lowered": phases(("Dense", None), ("Dense", None), ("Dense", 0.1)),
}


def write(folder, values, *, corrupted=None, **changes):
    """Writes a study of given test accuracies, {method: [one for each seed]}."""
    place = records.Place(folder)
    methods = {name: {"phases": PLANS.get(name)} for name in values}
    made = {"build": "digits:build", "data": "digits:data", "epochs": 3, "fit": {}}
    made |= {"backend": "jax", "methods": methods, "version": records.VERSION}
    records.write(place.study, made)
    for name, numbers in values.items():
        for seed, value in enumerate(numbers):
            if value is None:
                continue
            run = fake.record(name, seed)
            run["metrics"]["last"]["test"]["accuracy"] = value
            run["seconds"] = [10.0 if name == "conventional" else 15.0] * 3
            run["machine"] |= {"versions": {"keras": "3.15"}, "platform": "Linux"}
            if corrupted:
                table = corrupted(name, seed, value)
                run["robustness"] = {"robust": value - 0.1, "report": {"table": table}}
            records.write(
                place.run(name, seed), {**run, "resolution": 0.001, **changes}
            )
    return folder


def pages(folder, tmp_path, **asked):
    """Returns a study's page as HTML and as the dict in the JSON beside it."""
    path = Result(folder).report(tmp_path / "page.html", **asked)
    beside = path.with_suffix(".page.json").read_text("utf-8")
    return path.read_text("utf-8"), json.loads(beside, parse_constant=pytest.fail)


class Seen(html.parser.HTMLParser):
    """What a reader of a page sees: its paragraphs, its tables, all tags.

    Attributes:
        said: texts of headings, paragraphs and items of lists.
        tables: {caption: rows of cells}.
        tags: names of all elements.
    """

    def __init__(self, text):
        super().__init__()
        self.said, self.tables, self.tags = [], {}, []
        self._open, self._text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag in ("h1", "h2", "p", "li", "caption", "td", "th"):
            self._text = ""
        if tag == "tr":
            self._row = []

    def handle_data(self, data):
        self._text += data

    def handle_endtag(self, tag):
        text = " ".join(self._text.split())
        if tag in ("h1", "h2", "p", "li"):
            self.said.append(text)
        elif tag == "caption":
            self._rows = self.tables.setdefault(text, [])
        elif tag in ("td", "th"):
            self._row.append(text)
        elif tag == "tr":
            self._rows.append(self._row)


def written(value, style):
    """Returns a number as English writes it, by another way than Babel."""
    if value is None:
        return language.NOTHING
    if isinstance(value, dict):
        return value["text"]
    if style == "p":
        return "< 0.001" if value < 0.001 else f"{float(f'{value:.2g}'):g}"
    return {
        "points": lambda: f"{value * 100:+.2f}",
        "size_of_points": lambda: f"{value * 100:.2f}",
        "percent": lambda: f"{value * 100:.1f}%",
        "factor": lambda: f"{value:.2f}",
        "count": lambda: f"{value:,.0f}",
    }.get(style, lambda: str(value))()


def tables(page):
    return {
        block["table"]["text"]: block
        for section in page["sections"]
        for block in section["blocks"]
        if "table" in block
    }


def numbers(values):
    """Returns all numbers in the values of a text."""
    if isinstance(values, dict):
        return [n for item in values.values() for n in numbers(item)]
    if isinstance(values, str):
        return [float(n) for n in re.findall(r"\d+\.?\d*", values)]
    return [] if values is None or isinstance(values, bool) else [float(values)]


CONSTANT = {95.0, 0.05, 80.0, 0.001}


def test_the_numbers_are_those_of_the_files(tmp_path):
    folder = write(tmp_path / "study", {"conventional": OLD, "dsd": BETTER})
    _, page = pages(folder, tmp_path)
    found = next(block for name, block in tables(page).items() if "All methods" in name)
    old, new = found["rows"]
    difference = np.subtract(BETTER, OLD)
    interval = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
    assert [row[0] for row in found["rows"]] == ["conventional", "dsd"]
    assert [row[1]["text"] for row in found["rows"]] == ["compared with", "better"]
    assert old[2:5] == [8, 0, pytest.approx(np.mean(OLD))]
    assert new[4:6] == pytest.approx([np.mean(BETTER), statistics.stdev(BETTER)])
    assert new[6:9] == pytest.approx([difference.mean(), interval.low, interval.high])
    assert new[9] == pytest.approx(2 / 2**8)
    verdict = page["verdict"][0]
    assert verdict["key"] == "study.verdict.better"
    assert verdict["text"] == (
        f"dsd is better than conventional: accuracy {difference.mean() * 100:+.2f} "
        f"points on average over 8 seeds (95% interval {interval.low * 100:+.2f} to "
        f"{interval.high * 100:+.2f} points; p-value 0.0078)."
    )
    assert "1.50 times as long" in page["verdict"][1]["text"]
    said = [one["text"] for one in texts(page)]
    assert any("dsd against conventional: better with 8 of 8 seeds" in s for s in said)
    worse = write(tmp_path / "worse", {"conventional": BETTER, "dsd": OLD})
    said = [one["text"] for one in texts(pages(worse, tmp_path)[1])]
    assert any("dsd against conventional: better with 0 of 8 seeds" in s for s in said)


def full(folder):
    """Writes a study that has all that a page can show."""

    def corrupted(name, seed, value):
        worse = 0.3 if name == "dsd" else 0.1
        return {
            "fog": {"1": value - worse - 0.001 * seed, "2": value - worse},
            "blur": {"1": value - 0.2, "2": value - 0.2 - 0.01 * seed % 0.03},
        }

    values = {"conventional": OLD, "lowered": SAME, "dsd": BETTER}
    return write(folder, values, corrupted=corrupted)


LOWERED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def test_every_number_that_is_seen_is_in_the_json(tmp_path):
    html_text, page = pages(
        full(tmp_path / "study"),
        tmp_path,
        method="dsd",
        assumptions=ASSUMPTIONS,
        export=EXPORT,
    )
    seen = Seen(html_text)
    for caption, block in tables(page).items():
        _, *rows = seen.tables[caption]
        for cells, row in zip(rows, block["rows"], strict=True):
            for cell, value, style in zip(cells, row, block["styles"], strict=True):
                if style not in ("seconds", "bytes", "number"):
                    assert cell == written(value, style), (caption, style)
                elif value is not None:  # with a unit, or four digits
                    assert re.match(r"-?[\d,.]+", cell)
    known = {" ".join(one["text"].split()): one for one in texts(page)}
    for said in seen.said:
        if said.startswith("Made on"):
            continue
        one = known[said]
        there = numbers(one["values"])
        plain = said.replace(" × 10", "e").translate(LOWERED)
        for token in re.findall(r"\d[\d,]*\.?\d*(?:e-?\d+)?", plain):
            number = float(token.replace(",", ""))
            near = 0.51 * 10 ** -len(token.partition(".")[2])
            scales = (1, 100, 1e-3, 1e-6)
            fits = [abs(abs(n * s) - number) <= max(near, 5e-4 * number)
                    for n in there for s in scales]  # fmt: skip
            assert number in CONSTANT or any(fits), (said, token)


def test_the_sections_are_in_a_readers_order(tmp_path):
    _, page = pages(full(tmp_path / "study"), tmp_path, method="dsd")
    heads = [section["heading"]["key"].split(".")[-1] for section in page["sections"]]
    assert heads == ["sure", "worth", "production", "worse", "measured", "repeat"]


def test_what_it_is_worth(tmp_path):
    folder = write(tmp_path / "study", {"conventional": OLD, "dsd": BETTER})
    _, page = pages(folder, tmp_path, assumptions=ASSUMPTIONS)
    found = tables(page)
    assumed = {row[0]["key"]: row[1] for row in found[next(
        name for name in found if name.startswith("Assumptions"))]["rows"]}  # fmt: skip
    saved = (np.mean(BETTER) - np.mean(OLD)) * 50_000 * 0.2
    cost = 15 / 3600 * 2
    assert assumed["study.worth.hours_added"] == pytest.approx(15 / 3600)
    steps = [row[1] for row in found["The arithmetic"]["rows"]]
    assert steps == pytest.approx([cost, saved, saved * 24 - cost])
    said = {one["key"]: one for one in texts(page)}
    interval = stats.ttest_1samp(np.subtract(BETTER, OLD), 0).confidence_interval()
    gain = said["study.worth.gain"]["values"]
    assert [gain["low"], gain["high"]] == pytest.approx(
        [end * 50_000 * 0.2 * 24 - cost for end in (interval.low, interval.high)]
    )
    assert "EUR" in said["study.worth.gain"]["text"]
    assert "study.worth.not_shown" not in said


def test_worth_and_verdict_are_of_the_same_epoch(tmp_path):
    folder = write(tmp_path / "study", {"conventional": OLD, "dsd": BETTER})
    for seed in range(len(OLD)):
        file = records.Place(folder).run("dsd", seed)
        run = records.read(file)
        best = records.read(records.Place(folder).run("conventional", seed))["metrics"]
        run["metrics"]["best"] = best["best"]
        records.write(file, run)
    wanted = decision.Wanted(when="best", assumptions=ASSUMPTIONS)
    record = decision.record(Result(folder), wanted)
    assert record["verdicts"]["dsd"]["difference"] == 0
    assert record["worth"]["errors_saved"] == record["worth"]["saved_per_month"] == 0


def test_where_it_got_worse(tmp_path):
    _, page = pages(full(tmp_path / "study"), tmp_path, method="dsd")
    said = {one["key"]: one["text"] for one in texts(page)}
    assert "fog" in said["study.worse.corruptions_worse"]
    assert "blur" not in said["study.worse.corruptions_worse"]
    assert "No change is shown in any of 4 classes" in said["study.worse.no_class"]


def test_its_control_is_found_by_its_phases(tmp_path):
    _, page = pages(full(tmp_path / "study"), tmp_path, method="dsd")
    said = [one["text"] for one in texts(page)]
    assert any("lowered trains as dsd does, without masks" in one for one in said)
    assert any(one.startswith("dsd is better than lowered") for one in said)
    two = write(tmp_path / "two", {"conventional": OLD, "dsd": BETTER})
    keys = {one["key"] for one in texts(pages(two, tmp_path)[1])}
    assert "study.sure.no_control" in keys


STATES = {
    "not_shown": {"conventional": OLD, "dsd": SAME},
    "not_shown_few": {"conventional": OLD[:3], "dsd": BETTER[:3]},
    "one_seed": {"conventional": OLD[:1], "dsd": BETTER[:1]},
    "no_runs": {"conventional": [], "dsd": []},
    "no_baseline": {"conventional": [], "dsd": BETTER},
    "no_method": {"conventional": OLD, "dsd": []},
    "no_pair": {"conventional": [0.8, None], "dsd": [None, 0.9]},
    "worse": {"conventional": BETTER, "dsd": OLD},
    "unfinished": {"conventional": OLD, "dsd": [*BETTER[:7], None]},
    "several": {"conventional": OLD, "dsd": SAME, "set": SAME[::-1]},
    "diverged": {"conventional": OLD, "dsd": [*BETTER[:7], float("nan")]},
}
SAID = {  # the first sentence, and one that must be there
    "not_shown": ("verdict.not_shown", "sure.within"),
    "not_shown_few": ("verdict.not_shown", "sure.few"),
    "one_seed": ("verdict.one_seed", "worse.one_seed"),
    "no_runs": ("verdict.no_runs", "measured.setup"),
    "no_baseline": ("verdict.no_baseline", "short.unfinished"),
    "no_method": ("verdict.no_method", "short.unfinished"),
    "no_pair": ("verdict.no_pair", "short.unfinished"),
    "worse": ("verdict.worse", "figure.differences_alt"),
    "unfinished": ("verdict.better", "short.unfinished"),
    "several": ("verdict.none_better", "verdict.not_shown"),
    "diverged": ("verdict.better", "measured.diverged"),
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_a_study_reads_right(state, tmp_path):
    folder = write(tmp_path / "study", STATES[state])
    record = decision.record(Result(folder), decision.Wanted())
    json.dumps(record, allow_nan=False)
    page = study_page.page(record)
    first, another = SAID[state]
    english = forms.record(page, Language("en"))
    assert english["verdict"][0]["key"] == f"study.{first}"
    keys = {one["key"] for one in texts(english)}
    assert f"study.{another}" in keys
    assert ("study.short.unfinished" in keys) == bool(record["missing"])
    japanese = list(texts(forms.record(page, Language("ja"))))
    assert {one["key"] for one in japanese} == keys
    for one in japanese:
        assert not re.search(r"[A-Za-z]{2,}( [A-Za-z]{2,}){2,}", one["text"]), one


def test_failures_are_told_and_damage_too(tmp_path):
    folder = write(
        tmp_path / "study", {"conventional": OLD, "dsd": [None, *BETTER[1:]]}
    )
    failure = {"version": records.VERSION, "method": "dsd", "seed": 0}
    error = {"message": "MemoryError: <b>out</b>", "exit_code": 1, "output": []}
    records.write(records.Place(folder).failure("dsd", 0), {**failure, "error": error})
    (folder / "runs" / "dsd" / "3.json").write_text('{"version": 1, "met')
    html_text, _ = pages(folder, tmp_path)
    said = Seen(html_text).said
    assert "Failed: dsd, seed 0, with MemoryError: <b>out</b>" in said
    assert any(one.startswith("Not used") and one.endswith("3.json") for one in said)
    unfinished = next(
        one for one in said if one.startswith("The study is not finished")
    )
    assert "2 runs" in unfinished  # the one that failed, and the one that is damaged


def test_what_was_not_the_same_is_told_first(tmp_path):
    folder = write(tmp_path / "study", {"conventional": OLD, "dsd": BETTER})
    place = records.Place(folder)
    run = records.read(place.run("dsd", 2))
    records.write(place.run("dsd", 2), {**run, "initial_weights": "others"})
    _, page = pages(folder, tmp_path)
    assert page["verdict"][-1]["key"] == "study.short.unfair"
    said = [one["text"] for one in texts(page)]
    assert any("with seed 2 the methods' initial weights differ" in one for one in said)


def test_a_margin_asks_for_equality(tmp_path):
    folder = write(tmp_path / "study", {"conventional": OLD, "dsd": SAME})
    _, page = pages(folder, tmp_path, margin=0.02)
    assert page["verdict"][0]["text"].startswith(
        "dsd and conventional are the same within ±2.00 points"
    )


def test_a_metric_that_is_no_accuracy(tmp_path):
    values = {"conventional": OLD, "dsd": BETTER}
    folder = write(
        tmp_path / "study", values, grows=False, resolution=0.0, classes=None
    )
    for file in folder.glob("runs/*/*.json"):
        text = file.read_text().replace('"accuracy"', '"mae"')
        file.write_text(text)
    _, page = pages(folder, tmp_path)
    assert page["verdict"][0]["text"].startswith(
        "dsd is worse than conventional: mae +0.04"
    )


ODD = st.one_of(
    st.text(min_size=1, max_size=30),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x>',
            "{count:count}",
            "$x_{$",
            "x" * 400,
        ]
    ),
)


@settings(max_examples=12, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(ODD)
def test_odd_names_stay_names(odd_record, name):
    text = json.dumps(odd_record).replace("dsd", json.dumps(name)[1:-1])
    page = study_page.page(json.loads(text))
    for section in page.sections:  # drawn in the test below
        section.blocks[:] = [b for b in section.blocks if not isinstance(b, Picture)]
    seen = Seen(forms.html(page, Language("ja")))
    assert not {"script", "img"} & set(seen.tags)
    wanted = " ".join(name.split())
    if wanted:
        assert wanted in seen.said[0]


@pytest.fixture(scope="module")
def odd_record(tmp_path_factory):
    values = {"conventional": OLD, "dsd": BETTER}
    folder = write(tmp_path_factory.mktemp("odd") / "study", values)
    return decision.record(Result(folder), decision.Wanted())


@pytest.mark.parametrize("name", ["$x_{$<&", "密・疎・再密", "n" * 300])
def test_odd_names_are_drawn(odd_record, name):
    text = json.dumps(odd_record).replace("dsd", json.dumps(name)[1:-1])
    made = forms.html(study_page.page(json.loads(text)), Language("ja"))
    assert made.count("<svg") == 2
    assert len(made) < 1_000_000


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"method": "rigl"}, "Unknown `method`"),
        ({"against": "rigl"}, "Unknown `against`"),
        ({"method": "conventional"}, "can't be compared with itself"),
        ({"margin": 0}, "`margin`"),
        ({"when": "never"}, "Unknown `when`"),
        ({"language": "tlh"}, "Unknown `language`"),
        ({"assumptions": {"months": 3}}, "`assumptions` must have"),
        ({"assumptions": {**ASSUMPTIONS, "month": 3}}, "`assumptions` must have"),
        ({"export": {"path": "x"}}, "`export`"),
    ],
)
def test_what_is_asked_wrongly_writes_nothing(asked, error, tmp_path):
    folder = write(tmp_path / "study", {"conventional": OLD, "dsd": BETTER})
    with pytest.raises(ValueError, match=f"{error}.*Received: "):
        Result(folder).report(tmp_path / "page.html", **asked)
    assert not list(tmp_path.glob("page.*"))
