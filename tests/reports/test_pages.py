"""Pages of all kinds, in all languages: nothing is left in another language."""

import json
import re
import string

import pytest

pytest.importorskip("babel")
pytest.importorskip("cv2")
pytest.importorskip("jinja2")

from keras_dsd.reports import forms, writing
from keras_dsd.reports import language as languages
from keras_dsd.reports.language import Language
from keras_dsd.reports.page import Text
from tests.reports import samples
from tests.reports.page_texts import texts

pytestmark = pytest.mark.one_backend
LARGEST = 1_000_000  # bytes of a page


def forms_of(sentence):
    """Returns a list of a sentence, or of each of its forms."""
    return list(sentence.values()) if isinstance(sentence, dict) else [sentence]


@pytest.fixture(scope="module")
def pages():
    return samples.pages()


@pytest.mark.parametrize("name", languages.LANGUAGES)
def test_every_page_is_one_small_file(pages, name):
    for page in pages.values():
        text = forms.html(page, Language(name))
        assert len(text.encode()) < LARGEST
        assert "<b>.onnx" not in text
        assert re.findall(r"https?://(?!www\.w3\.org/)", text) == []
        assert forms.markdown(page, Language(name)).startswith("# ")


def test_the_kinds_of_these_pages_say_every_sentence(pages):
    kinds = {page.kind for page in pages.values()}
    known = {key for key in languages._sentences("en") if key.split(".")[0] in kinds}
    told = {
        text["key"]
        for page in pages.values()
        for text in texts(forms.record(page, Language()))
    }
    drawn = {"robustness.where.line", "robustness.where.dot"}
    names = {key for key in known if key.startswith("robustness.name.")}
    assert known - names - drawn == told - names


def test_japanese_pages_hold_no_english_sentence(pages):
    japanese = languages._sentences("ja")
    for page in pages.values():
        record = forms.record(page, Language("ja"))
        text = forms.html(page, Language("ja"))
        for one in texts(record):
            for sentence in forms_of(languages._sentences("en")[one["key"]]):
                for literal, *_ in string.Formatter().parse(sentence):
                    if len(literal.split()) > 2:
                        assert literal.strip() not in text, one["key"]
        letters = "".join(text["text"] for text in texts(record["verdict"]))
        assert re.search("[ぁ-ん]", letters)
    # Letters of ours that are neither names nor numbers are Japanese.
    for key, sentence in japanese.items():
        for one in forms_of(sentence):
            assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", one), key
            assert not re.search("[\uff0c\uff0e]", one), key


@pytest.mark.parametrize("language", languages.LANGUAGES)
def test_the_json_of_a_page_says_what_the_page_says(pages, language, tmp_path):
    for name, page in pages.items():
        path = writing.write(page, tmp_path / f"{name}.html", language=language)
        record = json.loads((tmp_path / f"{name}.page.json").read_text("utf-8"))
        shown = re.sub(r"<[^>]*>", "\n", path.read_text("utf-8"))
        spoken = Language(language)
        for text in texts(record["sections"] + record["verdict"]):
            # Anew from key and numbers.
            again = spoken.say(Text(text["key"], _texts(text["values"])))
            assert again == text["text"]
        for text in record["verdict"]:
            assert _escaped(text["text"]) in shown


def _texts(values):
    return {
        name: Text(value["key"], _texts(value["values"]))
        if isinstance(value, dict)
        else value
        for name, value in values.items()
    }


def _escaped(text):
    import markupsafe

    return str(markupsafe.escape(text))
