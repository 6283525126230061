"""The page of a study, by which one decides: the verdict first, then why and how.

Its order is a reader's: what was found, how sure that is, what it costs and is worth,
what changes in production, where it got worse, how it was measured, how to repeat it.
Knows the record that `studies.decision` makes, and pages.
"""

import pathlib
import shlex

from keras_dsd.reports import study_figures, study_tables
from keras_dsd.reports import study_words as words
from keras_dsd.reports.page import Command, Notes, Page, Section, Text

A_DAY = 1 / 31  # of a month
LEAST_ZEROS = 0.001  # of the parameters: what a page would not write as 0.0 %


def page(record):
    """Returns the page of a study, a `page.Page`.

    Args:
        record: what `studies.decision.record` returns.
    """
    found = record["verdicts"].get(record["method"])
    names = {"method": record["method"], "against": record["against"]}
    title = Text("study.title", names)
    if not found:
        folder = pathlib.Path(record["directory"]).name
        title = Text("study.title_open", {"directory": folder})
    parts = {
        "sure": _sure(record, found) if found else [],
        "worth": _worth(record) if found else [],
        "production": _production(record) if found else [],
        "worse": _worse(record) if found and record["method"] in _run(record) else [],
        "measured": _measured(record),
        "repeat": _repeat(record),
    }
    sections = [
        Section(Text(f"study.head.{name}"), blocks)
        for name, blocks in parts.items()
        if blocks
    ]
    return Page("study", title, _verdict(record, found), sections, record)


def _run(record):
    """Returns the names of methods with a finished run."""
    return [row["method"] for row in record["rows"]]


def _row(record, method):
    return next(row for row in record["rows"] if row["method"] == method)


def _verdict(record, found):
    names = {"method": record["method"], "against": record["against"]}
    if found:
        said = [words.verdict(found, words.main_unit(record))]
        several = found["methods"] > 1 and not record["is_asked_for"]
        if several and found["outcome"] != "better":
            numbers = {"methods": found["methods"], **names}
            said.insert(0, Text("study.verdict.none_better", numbers))
        said += _cost_in_short(record)
    elif not record["finished"]:
        said = [Text("study.verdict.no_runs")]
    elif record["against"] not in record.get("values", {}):
        said = [Text("study.verdict.no_baseline", names)]
    elif record["method"]:
        said = [Text("study.verdict.missing", names)]
    else:
        said = [Text("study.verdict.no_method", names)]
    waiting = len(record["missing"]) + len(record["failures"])
    if waiting:
        said.append(Text("study.short.unfinished", {"count": waiting}))
    if record["unequal"]:
        said.append(Text("study.short.unfair"))
    return said


def _cost_in_short(record):
    new, old = (_row(record, record[name]) for name in ("method", "against"))
    if not new["seconds_ratio"]:  # no seed that both have
        return []
    same = new["parameters"] and new["parameters"] == old["parameters"]
    key = "study.short.cost" if same else "study.short.cost_changed"
    return [Text(key, {"ratio": new["seconds_ratio"]})]


def _sure(record, found):
    unit = words.main_unit(record)
    said = [Text("study.sure.tests"), *words.how_sure(found, unit)]
    is_picked = found["methods"] > 1 and not record["is_asked_for"]
    if found["outcome"] == "better" and is_picked:
        numbers = {"method": found["method"], "methods": found["methods"]}
        said.append(Text("study.sure.winner", numbers))
    control = record["controls"].get(record["method"])
    names = {"method": record["method"]}
    if control:
        names["control"] = control["against"]
        said += [Text("study.sure.control", names), words.verdict(control, unit)]
    elif _has_masks(record, record["method"]):
        said.append(Text("study.sure.no_control", names))
    blocks = [Notes(said), *study_figures.differences(record)]
    blocks.append(study_tables.verdicts(record))
    if record.get("corrupted"):
        blocks.append(study_tables.corrupted(record))
    return blocks


def _has_masks(record, method):
    phases = record["setup"]["methods"].get(method, [])
    return any(phase["phase"] == "Sparse" for phase in phases)


def _worth(record):
    worth = record.get("worth")
    costs = study_tables.costs(record)
    if not worth:
        return [costs, Text("study.worth.none")]
    said = []
    if record["verdicts"][record["method"]]["outcome"] != "better":
        said.append(Text("study.worth.not_shown"))
    numbers = {name: worth[name] for name in ("gain", "months", "currency")}
    ends = [end and end["gain"] for end in worth["ends"].values()]
    if None in ends:
        said.append(Text("study.worth.gain_alone", numbers))
    else:
        numbers |= {"low": min(ends), "high": max(ends)}
        said.append(Text("study.worth.gain", numbers))
    paid = worth["break_even_months"]
    if paid is None:
        said.append(Text("study.worth.never"))
    elif paid == 0:
        said.append(Text("study.worth.at_once"))
    else:
        key = "even" if paid >= A_DAY else "first_day"
        said.append(Text(f"study.worth.{key}", {"months": paid}))
    return [Notes(said), *study_tables.worth(worth), costs]


def _production(record):
    new, old = (_row(record, record[name]) for name in ("method", "against"))
    names = {"method": record["method"], "against": record["against"]}
    if new["parameters"] and new["parameters"] == old["parameters"]:
        said = [Text("study.production.nothing", names | _only(new, "parameters"))]
    else:
        both = {"before": _count(old), "after": _count(new)}
        said = [Text("study.production.changed", both)]
    if new["sparsity"] >= LEAST_ZEROS:
        numbers = {"zeros": new["sparsity"], "before": old["sparsity"], **names}
        said.append(Text("study.production.zeros", numbers))
    if new["file_bytes"] and old["file_bytes"]:
        times = {
            "after": new["latency_seconds"] * 1000,
            "before": old["latency_seconds"] * 1000,
            "bytes": new["file_bytes"],
            "bytes_before": old["file_bytes"],
        }
        said.append(Text("study.production.times", times | names))
    return [Notes([*said, *_proof(record["export"])])]


def _only(row, *names):
    return {name: row[name] for name in names}


def _count(row):
    """Returns a count of parameters; a dash where runs differ in it."""
    return Text("study.count", {"count": row["parameters"]})


def _proof(export):
    if export is None:
        return [Text("study.production.no_proof")]
    names = ("path", "format", "bytes", "runtime", "items", "tolerance")
    numbers = _only(export, *names) | {"difference": export["max_difference"]}
    is_equal = export["max_difference"] == 0
    said = [Text(f"study.production.{'equal' if is_equal else 'close'}", numbers)]
    if export["weights_equal"]:
        said.append(Text("study.production.weights"))
    return said


def _worse(record):
    unit = words.main_unit(record)
    said = [*_classes(record), *_items(record), *_corruptions(record, unit)]
    blocks = [Notes([*said, Text("study.worse.subgroups")])]
    if record["classes"]:
        blocks.append(study_tables.classes(record))
    if record["corruptions"]:
        blocks.append(study_tables.corruptions(record))
    return blocks


def _classes(record):
    rows, unit = record["classes"], words.Unit("", True)
    if not rows:
        return [Text("study.worse.no_classes")]

    def told(row):
        values = {
            "label": row["label"],
            "difference": unit.difference(row["difference"]),
        }
        return Text("study.worse.class", values)

    shown = [row for row in rows if row["p"] is not None and row["p"] <= 0.05]
    worse = [told(row) for row in shown if row["difference"] < 0]
    better = [told(row) for row in shown if row["difference"] > 0]
    said = []
    if worse:
        said.append(Text("study.worse.classes_worse", {"classes": words.listed(worse)}))
    if better:
        said.append(
            Text("study.worse.classes_better", {"classes": words.listed(better)})
        )
    if not said:
        key = "one_seed" if rows[0]["p"] is None else "no_class"
        values = {"count": len(rows), **told(rows[0]).values}
        said.append(Text(f"study.worse.{key}", values))
    return said


def _items(record):
    items = record["items"]
    if not items:
        return []
    names = {"method": record["method"], "against": record["against"]}
    values = {"share": items["share"], "always": items["always"], **names}
    if items["between_seeds"] is None:
        return [Text("study.worse.items_alone", values)]
    return [Text("study.worse.items", {"between": items["between_seeds"], **values})]


def _corruptions(record, unit):
    rows = record["corruptions"]
    if not rows:
        return [Text("study.worse.no_corruptions")]
    if rows[0]["p"] is None:
        return [Text("study.worse.corruptions_one_seed")]
    sign = 1 if record["metric"]["grows"] else -1
    worse = [
        Text(
            "study.worse.corruption",
            {"label": row["label"], "difference": unit.difference(row["difference"])},
        )
        for row in rows
        if row["p"] <= 0.05 and sign * row["difference"] < 0
    ]
    if not worse:
        return [Text("study.worse.no_corruption", {"count": len(rows)})]
    told = {"corruptions": words.listed(worse)}
    return [Text("study.worse.corruptions_worse", told)]


def _measured(record):
    return study_tables.measured(record) + study_figures.curves(record)


def _repeat(record):
    setup, folder = record["setup"], record["directory"]
    code = (
        "from keras_dsd import studies\n\n"
        f"result = studies.compare(build, data, methods={list(setup['methods'])!r},\n"
        f"    epochs={setup['epochs']!r}, seeds={record['seeds']!r},\n"
        f"    fit={setup['fit']!r}, directory={folder!r})\n"
        f'result.report("study.html", against={record["against"]!r})'
    )
    command = f"keras-dsd report {shlex.quote(folder)}"
    return [Text("study.repeat.how"), Command(command), Command(code)]
