"""`keras-dsd report`: a page of whatever was left, or one line of what is wrong."""

import io
import json
import pathlib
import sys
import webbrowser

import numpy as np
import pytest

pytest.importorskip("babel")
pytest.importorskip("cv2")
pytest.importorskip("jinja2")
pytest.importorskip("rich")

from keras_dsd import audit, cli
from tests.reports import samples
from tests.studies import fake

pytestmark = pytest.mark.one_backend


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(name="study", methods=("conventional", "dsd"), seeds=range(4)):
    fake.study(pathlib.Path(name).resolve(), list(methods), seeds)
    return name


def log(name="run.jsonl"):
    old, new = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool)
    audit.AuditLog(name).write(
        step=1234,
        epoch=5,
        phase=1,
        drop_fraction=0.3,
        explored=0.75,
        weights=[audit.entry("kernel", old, new)],
    )
    return name


def written(record, name):
    pathlib.Path(name).write_text(json.dumps(record), "utf-8")
    return name


def refused(arguments, capsys):
    """Returns the one line with which the command refuses."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(["report", *arguments])
    assert exit_.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("keras-dsd report: error: ")
    assert printed.err.count("\n") == 1
    return printed.err


# The name says nothing of what a file holds.
MAKE = {
    "study": lambda: study("study.d"),
    "run": lambda: log("x.json"),
    "robustness": lambda: written(samples.robustness(), "report.json"),
    "export": lambda: written(samples.export(), "record"),
}


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", MAKE)
def test_a_page_beside_whatever_it_is(kind, language, capsys):
    path = pathlib.Path(MAKE[kind]())
    before = path.read_bytes() if path.is_file() else None
    assert cli.main(["report", str(path), "--language", language]) == 0
    name = "study.d" if kind == "study" else path.stem
    page = pathlib.Path(f"{name}.html")
    assert f'<html lang="{language}">' in page.read_text("utf-8")
    told = json.loads(page.with_suffix(".page.json").read_text("utf-8"))
    assert told["kind"] == kind
    said = capsys.readouterr().out
    assert said.endswith(f"Page: {page.resolve() if kind == 'study' else page}\n")
    if kind != "study":
        assert said.startswith(told["verdict"][0]["text"])
        assert path.read_bytes() == before


def test_what_is_there_is_replaced_only_if_it_is_said(capsys):
    path = written(samples.export(), "export.json")
    for name in ("export.html", "export.page.json"):
        pathlib.Path(name).write_text("mine")
        assert "pass --overwrite" in refused([path], capsys)
        assert pathlib.Path(name).read_text() == "mine"
        assert len(list(pathlib.Path().iterdir())) == 2
        pathlib.Path(name).unlink()
    pathlib.Path("export.html").write_text("mine")
    assert cli.main(["report", path, "--overwrite"]) == 0
    assert pathlib.Path("export.html").read_text("utf-8").startswith("<!doctype html>")
    capsys.readouterr()
    # Not even then the record itself.
    written(samples.export(), "a.page.json")
    message = refused(["a.page.json", "--output", "a.html", "--overwrite"], capsys)
    assert "must not replace what it is of" in message


def test_a_terminal_that_lacks_letters_still_gets_a_page(monkeypatch):
    path = written(samples.export(), "export.json")
    screen = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    assert cli.main(["report", path, "--language", "ja"]) == 0
    assert b"1.2 MB" in screen.buffer.getvalue()
    assert pathlib.Path("export.html").exists()


def test_output_and_markdown(capsys):
    path = written(samples.robustness(), "report.json")
    assert cli.main(["report", path, "--output", "elsewhere.md"]) == 0
    assert pathlib.Path("elsewhere.md").read_text("utf-8").startswith("# Robustness")
    assert not pathlib.Path("report.html").exists()
    assert "Page: elsewhere.md" in capsys.readouterr().out


@pytest.mark.parametrize("has_browser", [True, False])
def test_open_shows_the_page(has_browser, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(
        webbrowser, "open", lambda url: shown.append(url) or has_browser
    )
    path = written(samples.export(), "an export.json")
    assert cli.main(["report", path, "--open"]) == 0
    assert shown == [pathlib.Path("an export.html").resolve().as_uri()]
    assert ("no browser" in capsys.readouterr().err) != has_browser


CUT = json.dumps(samples.export())[:-9]
WRONG = {
    "nothing": (None, "There is no such file"),
    "folder": ("", "no study here"),
    "empty": (b" \n", "The file is empty"),
    "cut": (CUT.encode(), "Not whole JSON"),
    "text": (b"accuracy 0.9", "Not JSON of a record"),
    "list": (b"[1, 2]", "Not JSON of a record"),
    "bytes": (b"\x89PNG\xff", "Not a file of text"),
    "unknown": (b'{"a": 1}', "(the keys a)"),
    "none": (b"{}", "(an empty record)"),
    "whole_study": (b'{"study": 1, "table": 2, "runs": 3}', "give the study's folder"),
    "study.json": (b'{"version": 1, "build": 1, "methods": 2}', "give its folder"),
    "run_of_study": (b'{"version": 1, "seed": 1, "method": 2}', "a run's file"),
    "page": (b'{"kind": "run", "sections": []}', "the numbers of a page"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_nothing_of_ours_is_told_in_one_line(name, capsys):
    content, message = WRONG[name]
    if content == "":
        pathlib.Path(name).mkdir()
    elif content is not None:
        pathlib.Path(name).write_bytes(content)
    found = refused([name], capsys)
    assert message in found
    assert f"Received: {name!r}" in found
    assert len(list(pathlib.Path().iterdir())) == (content is not None)


@pytest.mark.parametrize("kind", ["robustness", "export"])
def test_a_record_of_another_version_is_told(kind, capsys):
    record = getattr(samples, kind)()
    path = written({**record, "later": 1}, "record.json")
    message = refused([path], capsys)
    assert "as this version writes it. Received: one with later" in message
    name = "zeros" if kind == "export" else "robust"
    path = written({key: one for key, one in record.items() if key != name}, path)
    assert f"Received: one without {name}\n" in refused([path], capsys)
    assert [file.name for file in pathlib.Path().iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--language", "fr"], "Received: language='fr'"),
        (["--output", "page.pdf"], "Received: path="),
        (["--output", "no/page.html"], "Received: path="),
        (["--csv", "a.csv"], "--csv is for studies"),
        (["--margin", "0"], "--margin is for studies"),
    ],
)
def test_wrong_options_of_a_record(options, message, capsys):
    path = written(samples.export(), "record.json")
    assert message in refused([path, *options], capsys)
    assert [file.name for file in pathlib.Path().iterdir()] == ["record.json"]


def test_a_study_is_printed_and_written(capsys):
    study()
    names = ["--markdown", "r.md", "--csv", "r.csv"]
    wanted = ["--plot", "r.png", "--margin", "0.5", "--when", "best"]
    assert cli.main(["report", "study", *names, *wanted]) == 0
    said = capsys.readouterr().out
    assert "dsd and conventional predict different classes" in said
    assert "a difference of 50.00 points" in said.splitlines()[-2]
    assert pathlib.Path("r.md").read_text().startswith("| method |")
    assert pathlib.Path("r.csv").exists()
    assert pathlib.Path("r.png").stat().st_size > 1000
    told = json.loads(pathlib.Path("study.page.json").read_text("utf-8"))
    assert told["record"]["when"] == "best"
    again = ["report", "study", "--overwrite"]
    assert cli.main([*again, "--metric", "seconds"]) == 0
    capsys.readouterr()
    assert cli.main([*again, "--when", "mean_of_last", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "study" and told["record"]["when"] == "mean_of_last"


def test_a_study_without_a_conventional_run(capsys):
    study("study", ["dsd", "lowered"])
    assert cli.main(["report", "study"]) == 0
    told = json.loads(pathlib.Path("study.page.json").read_text("utf-8"))
    assert told["record"]["against"] == "dsd"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--against", "set"], "Received: against='set'"),
        (["--metric", "f1"], "Received: metric='f1'"),
        (["--when", "first"], "Received: when='first'"),
        (["--margin", "-1"], "Received: margin=-1"),
        (["--csv", "no/folder.csv"], "no/folder.csv"),
        (["--csv", "a.csv", "--language", "fr"], "Received: language='fr'"),
    ],
)
def test_wrong_options_of_a_study(options, message, capsys):
    study(seeds=range(2))
    assert message in refused(["study", *options], capsys)
    assert [file.name for file in pathlib.Path().iterdir()] == ["study"]


@pytest.mark.parametrize("module", ["jinja2", "babel"])
def test_without_the_extra(module, monkeypatch, capsys):
    path = written(samples.export(), "record.json")
    monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["report", path]) == 1
    assert capsys.readouterr().err.startswith(f"keras-dsd: {module} not found.")


def test_a_model_is_held_against_the_log(capsys, here):
    data = pathlib.Path(__file__).parents[1] / "data" / "in_a_sparse_phase_0.keras"
    model = here / "model.keras"
    model.write_bytes(data.read_bytes())
    assert cli.main(["inspect", str(model), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    weights = [
        {
            "path": mask["path"],
            "size": mask["size"],
            "kept": mask["active"],
            "dropped": mask["size"] - mask["active"],
            "grown": 0,
            "sha256": mask["sha256"],
        }
        for mask in found["masks"]
    ]
    line = {"step": 1, "drop_fraction": 0.0, "explored": 0.5, "weights": weights}
    line |= {"epoch": found["run"]["epoch"], "phase": found["run"]["phase"]}
    written(line, "run.jsonl")
    assert cli.main(["report", "run.jsonl", "--model", str(model)]) == 0
    assert "the masks of the last update" in capsys.readouterr().out
    weights[0]["sha256"] = "0" * 64
    written(line, "other.jsonl")
    assert "not those of the log" in refused(
        ["other.jsonl", "--model", str(model)], capsys
    )
    assert not pathlib.Path("other.html").exists()
    assert "--model is for" in refused([study(), "--model", str(model)], capsys)
    assert "none.keras" in refused(["run.jsonl", "--model", "none.keras"], capsys)
