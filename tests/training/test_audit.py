"""The log of mask updates: what a line says, and what is left after a killed run."""

import hashlib
import json
import os
import pathlib

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from keras_dsd import audit

OLD = np.array([[1, 1, 0, 0, 1], [0, 0, 1, 1, 0]], bool)
NEW = np.array([[1, 0, 0, 1, 1], [1, 0, 1, 0, 1]], bool)


def arguments(step=100, epoch=3, **other):
    fine = {
        "step": step,
        "epoch": epoch,
        "phase": 1,
        "drop_fraction": 0.25,
        "explored": 0.5,
        "weights": [audit.entry("dense/kernel", OLD, NEW)],
    }
    return fine | other


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def log(path):
    """The log of a run that did two updates in each of the epochs 0, 1, 2."""
    log = audit.AuditLog(path)
    log.begin(None)
    for step in range(0, 60, 10):
        log.write(**arguments(step=step, epoch=step // 20))
    return log


def steps(path):
    return [record["step"] for record in audit.read(path)]


def test_entry_counts_by_hand():
    found = audit.entry("dense/kernel", OLD, NEW)
    # Row by row: kept (0,0), (0,4), (1,2); dropped (0,1), (1,3); grown (0,3), (1,0),
    # (1,4).
    counts = {"size": 10, "kept": 3, "dropped": 2, "grown": 3}
    # 10011 10101 in bytes, filled with zeros from the right.
    digest = hashlib.sha256(bytes([0b10011101, 0b01000000])).hexdigest()
    assert found == {"path": "dense/kernel", **counts, "sha256": digest}
    assert {type(found[name]) for name in counts} == {int}


def test_hash_is_of_the_values_whatever_their_order_in_memory():
    fortran = np.asfortranarray(NEW)
    strided = np.repeat(NEW, 2, axis=1)[:, ::2]
    expected = audit.entry("kernel", OLD, NEW)
    assert audit.entry("kernel", OLD, fortran) == expected
    assert audit.entry("kernel", OLD, strided) == expected
    other = NEW.copy()
    other[1, 4] = False
    assert audit.entry("kernel", OLD, other)["sha256"] != expected["sha256"]


@given(st.data(), st.lists(st.integers(0, 5), max_size=4))
def test_entry_of_any_masks(data, shape):
    size = int(np.prod(shape))
    bits = st.lists(st.booleans(), min_size=size, max_size=size)
    old, new = (np.array(data.draw(bits), bool).reshape(shape) for _ in "on")
    found = audit.entry("kernel", old, new)
    pairs = list(zip(old.ravel().tolist(), new.ravel().tolist(), strict=True))
    assert found["size"] == len(pairs)
    assert found["kept"] == pairs.count((True, True))
    assert found["dropped"] == pairs.count((True, False))
    assert found["grown"] == pairs.count((False, True))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"path": 3}, TypeError),
        ({"old": OLD.astype("float32")}, TypeError),
        ({"new": NEW.tolist()}, TypeError),
        ({"new": NEW[:, :4]}, ValueError),
        ({"old": OLD.ravel()}, ValueError),
    ],
)
def test_entry_refuses(wrong, error):
    with pytest.raises(error, match="Received: "):
        audit.entry(**({"path": "kernel", "old": OLD, "new": NEW} | wrong))


def test_there_and_back(path):
    records = [
        arguments(step=0, epoch=0, drop_fraction=0, explored=1),
        arguments(weights=[]),
        arguments(weights=[audit.entry("Schicht_ä\n/kernel", NEW, OLD)] * 2),
    ]
    log = audit.AuditLog(path)
    log.begin(None)
    for number, record in enumerate(records, start=1):
        log.write(**record)
        # At once, whole, and in a line of its own.
        assert path.read_bytes().count(b"\n") == number
        assert audit.read(path) == records[:number]


def test_numbers_may_be_numpys(path):
    log = audit.AuditLog(path)
    log.write(
        **arguments(
            step=np.int64(7), drop_fraction=np.float32(0.25), explored=np.float64(1)
        )
    )
    assert audit.read(path) == [arguments(step=7, explored=1.0)]


def test_creating_one_writes_nothing(path, monkeypatch):
    assert audit.AuditLog(str(path)).path == audit.AuditLog(path).path
    assert not path.exists()
    path.write_text("kept")
    audit.AuditLog(path)
    assert path.read_text() == "kept"
    # A relative path means the folder in which the log was created.
    monkeypatch.chdir(path.parent)
    log = audit.AuditLog("audit.jsonl")
    monkeypatch.chdir("/")
    log.begin(None)
    assert path.read_text() == ""


@pytest.mark.parametrize("wrong", [None, 3, b"log", ["log"], 1.5])
def test_a_path_that_is_none(wrong):
    with pytest.raises(TypeError, match="Received: path="):
        audit.AuditLog(wrong)


@pytest.mark.parametrize("wrong", ["", ".", "nowhere/log", "a\0b", "file/log"])
def test_a_path_where_no_file_can_be(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="Received: path="):
        audit.AuditLog(wrong)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(ValueError, match="Received: path="):
        audit.AuditLog(os.devnull)


def test_a_new_run_starts_empty(log, path):
    assert steps(path) == [0, 10, 20, 30, 40, 50]
    log.begin(None)
    assert path.read_bytes() == b""
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, []),
        (1, [0, 10]),
        (2, [0, 10, 20, 30]),
        (3, [0, 10, 20, 30, 40, 50]),
        (np.int64(1), [0, 10]),
    ],
)
def test_a_resumed_run_keeps_what_was_before(log, path, epoch, expected):
    lines = path.read_bytes().splitlines(keepends=True)
    log.begin(epoch)
    assert path.read_bytes() == b"".join(lines[: len(expected)])
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    log.write(**arguments(step=99))
    assert steps(path) == [*expected, 99]


def test_a_line_that_was_cut_anywhere_goes(log, path):
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1  # of the last line
    for end in range(start, len(whole) - 1):
        path.write_bytes(whole[:end])
        log.begin(3)
        assert path.read_bytes() == whole[:start]
    # All is there but the end of the line: kept, and ended.
    path.write_bytes(whole[:-1])
    log.begin(3)
    assert path.read_bytes() == whole


def test_a_resumed_run_without_a_file(path):
    log = audit.AuditLog(path)
    log.begin(4)
    assert audit.read(path) == []
    log.write(**arguments())
    assert audit.read(path) == [arguments()]


@pytest.mark.parametrize("epoch", [None, 1])
def test_the_old_file_stays_if_the_new_one_can_not_take_its_place(
    epoch, log, path, monkeypatch
):
    def fails(*args):
        raise OSError("no space")

    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no space"):
        log.begin(epoch)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_old_file_stays_if_the_new_one_can_not_be_written(log, path, monkeypatch):
    def fails(file, content):
        file.touch()
        raise OSError("no space")

    before = path.read_bytes()
    monkeypatch.setattr(pathlib.Path, "write_bytes", fails)
    with pytest.raises(OSError, match="no space"):
        log.begin(1)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_link_stays_a_link(log, path):
    link = path.with_name("link")
    link.symlink_to(path)
    audit.AuditLog(link).begin(1)
    assert link.is_symlink()
    assert steps(path) == [0, 10]


@pytest.mark.parametrize("epoch", [-1, 1.0, "1", True])
def test_an_epoch_that_is_none(epoch, log, path):
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError), match="Received: epoch="):
        log.begin(epoch)
    assert path.read_bytes() == before


ENTRY = audit.entry("kernel", OLD, NEW)
WRONG = [
    {"step": -1},
    {"step": 1.0},
    {"step": None},
    {"epoch": "3"},
    {"phase": True},
    {"drop_fraction": float("nan")},
    {"drop_fraction": 1.1},
    {"drop_fraction": True},
    {"explored": -0.1},
    {"explored": "all"},
    {"weights": None},
    {"weights": ENTRY},
    {"weights": ["kernel"]},
    {"weights": [ENTRY, {}]},
    {"weights": [ENTRY | {"more": 1}]},
    {"weights": [ENTRY | {"path": 1}]},
    {"weights": [ENTRY | {"kept": 3.0}]},
    {"weights": [ENTRY | {"grown": True}]},
    {"weights": [ENTRY | {"dropped": -1}]},
    {"weights": [ENTRY | {"size": 7}]},
    {"weights": [ENTRY | {"sha256": None}]},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_no_update_is_neither_written_nor_read(wrong, log, path):
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError), match="Received: "):
        log.write(**arguments(**wrong))
    assert path.read_bytes() == before
    path.write_bytes(before + json.dumps(arguments(**wrong)).encode())
    with pytest.raises(ValueError, match=r"Line 7 of .*audit\.jsonl.*Received: "):
        audit.read(path)
    log.begin(3)
    assert path.read_bytes() == before


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.just([ENTRY]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({name: VALUES for name in arguments()}))
def test_any_arguments_are_written_or_refused(path, record):
    path.write_bytes(b"")
    try:
        audit.AuditLog(path).write(**record)
    except (TypeError, ValueError) as error:
        assert "Received: " in str(error)
        assert path.read_bytes() == b""
    else:
        assert audit.read(path) == [record]


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[]", b"{}", b'{"step": 1}', b"\xff\xfe", b"\0\0", b"[" * 10**5],
    ids=lambda line: repr(line[:20]),
)
@pytest.mark.parametrize("number", [1, 4, 7])
def test_read_names_the_line(log, path, line, number):
    lines = path.read_bytes().splitlines()
    lines.insert(number - 1, line)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(ValueError, match=f"Line {number} of .*Received: "):
        audit.read(path)


def test_read_names_a_line_that_was_cut(log, path):
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="Line 6 of "):
        audit.read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.integers(0, 10**4))
@example(b"1e400", 0)
@example(b"NaN", 30)
def test_a_damaged_file_is_read_or_refused(path, damage, place):
    whole = json.dumps(arguments()).encode() + b"\n"
    place %= len(whole)
    path.write_bytes(whole + whole[:place] + damage + whole[place:])
    try:
        records = audit.read(path)
    except ValueError as error:
        assert "Received: " in str(error)
        assert "Line " in str(error)
    else:
        assert records[0] == arguments()
    audit.AuditLog(path).begin(10**6)
    kept = audit.read(path)
    assert kept[0] == arguments()


def test_read_without_a_file(path):
    with pytest.raises(FileNotFoundError):
        audit.read(path)
    path.touch()
    assert audit.read(str(path)) == []
