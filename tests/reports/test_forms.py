"""Pages in HTML, Markdown and JSON: nothing becomes markup, nothing is fetched."""

import html.parser
import json

import pytest

from keras_dsd.reports import forms, writing
from keras_dsd.reports.language import Language
from keras_dsd.reports.page import Text

pytestmark = pytest.mark.one_backend


class _Reader(html.parser.HTMLParser):
    """Keeps tags, names, and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.names, self.fetched, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.names.append(value)
            if name in ("src", "href", "xlink:href") and not value.startswith("#"):
                self.fetched.append(value)

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("name", ["en", "ja"])
def test_html_is_one_file_whose_text_is_no_markup(everything, name):
    text = forms.html(everything, Language(name))
    reader = _Reader(text)
    assert "script" not in reader.tags
    assert "<script>alert(1)</script>" in "".join(reader.text)
    assert reader.fetched == []
    assert len(reader.names) == len(set(reader.names))
    assert reader.tags.count("svg") == 2
    assert "密・疎・再密" in "".join(reader.text)
    assert f'<html lang="{name}">' in text
    # Each name that a picture refers to is there.
    for reference in text.split("url(#")[1:]:
        assert reference.split(")")[0] in reader.names
    assert text == forms.html(everything, Language(name))


def test_markdown_keeps_a_table_a_table(everything):
    text = forms.markdown(everything, Language())
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [3] * 5
    assert "\\<script\\>" in text


@pytest.mark.parametrize("ending", [".html", ".md"])
def test_json_beside_a_page_has_its_numbers(everything, tmp_path, ending):
    path = writing.write(everything, tmp_path / f"page{ending}")
    told = json.loads((tmp_path / "page.page.json").read_text("utf-8"))
    assert told["record"] == {"seed": 3}
    assert told["verdict"][0]["values"] == {"count": 1, "gain": -0.0123}
    assert told["verdict"][0]["text"] == "1 seed: -1.23"
    table = told["sections"][0]["blocks"][2]
    assert table["rows"][0][1] == 0.5 and table["rows"][1][1] == "nan"
    assert {p.name for p in tmp_path.iterdir()} == {"page.page.json", path.name}


@pytest.mark.parametrize("language", ["xx", 3, None])
def test_an_unknown_language_leaves_no_file(everything, tmp_path, language):
    with pytest.raises((ValueError, TypeError), match="Received: language="):
        writing.write(everything, tmp_path / "page.html", language=language)
    with pytest.raises(ValueError, match="Received: path="):
        writing.write(everything, tmp_path / "page.pdf")
    assert list(tmp_path.iterdir()) == []


def test_a_sentence_that_is_missing_is_an_error():
    with pytest.raises(KeyError, match=r"no\.such"):
        Language().say(Text("no.such"))
