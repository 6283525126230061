"""The tables of docs/corruptions.md say what the code does."""

import pathlib
import re

import numpy as np
import pytest

from keras_dsd import robustness
from keras_dsd.robustness.corruptions import catalog

pytestmark = pytest.mark.one_backend

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "corruptions.md"
STANDARD = ("noise", "blur", "weather", "digital", "extra")
FAMILIES = ("lens", "sensor", "light", "motion", "transmission", "video")
NAMES = [name for family in FAMILIES for name in robustness.names(family)]
PAIRS = ("block_artifacts", "bitrate_collapse")  # more than one number a severity


def page():
    if not PAGE.exists():  # an installed copy
        pytest.skip("no checkout")
    return PAGE.read_text()


def rows(section):
    """Returns {name: cells} of the table in a section."""
    text = page().split(f"## {section}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in found}


def test_every_corruption_has_its_row():
    found = [*rows("For inspection cameras"), *rows("Video")]
    assert found == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_strengths_and_behaviour_in_videos_are_those_of_the_code(name):
    corruption = catalog.get(name)
    cells = (rows("For inspection cameras") | rows("Video"))[name]
    strengths = corruption.strengths
    parts = zip(*strengths, strict=True) if name in PAIRS else [strengths]
    written = "; ".join(", ".join(f"{abs(x):g}" for x in part) for part in parts)
    assert cells[2] == written
    if corruption.time != "clip":
        expected = "stays" if corruption.time == "fixed" else "new in each frame"
        assert cells[3] == expected


@pytest.mark.parametrize("name", [n for f in STANDARD for n in robustness.names(f)])
def test_published_strengths_are_those_of_the_code(name):
    corruption = catalog.get(name)
    found = rows("The standard 15, and 4 more")
    assert len(found) == 19
    _, _, *written, time, _ = found[name]
    for cell, strengths in zip(written, corruption.strengths.values(), strict=True):
        numbers = [float(x) for x in re.findall(r"[\d.]+", cell)]
        assert numbers == pytest.approx(np.array(strengths, float).ravel())
    assert time in ("the same", "new in each frame", "stays")
    if time != "the same":
        assert (time == "stays") == (corruption.time == "fixed")


def test_pictures_on_the_page_exist_and_are_small():
    pictures = re.findall(r"\]\((images/\S+)\)", page())
    assert len(pictures) >= 3
    for picture in pictures:
        assert 10_000 < (PAGE.parent / picture).stat().st_size < 400_000
