"""The page of an export: what was proved of a file, its size, its time.

Knows what an `Export` says of itself, `to_dict`; no model and no file.
"""

import pathlib

from keras_dsd.reports import recognition
from keras_dsd.reports.page import Column, Command, Notes, Page, Section, Table, Text

KEYS = {
    "path",
    "format",
    "bytes",
    "gzipped_bytes",
    "weights",
    "zeros",
    "items",
    "max_difference",
    "tolerance",
    "weights_equal",
    "runtime",
    "milliseconds",
    "model_milliseconds",
    "inputs",
    "outputs",
}
BY_KERAS = ("keras", "weights")  # formats that Keras itself reads


def page(record, comparison=None):
    """Returns the page of a record.

    Args:
        record: dict, as `Export.to_dict` returns it, or the JSON of it.
        comparison: dict with what `compare_files` found: `same` and `differences`.
            Defaults to `None`: none was made.

    Raises:
        ValueError: it is no such record, or its numbers do not belong together.
    """
    _check(record)
    name = pathlib.PurePath(record["path"]).name
    whole = record if comparison is None else {**record, "comparison": comparison}
    how = [_text("repeat.how"), _line(record)]
    return Page(
        "export",
        _text("title", name=name),
        _verdict(record),
        [
            Section(_text("how_sure.heading"), [Notes(_how_sure(record))]),
            Section(_text("cost.heading"), [_costs(record), Notes(_on_costs(record))]),
            Section(_text("production.heading"), [*_production(record, comparison)]),
            Section(_text("how.heading"), [_facts(record)]),
            Section(_text("repeat.heading"), how),
        ],
        whole,
    )


def _text(key, **values):
    return Text(f"export.{key}", values)


def _check(record):
    recognition.check_keys(record, KEYS, "the record of an export")
    try:
        proved = record["max_difference"] <= record["tolerance"]
        counts = 0 <= record["zeros"] <= record["weights"] and record["items"] > 0
        sizes = record["bytes"] > 0 and record["gzipped_bytes"] > 0
        times = record["milliseconds"] > 0 and record["model_milliseconds"] > 0
    except TypeError as error:
        raise ValueError(
            f"Not the numbers of an export. Received: TypeError: {error}"
        ) from error
    if not (proved and counts and sizes and times):
        numbers = {
            name: value for name, value in record.items() if not isinstance(value, dict)
        }
        raise ValueError(
            f"No export has such numbers; they were changed. Received: {numbers!r}"
        )


def _verdict(record):
    items = record["items"]
    if record["max_difference"] == 0:
        said = [_text("verdict.equal", count=items)]
    else:
        said = [
            _text(
                "verdict.close",
                count=items,
                difference=record["max_difference"],
                tolerance=record["tolerance"],
            )
        ]
    if record["weights_equal"]:
        said.append(_text("verdict.weights", weights=record["weights"]))
    return [*said, _text("verdict.size", bytes=record["bytes"])]


def _how_sure(record):
    by_keras = record["format"] in BY_KERAS
    reader = _text(
        f"how_sure.{'keras' if by_keras else 'alone'}", runtime=record["runtime"]
    )
    notes = [reader, _text("how_sure.inputs", count=record["items"])]
    if record["weights_equal"] is None:
        notes.append(_text("how_sure.weights_laid_out"))
    return [*notes, _text("how_sure.not_said")]


def _costs(record):
    rows = [
        ["bytes", _text("value.bytes", value=record["bytes"])],
        ["gzipped", _text("value.bytes", value=record["gzipped_bytes"])],
        ["weights", _text("value.count", value=record["weights"])],
        ["zeros", _zeros(record)],
        ["time", _text("value.milliseconds", value=record["milliseconds"])],
        ["keras_time", _text("value.milliseconds", value=record["model_milliseconds"])],
    ]
    return _pairs("cost", rows)


def _zeros(record):
    if not record["weights"]:
        return _text("value.count", value=0)
    share = record["zeros"] / record["weights"]
    return _text("value.count_and_share", value=record["zeros"], share=share)


def _on_costs(record):
    ratio = record["milliseconds"] / record["model_milliseconds"]
    return [
        _text("cost.ratio", ratio=ratio),
        _text("cost.machine"),
        _text("cost.zeros_and_time"),
    ]


def _pairs(part, rows):
    """Returns a table of facts: their names in a part of the language file, values."""
    columns = [Column(_text("column.fact")), Column(_text("column.value"))]
    named = [[_text(f"{part}.{name}"), value] for name, value in rows]
    return Table(_text(f"{part}.table"), columns, named)


def _production(record, comparison):
    if comparison is None:
        yield _text("production.nothing")
    elif comparison["same"]:
        yield _text("production.same")
    else:
        yield _text("production.differs")
        differences = comparison["differences"]
        yield Notes([_text("production.difference", text=one) for one in differences])
    if not record["inputs"]:
        yield _text("production.by_keras")
        return
    columns = [_text(f"column.{name}") for name in ("name", "side", "shape", "dtype")]
    rows = [
        [name, _text(f"production.{side[:-1]}"), _shape(shape), dtype]
        for side in ("inputs", "outputs")
        for name, (shape, dtype) in record[side].items()
    ]
    yield Table(
        _text("production.table"), [Column(heading) for heading in columns], rows
    )


def _shape(shape):
    """Returns a shape as it is written in words: "[None, 32]" is n × 32."""
    sides = shape.strip("[]").replace("None", "n")
    return sides.replace(", ", " × ") or None


def _facts(record):
    rows = [
        ["path", record["path"]],
        ["format", record["format"]],
        ["runtime", record["runtime"]],
        ["items", _text("value.count", value=record["items"])],
        ["difference", _text("value.number", value=record["max_difference"])],
        ["tolerance", _text("value.number", value=record["tolerance"])],
    ]
    return _pairs("how", rows)


def _line(record):
    return Command.of(
        ["keras-dsd", "export", "MODEL.keras", record["path"]],
        ["--format", record["format"], "--inputs", "INPUTS.npz"],
        ["--overwrite"],
    )
