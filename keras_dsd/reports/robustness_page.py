"""The page of a robustness report: what corrupted images cost the model, and where.

Knows what a `RobustnessReport` says of itself, `to_dict`; no model and no image.
"""

from keras_dsd.reports import language, robustness_figures
from keras_dsd.reports.page import (
    Column,
    Command,
    Notes,
    Page,
    Picture,
    Section,
    Table,
    Text,
)
from keras_dsd.reports.robustness_numbers import Numbers


def page(record):
    """Returns the page of a record.

    Args:
        record: dict, as `RobustnessReport.to_dict` returns it, or the JSON of it.

    Raises:
        ValueError: it is no such record, or its numbers do not belong together.
    """
    found = Numbers(record)
    return Page(
        "robustness",
        _text("title"),
        _verdict(found),
        [
            Section(_text("how_sure.heading"), [Notes(_how_sure(found))]),
            Section(_text("where.heading"), [*_where(found)]),
            Section(_text("severity.heading"), [_severities(found)]),
            Section(_text("how.heading"), [_facts(found), Notes(_meanings(found))]),
            Section(_text("repeat.heading"), [_text("repeat.how"), _line(record)]),
        ],
        record,
    )


def _text(key, **values):
    return Text(f"robustness.{key}", values)


def _name(name):
    key = f"robustness.name.{name}"
    return Text(key) if language.known(key) else name


def _metric(found):
    name = found["metric"]
    return _text("accuracy") if name in ("acc", "accuracy") else name


def _value(found, value):
    return _text(f"value.{found.style}", value=value)


def _size(found, gain):
    return _text(f"size.{found.style}", value=abs(gain))


def _verdict(found):
    said = [_against_clean(found)]
    if found["mce"] is not None:
        key = "alexnet" if found["baseline"] == "alexnet" else "baseline"
        said.append(_text(f"verdict.mce_{key}", mce=found["mce"]))
    if found.baseline_means:
        said.append(_against_baseline(found))
    worst = found.worst_first[0]
    value = _value(found, found.means[worst])
    return [*said, _text("verdict.weakest", name=_name(worst), value=value)]


def _against_clean(found):
    values = {"metric": _metric(found), "robust": _value(found, found["robust"])}
    gain = found.gain(found["robust"], found["clean"])
    if gain is None:
        return _text("verdict.no_clean", **values)
    values |= {"clean": _value(found, found["clean"]), "gap": _size(found, gain)}
    if gain and found.margin is not None and abs(gain) <= found.margin:
        return _text("verdict.within", margin=found.margin, **values)
    key = "same" if gain == 0 else "better" if gain > 0 else "worse"
    return _text(f"verdict.{key}", **values)


def _against_baseline(found):
    """Counts what is better and worse; differences that may be chance are neither."""
    margin = found.margin or 0
    gains = [gain for gain in found.gains.values() if gain is not None]
    counts = {
        "better": sum(gain > margin for gain in gains),
        "worse": sum(gain < -margin for gain in gains),
        "total": len(found.means),
    }
    if found.margin is None:
        return _text("verdict.counts", **counts)
    return _text("verdict.counts_and_margin", margin=margin, **counts)


def _how_sure(found):
    key = "images" if found.margin is None else "images_and_margin"
    notes = [_text(f"how_sure.{key}", images=found["images"], margin=found.margin)]
    notes.append(_text("how_sure.one_model"))
    if found["baseline"] == "alexnet":
        notes.append(_text("how_sure.alexnet"))
    elif found["baseline"] is not None:
        notes.append(_text(f"how_sure.baseline_{found.baseline_saw}"))
    return [*notes, _text("how_sure.computed")]


def _where(found):
    worst = found.worst_first[0]
    alt = _text(
        "where.alt",
        worst=_name(worst),
        low=_value(found, found.means[worst]),
        best=_name(found.worst_first[-1]),
        high=_value(found, found.means[found.worst_first[-1]]),
    )
    yield Picture(
        _text("where.picture", metric=_metric(found)),
        alt,
        lambda spoken: robustness_figures.bars(
            found, lambda name: spoken.value(_name(name)), spoken
        ),
    )
    columns = [
        Column(_text("column.corruption")),
        Column(_text("column.family")),
        *_columns(found),
    ]
    rows = [
        [_name(name), _name(found["families"][name]), *_cells(found, name)]
        for name in found.worst_first
    ]
    yield Table(_text("where.table"), columns, rows)
    columns = [
        Column(_text("column.family")),
        Column(_text("column.mean"), found.style),
    ]
    rows = [[_name(name), mean] for name, mean in found["by_family"].items()]
    yield Table(_text("where.families"), columns, rows)


def _columns(found):
    """Returns the columns of numbers that a record has for each corruption."""
    change = "points" if found.style == "percent" else "signed"
    columns = [Column(_text("column.mean"), found.style)]
    if found["clean"] is not None:
        columns.append(Column(_text(f"column.from_clean_{change}"), change))
    if found.baseline_means:
        columns.append(Column(_text("column.baseline"), found.style))
        columns.append(Column(_text(f"column.gain_{change}"), change))
    if found["ce"]:
        columns.append(Column(_text("column.ce"), "factor"))
    return columns


def _cells(found, name):
    mean = found.means[name]
    cells = [mean]
    if found["clean"] is not None:
        cells.append(None if mean is None else mean - found["clean"])
    if found.baseline_means:
        cells += [found.baseline_means[name], found.gains[name]]
    if found["ce"]:
        cells.append(found["ce"][name])
    return cells


def _severities(found):
    columns = [
        Column(_text("column.corruption")),
        *(
            Column(_text("column.severity", severity=int(severity)), found.style)
            for severity in found.severities
        ),
    ]
    rows = [
        [_name(name), *(row.get(severity) for severity in found.severities)]
        for name, row in found["table"].items()
    ]
    return Table(_text("severity.table", metric=_metric(found)), columns, rows)


def _facts(found):
    better = "more_is_better" if found["grows"] else "less_is_better"
    against = found["baseline"]
    key = "none" if against is None else "alexnet" if against == "alexnet" else "model"
    facts = {
        "metric": found["metric"],
        "direction": _text(better),
        "images": _text("count", value=found["images"]),
        "corruptions": _text("count", value=len(found.means)),
        "severities": ", ".join(found.severities),
        "seed": found["seed"],
        "constants": found["constants"],
        "digest": found["digest"],
        "baseline": _text(f"fact.baseline_{key}"),
    }
    if found["mce"] is not None:
        facts["mce"] = _text("factor", value=found["mce"])
    if found["relative_mce"] is not None:
        facts["relative_mce"] = _text("factor", value=found["relative_mce"])
    rows = [[_text(f"fact.{name}"), value] for name, value in facts.items()]
    columns = [Column(_text("column.fact")), Column(_text("column.value"))]
    return Table(_text("how.table"), columns, rows)


def _meanings(found):
    notes = [_text("how.means")]
    if found.margin is not None:
        notes.append(_text("how.margin"))
    if found["ce"]:
        notes.append(_text("how.ce"))
    return notes


def _line(record):
    severities = {int(one) for row in record["table"].values() for one in row}
    options = [
        ["--metric", record["metric"], "--mode", "max" if record["grows"] else "min"],
        ["--corruptions", *record["table"]],
        ["--severities", *map(str, sorted(severities)), "--seed", str(record["seed"])],
    ]
    if record["baseline"] is not None:
        is_alexnet = record["baseline"] == "alexnet"
        options.append(["--baseline", "alexnet" if is_alexnet else "BASELINE.keras"])
    return Command.of(
        ["keras-dsd", "robustness", "MODEL.keras", "--data", "DATA"], *options
    )
