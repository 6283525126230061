"""The tables of a study's page, and how the study was measured.

Knows the record that `studies.decision` makes, and pages.
"""

from keras_dsd.reports import study_words as words
from keras_dsd.reports.page import Column, Notes, Table, Text

ASSUMPTIONS = {  # and how each is written
    "hours_added": "number",
    "errors_saved": "number",
    "cost_per_hour": "number",
    "events_per_month": "number",
    "cost_per_error": "number",
    "months": "number",
    "trainings": "number",
}


def _head(name, style="text", **values):
    return Column(Text(f"study.table.{name}", values), style)


def _outcome(found):
    outcome = words.key(found["outcome"]) if found else "baseline"
    return Text(f"study.outcome.{outcome}")


def verdicts(record):
    """Returns the table of all methods: values, differences, verdicts."""
    unit = words.main_unit(record)
    when = Text(f"study.when.{record['when']}")
    values = {"against": record["against"], "metric": unit.name, "when": when}
    columns = [
        _head("method"),
        _head("verdict"),
        _head("seeds", "count"),
        _head("failed", "count"),
        Column(unit.heading("mean"), unit.level_column),
        _head("deviation", unit.level_column),
        Column(unit.heading("difference"), unit.column),
        _head("low", unit.column),
        _head("high", unit.column),
        _head("p", "p"),
    ]
    rows = []
    for row in record["rows"]:
        found = record["verdicts"].get(row["method"])
        differs = [found and found[name] for name in ("difference", "low", "high")]
        is_tested = found and found["count"] > 1
        rows.append(
            [
                row["method"],
                _outcome(found),
                row["seeds"],
                row["failed"],
                row["mean"],
                row["deviation"],
                *differs,
                found["p"] if is_tested else None,
            ]
        )
    return Table(Text("study.table.verdicts", values), columns, rows)


def corrupted(record):
    """Returns the verdicts under corruptions."""
    unit = words.corrupted_unit(record)
    columns = [
        _head("method"),
        _head("verdict"),
        _head("seeds", "count"),
        Column(unit.heading("difference"), unit.column),
        _head("low", unit.column),
        _head("high", unit.column),
        _head("p", "p"),
    ]
    rows = [
        [
            name,
            _outcome(found),
            found["count"],
            *(found[end] for end in ("difference", "low", "high")),
            found["p"] if found["count"] > 1 else None,
        ]
        for name, found in record["corrupted"].items()
    ]
    return Table(Text("study.table.corrupted"), columns, rows)


def costs(record):
    """Returns what training costs, and what the deployed model is."""
    styles = {
        "seconds": "seconds",
        "ratio": "factor",
        "memory": "bytes",
        "parameters": "count",
        "zeros": "percent",
        "bytes": "bytes",
        "milliseconds": "number",
    }
    columns = [_head("method"), *(_head(*one) for one in styles.items())]
    rows = [
        [
            row["method"],
            row["seconds"],
            row["seconds_ratio"],
            row["peak_memory_bytes"],
            row["parameters"],
            row["sparsity"],
            row["file_bytes"],
            row["latency_seconds"] * 1000,
        ]
        for row in record["rows"]
    ]
    return Table(Text("study.table.costs"), columns, rows)


def worth(found):
    """Returns the assumptions, the arithmetic and how much each assumption matters."""
    assumed = Table(
        Text("study.table.assumptions"),
        [_head("assumption"), _head("value", "number")],
        [[Text(f"study.worth.{name}"), found[name]] for name in ASSUMPTIONS],
    )
    steps = {
        "cost": {
            "hours": found["hours_added"],
            "price": found["cost_per_hour"],
            "trainings": found["trainings"],
        },
        "saved": {
            "errors": found["errors_saved"],
            "events": found["events_per_month"],
            "price": found["cost_per_error"],
        },
        "total": {
            "saved": found["saved_per_month"],
            "months": found["months"],
            "cost": found["cost"],
        },
    }
    results = {"cost": "cost", "saved": "saved_per_month", "total": "gain"}
    arithmetic = Table(
        Text("study.table.arithmetic"),
        [_head("step"), _head("result", "number")],
        [
            [Text(f"study.worth.{name}", values), found[results[name]]]
            for name, values in steps.items()
        ],
    )
    matters = Table(
        Text("study.table.sensitivity", {"months": found["months"]}),
        [_head("assumption"), _head("half", "number"), _head("twice", "number")],
        [
            [Text(f"study.worth.{name}"), *gains]
            for name, gains in found["sensitivity"].items()
        ],
    )
    return [assumed, arithmetic, matters]


def classes(record):
    """Returns how each class's accuracy changed."""
    columns = [_head("class"), _head("count", "count")]
    rows = [
        [row["label"], row["count"], row["before"], row["accuracy"], *_change(row)]
        for row in record["classes"]
    ]
    return _changes("classes", record, words.Unit("", True), columns, rows)


def corruptions(record):
    """Returns how the metric changed under each corruption."""
    rows = [
        [row["label"], row["before"], row["value"], *_change(row)]
        for row in record["corruptions"]
    ]
    unit = words.main_unit(record)
    return _changes("corruptions", record, unit, [_head("corruption")], rows)


def _change(row):
    return [row[name] for name in ("difference", "low", "high", "p")]


def _changes(name, record, unit, columns, rows):
    names = {"method": record["method"], "against": record["against"]}
    columns = [
        *columns,
        Column(unit.heading("before"), unit.level_column),
        Column(unit.heading("after"), unit.level_column),
        Column(unit.heading("difference"), unit.column),
        _head("low", unit.column),
        _head("high", unit.column),
        _head("p", "p"),
    ]
    caption = Text(f"study.table.{name}", {"metric": unit.name, **names})
    return Table(caption, columns, rows)


def measured(record):
    """Returns how the study was made, and what went wrong, a list of blocks."""
    setup = record["setup"]
    numbers = {
        "epochs": setup["epochs"],
        "seeds": ", ".join(map(str, record["seeds"])) or None,
        **{name: setup[name] for name in ("backend", "build", "data")},
    }
    said = [Text("study.measured.setup", numbers)]
    if setup["items"]:
        said.append(Text("study.measured.items", {"count": setup["items"]}))
    if record["finished"] and not record["unequal"]:
        key = "fair_order" if record["same_order"] else "fair"
        said.append(Text(f"study.measured.{key}"))
    said += [
        Text(
            f"study.measured.{one['what']}",
            {"seed": one["seed"], "epoch": one["epoch"]},
        )
        for one in record["unequal"]
    ]
    for name in ("missing", "diverged"):
        if record[name]:
            runs = words.listed([words.run(one) for one in record[name]])
            said.append(Text(f"study.measured.{name}", {"runs": runs}))
    said += [
        Text(
            "study.measured.failed", {"run": words.run(one), "message": one["message"]}
        )
        for one in record["failures"]
    ]
    said += [
        Text("study.measured.damaged", {"file": file}) for file in record["damaged"]
    ]
    said.append(Text("study.measured.every_run"))
    if setup["versions"]:
        versions = ", ".join(f"{name} {one}" for name, one in setup["versions"].items())
        numbers = {"versions": versions, "platform": setup["platform"]}
        said.append(Text("study.measured.versions", numbers))
    return [Notes(said), *_phases(record)]


def _phases(record):
    methods = record["setup"]["methods"]
    rows = [
        [name, *(phase[key] for key in ("phase", "epochs", "sparsity", "lr_factor"))]
        for name in (row["method"] for row in record["rows"])
        for phase in methods[name]
    ]
    if not rows:
        return []
    columns = [_head("method"), _head("phase"), _head("epochs", "count")]
    columns += [_head("sparsity"), _head("lr_factor", "number")]
    return [Table(Text("study.table.phases"), columns, rows)]
