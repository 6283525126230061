"""The page of a single run: its log's numbers, and what is no log of one run."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("babel")

from keras_dsd import audit, reports
from keras_dsd.reports import forms, run_page, run_record
from keras_dsd.reports.language import Language
from tests.reports.page_texts import texts

pytestmark = pytest.mark.one_backend

SHAPES = {"dense/kernel": (20, 10), "logits/kernel": (10, 4)}


def masks(rng, sparsity):
    """Returns a mask for each weight with as many zeros as said."""
    made = {}
    for path, shape in SHAPES.items():
        flat = np.ones(np.prod(shape), bool)
        flat[: int(sparsity * flat.size)] = False
        made[path] = rng.permutation(flat).reshape(shape)
    return made


DENSE = {path: np.ones(shape, bool) for path, shape in SHAPES.items()}


def write(path, steps=(0, 50, 100), *, seed=0, sparsity=0.5, phase=0):
    """Writes the log of a run whose masks move; returns its last masks."""
    rng = np.random.default_rng(seed)
    log = audit.AuditLog(path)
    old = DENSE
    for index, step in enumerate(steps):
        new = masks(rng, sparsity)
        log.write(
            step=step,
            epoch=index,
            phase=phase,
            drop_fraction=0.3 if index else 0.0,
            explored=min(0.5 + 0.1 * index, 1.0),
            weights=[audit.entry(name, old[name], new[name]) for name in new],
        )
        old = new
    return old


def model(held, *, phase=0, in_force=2, strays=0, epoch=2):
    """Returns what `analysis.inspection.inspect` would of a model with these masks."""
    return {
        "masks_in_force": in_force,
        "run": {"phase": phase, "epoch": epoch, "finished": True},
        "masks": [
            {
                "path": path,
                "size": mask.size,
                "active": int(mask.sum()),
                "strays": strays,
                "sha256": audit.entry(path, mask, mask)["sha256"],
            }
            for path, mask in held.items()
        ],
    }


def shown(log, tmp_path, **asked):
    path = reports.run(log, tmp_path / "page.html", **asked)
    found = json.loads(
        path.with_suffix(".page.json").read_text("utf-8"), parse_constant=pytest.fail
    )
    return path.read_text("utf-8"), found


def test_the_numbers_are_those_of_the_masks(tmp_path):
    log = tmp_path / "run.jsonl"
    last = write(log)
    html, page = shown(log, tmp_path)
    zeros = sum(int((~mask).sum()) for mask in last.values())
    size = sum(mask.size for mask in last.values())
    assert (zeros, size) == (120, 240)
    assert page["verdict"][0]["text"] == (
        "After the last of 3 updates, masks held 50.0% of the connections of 2 weights "
        "at zero: 120 of 240."
    )
    assert "120 of 240" in html
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    grown = [sum(weight["grown"] for weight in line["weights"]) for line in lines]
    updates = page["record"]["updates"]
    assert [update["grown"] for update in updates] == grown
    assert [update["churn"] for update in updates] == [n / 120 for n in grown]
    assert [update["epoch"] for update in updates] == [1, 2, 3]
    (phase,) = page["record"]["phases"]
    assert phase["grown"] == sum(grown[1:])
    assert f"{sum(grown[1:])} times a connection" in html
    for weight in page["record"]["weights"]:
        assert weight["sha256"] in html
        moved = [
            w for line in lines for w in line["weights"] if w["path"] == weight["path"]
        ]
        assert weight["dropped"] == sum(w["dropped"] for w in moved)


def test_masks_that_stay(tmp_path):
    write(tmp_path / "run.jsonl", steps=(0,))
    _, page = shown(tmp_path / "run.jsonl", tmp_path)
    keys = {one["key"] for one in texts(page)}
    assert "run.fixed" in keys and "run.moved" not in keys


def test_of_many_updates_the_first_and_the_last(tmp_path):
    write(tmp_path / "run.jsonl", steps=range(0, 100, 2))
    _, page = shown(tmp_path / "run.jsonl", tmp_path)
    tables = [
        block
        for section in page["sections"]
        for block in section["blocks"]
        if block.get("table", {}).get("key") == "run.table.updates_of_many"
    ]
    assert tables[0]["table"]["values"] == {"left_out": 10, "shown": 20}
    assert [row[0] for row in tables[0]["rows"]] == [
        *range(0, 40, 2),
        *range(60, 100, 2),
    ]
    assert len(page["record"]["updates"]) == 50


def test_the_model_is_held_against_the_log(tmp_path):
    log = tmp_path / "run.jsonl"
    last = write(log)
    found = run_record.record(log, model=model(last))["model"]
    assert (found["update"], found["held"], found["strays"]) == (3, 120, 0)
    _, page = shown(log, tmp_path, model=model(last))
    said = [text["text"] for text in page["verdict"]]
    assert "masks of the last update (number 3, in epoch 3), to the bit" in said[1]
    assert said[2] == "All 120 weights that its masks hold at zero are exactly zero."
    _, page = shown(log, tmp_path, model=model(last, strays=1))
    assert page["verdict"][-1]["text"].startswith("2 of the 120 weights")
    first = masks(np.random.default_rng(0), 0.5)
    assert run_record.record(log, model=model(first))["model"]["update"] == 1
    dense = model(DENSE, phase=1, in_force=0)
    assert run_record.record(log, model=dense)["model"]["update"] is None


def one_other(held):
    path = "dense/kernel"
    return {**held, path: held[path][::-1]}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda last: model(one_other(last)), r"not those of the log.*'dense/kernel'"),
        (lambda last: model({"a/kernel": last["dense/kernel"]}), "a/kernel"),
        (lambda last: model({}), "nothing prunable"),
        (lambda last: {**model(last), "run": None}, "in no run"),
        (lambda last: model(DENSE, in_force=0), "none are in force"),
        (lambda last: {"masks": []}, "must be what"),
        (lambda last: "model.keras", "must be what"),
    ],
)
def test_another_model_is_refused_and_nothing_written(wrong, error, tmp_path):
    last = write(tmp_path / "run.jsonl")
    with pytest.raises((TypeError, ValueError), match=f"(?s){error}") as raised:
        shown(tmp_path / "run.jsonl", tmp_path, model=wrong(last))
    assert "Received: " in str(raised.value)
    assert not list(tmp_path.glob("page.*"))


def cut(log):
    log.write_bytes(log.read_bytes()[:-40])


def empty(log):
    log.write_text("")


def foreign(log):
    line = json.loads(log.read_text().splitlines()[0])
    log.write_text(json.dumps({**line, "version": 2}) + "\n")


def appended(log):
    first = log.read_bytes()
    write(log.with_name("other"), seed=1)
    log.write_bytes(first + log.with_name("other").read_bytes())


def interleaved(log):
    log.write_text("")
    write(log.with_name("a"), steps=(0, 20, 40))
    write(log.with_name("b"), steps=(10, 30, 50), seed=1, sparsity=0.3)
    lines = zip(
        *(log.with_name(name).read_text().splitlines() for name in "ab"), strict=True
    )
    log.write_text("\n".join(line for pair in lines for line in pair) + "\n")


def twice(log):
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines[:2], lines[1], lines[2]]))


def another_net(log):
    lines = log.read_text().splitlines()
    lines[2] = lines[2].replace("logits/kernel", "head/kernel")
    log.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (cut, r"Line 3 of .*cut off, or not JSON"),
        (empty, "no update of masks"),
        (foreign, r"Line 1 of .*of another version"),
        (appended, r"earlier phase or epoch.*line 4"),
        (interleaved, r"earlier phase or epoch|another number|no later step"),
        (twice, r"no later step.*line 3"),
        (another_net, r"weights are others.*line 3"),
    ],
)
def test_what_is_no_log_of_one_run_is_said_not_drawn(spoil, error, tmp_path):
    log = tmp_path / "run.jsonl"
    write(log)
    spoil(log)
    with pytest.raises(ValueError, match=f"(?s){error}") as raised:
        reports.run(log, tmp_path / "page.html")
    assert "Received: " in str(raised.value)
    assert not list(tmp_path.glob("page.*"))


def test_two_runs_of_the_same_steps_are_told_apart_by_their_connections(tmp_path):
    log = tmp_path / "run.jsonl"
    write(log)
    write(tmp_path / "other", sparsity=0.3)
    lines = log.read_text().splitlines()[:2]
    lines.append((tmp_path / "other").read_text().splitlines()[2])
    log.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"another number of connections.*line 3"):
        run_record.record(log)


def history(**others):
    return {
        "loss": [3.0, 2.0, 1.5, float("nan")],
        "val_loss": [3.1, 2.2, 1.9, 1.7],
        "dsd_phase": [0.0, 0.0, 0.0, 1.0],
        "sparsity": [0.5, 0.5, 0.5, 0.0],
        **others,
    }


def test_the_history_adds_rates_and_dense_phases(tmp_path):
    log = tmp_path / "run.jsonl"
    write(log)
    rates = [0.1, 0.1, 0.1, 0.01]
    html, page = shown(log, tmp_path, history=history(learning_rate=rates))
    epochs = page["record"]["epochs"]
    assert [epoch["learning_rate"] for epoch in epochs] == rates
    assert [epoch["phase"] for epoch in epochs] == [1, 1, 1, 2]
    assert epochs[3]["loss"] is None  # JSON has no NaN
    assert html.count("<svg") == 3
    keys = {one["key"] for one in texts(page)}
    assert "run.no_rates" not in keys and "run.no_history" not in keys
    keys = {one["key"] for one in texts(shown(log, tmp_path, history=history())[1])}
    assert "run.no_rates" in keys


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": [1.0]},
        history(loss=[1.0]),
        history(dsd_phase=[1.0, 1.0, 1.0, 1.0]),
        [1, 2],
    ],
)
def test_the_history_of_another_run_is_refused(wrong, tmp_path):
    write(tmp_path / "run.jsonl")
    with pytest.raises((TypeError, ValueError), match="Received: "):
        run_record.record(tmp_path / "run.jsonl", history=wrong)


def test_a_japanese_page_has_no_english_sentence(tmp_path):
    last = write(tmp_path / "run.jsonl", steps=range(0, 100, 2))
    search = {"phase": 1, "sparsity": 0.5, "metric": "accuracy", "baseline": 0.9}
    search |= {"tolerance": 0.01, "trials": [[None, 0.5, 0.89], ["a", 0.5, 0.9]]}
    for held in (None, model(last), model(last, strays=1)):
        record = run_record.record(
            tmp_path / "run.jsonl", model=held, history=history(dsd_phase=[0.0] * 4)
        )
        page = run_page.page({**record, "searches": [search]})
        english, japanese = (
            list(texts(forms.record(page, Language(name)))) for name in ("en", "ja")
        )
        assert [one["key"] for one in english] == [one["key"] for one in japanese]
        for one in japanese:
            assert not re.search(r"[A-Za-z]{2,}( [A-Za-z]{2,}){2,}", one["text"]), one


def test_odd_paths_are_text(tmp_path):
    log = tmp_path / "<script>run$x_{$.jsonl"
    write(log)
    log.write_text(log.read_text().replace("dense/kernel", "<script>層{count:count}"))
    html, _ = shown(log, tmp_path, language="ja")
    assert "<script" not in html
    assert "&lt;script&gt;層{count:count}" in html
