"""The log of mask updates for people: the table's numbers and the picture's lines."""

import re

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")

from matplotlib import colors, image

from keras_dsd import audit
from keras_dsd.reports import audit_view


def record(step, kept=2, dropped=1, grown=1, size=10, **other):
    """An update of two weights: one as said, and one of ten times as many."""
    weights = [
        {
            "path": f"kernel_{factor}",
            "size": factor * size,
            "kept": factor * kept,
            "dropped": factor * dropped,
            "grown": factor * grown,
            "sha256": "0" * 64,
        }
        for factor in (1, 10)
    ]
    fine = {"epoch": 4, "phase": 1, "drop_fraction": 0.3, "explored": 0.45}
    return {"step": step, **fine, **other, "weights": weights}


def rows(text):
    """Returns the cells of the lines that are about one update."""
    lines = [line.split() for line in text.splitlines()]
    return [cells for cells in lines if len(cells) == 8 and cells[0][0].isdigit()]


def test_the_totals_over_weights(capsys):
    records = [record(1000), record(2500, kept=4, dropped=0, grown=0, epoch=11)]
    audit_view.show(records)
    assert rows(capsys.readouterr().out) == [
        ["1,000", "4", "1", "30.00%", "70.00%", "11", "11", "45.00%"],
        ["2,500", "11", "1", "30.00%", "60.00%", "0", "0", "45.00%"],
    ]


def test_an_update_that_entry_and_the_log_made(capsys, tmp_path, rng):
    old, new = rng.random((2, 30, 20)) < 0.2
    log = audit.AuditLog(tmp_path / "log")
    numbers = {"step": 5, "epoch": 0, "phase": 0, "drop_fraction": 1, "explored": 0.5}
    log.write(**numbers, weights=[audit.entry("kernel", old, new)])
    audit_view.show(audit.read(log.path))
    (row,) = rows(capsys.readouterr().out)
    assert row[4] == f"{np.mean(~new):.2%}"
    assert int(row[5]) - int(row[6]) == np.sum(old) - np.sum(new)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(1, 1), (39, 39), (40, 40), (41, 40), (500, 40)],
)
def test_of_many_updates_the_first_and_the_last(number, shown, capsys):
    audit_view.show([record(step) for step in range(number)])
    text = capsys.readouterr().out
    steps = list(range(number))
    expected = steps if number == shown else steps[:20] + steps[-20:]
    assert [int(row[0]) for row in rows(text)] == expected
    told = re.search(r"([\d,]+) of ([\d,]+) updates are left out", text)
    assert bool(told) == (number > shown)
    if told:
        assert told.groups() == (str(number - shown), str(number))


LARGE = {"step": 10**7, "kept": 10**6, "grown": 10**6, "size": 4 * 10**6}


def test_large_numbers_fit_in_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    audit_view.show([record(**LARGE)])
    (row,) = rows(capsys.readouterr().out)
    assert row[0] == "10,000,000" and row[6] == "11,000,000"


def test_numbers_are_broken_rather_than_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    audit_view.show([record(**LARGE)])
    assert "…" not in capsys.readouterr().out


def test_a_log_without_weights(capsys, tmp_path):
    empty = {**record(3), "weights": []}
    audit_view.show([empty])
    assert rows(capsys.readouterr().out)[0][4] == "0.00%"
    audit_view.plot([empty], tmp_path / "plot.png")


def colored(picture, color):
    """Returns (rows, columns) of a picture's points of a color."""
    distance = abs(picture - np.array(colors.to_rgb(color))).max(axis=2)
    return np.nonzero(distance < 0.02)


def test_the_picture_has_every_line_where_it_belongs(tmp_path):
    records = [
        record(step, grown=1 + step // 100, size=20, explored=step / 1000)
        for step in range(0, 1000, 100)
    ]
    file = tmp_path / "no_suffix"
    audit_view.plot(records, file)
    assert file.read_bytes().startswith(b"\x89PNG")
    picture = image.imread(file)[..., :3]
    middle = len(picture) / 2
    places = {
        color: colored(picture, color)
        for color in (audit_view.SPARSITY, audit_view.EXPLORED, audit_view.GROWN)
    }
    assert np.mean(places[audit_view.SPARSITY][0] < middle) > 0.99
    assert np.mean(places[audit_view.EXPLORED][0] < middle) > 0.99
    assert np.mean(places[audit_view.GROWN][0] > middle) > 0.99
    # Sparsity falls from 85 % to 40 %, the others rise; rows count from the top.
    for color, (down, right) in places.items():
        first, last = down[right == right.min()], down[right == right.max()]
        assert (first.mean() < last.mean()) == (color == audit_view.SPARSITY)


def test_one_update_can_be_seen(tmp_path):
    audit_view.plot([record(7)], tmp_path / "plot.png")
    picture = image.imread(tmp_path / "plot.png")[..., :3]
    assert len(colored(picture, audit_view.GROWN)[0])


def test_a_plot_that_can_not_be_written_leaves_no_figure(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        audit_view.plot([record(7)], tmp_path / "nowhere" / "plot.png")
    assert audit_view.plt.get_fignums() == []
