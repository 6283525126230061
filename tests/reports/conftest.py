"""A page that has every kind of block."""

import pytest

from keras_dsd.reports import language as languages
from keras_dsd.reports import page as pages

SENTENCES = {
    "title": "<b>{name}</b> & more",
    "said": {
        "one": "{count:count} seed: {gain:points}",
        "other": "{count:count} seeds",
    },
    "name": "Name",
    "share": "Share",
}


@pytest.fixture
def everything(monkeypatch):
    """Returns a page with sentences of its own, in every language."""
    known = languages._sentences

    def with_ours(name):
        return known(name) | {f"test.{key}": said for key, said in SENTENCES.items()}

    monkeypatch.setattr(languages, "_sentences", with_ours)

    def draw(language):
        from matplotlib.figure import Figure

        figure = Figure()
        axes = figure.subplots()
        axes.plot([0, 1], [1, 0])
        axes.set_title("密・疎・再密")
        return figure

    said = pages.Text("test.said", {"count": 1, "gain": -0.0123})
    name = pages.Text("test.name")
    picture = pages.Picture(name, said, draw)
    table = pages.Table(
        name,
        [pages.Column(name), pages.Column(pages.Text("test.share"), "percent")],
        [["<script>alert(1)</script>", 0.5], ["a|b", float("nan")], [said, None]],
    )
    blocks = [said, pages.Notes([said]), table, picture, picture]
    return pages.Page(
        "run",
        pages.Text("test.title", {"name": "</title>"}),
        [said],
        [pages.Section(name, [*blocks, pages.Command("keras-dsd report <FILE>")])],
        {"seed": 3},
    )
