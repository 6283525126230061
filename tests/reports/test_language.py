"""Languages: the same sentences everywhere, and numbers as each writes them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dsd.reports import language as languages
from keras_dsd.reports.language import Language

pytestmark = pytest.mark.one_backend


def placeholders(sentence):
    """Returns {name: style} of a sentence, or of each of its forms."""
    if isinstance(sentence, dict):
        return {key for said in sentence.values() for key in placeholders(said)}
    found = string.Formatter().parse(sentence)
    return {(name, style or "text") for _, name, style, _ in found if name is not None}


@pytest.mark.parametrize("name", languages.LANGUAGES)
def test_every_language_has_the_same_keys_and_placeholders(name):
    english, other = languages._sentences("en"), languages._sentences(name)
    assert english.keys() == other.keys()
    for key, sentence in english.items():
        assert placeholders(sentence) == placeholders(other[key]), key
        for _, style in placeholders(sentence):
            assert style in {"text", *languages.STYLES}, key


@pytest.mark.parametrize(
    ("value", "style", "english", "japanese"),
    [
        (1234567, "count", "1,234,567", "1,234,567"),
        (0.0123, "points", "+1.23", "+1.23"),
        (-0.0123, "points", "-1.23", "-1.23"),
        (0.8213, "percent", "82.1%", "82.1%"),
        (0.00001, "p", "< 0.001", "< 0.001"),
        (0.0312, "p", "0.031", "0.031"),
        (0.0, "signed", "0", "0"),
        (-0.0251, "signed", "-0.0251", "-0.0251"),
        (123456.0, "number", "123,500", "123,500"),
        (1.25e-9, "number", "1.25\u00a0×\u00a010⁻⁹", "1.25\u00a0×\u00a010⁻⁹"),
        (-3e12, "signed", "-3\u00a0×\u00a010¹²", "-3\u00a0×\u00a010¹²"),
        (0.021793, "ratio", "0.022", "0.022"),
        (1_500_000, "bytes", "1.5 MB", "1.5 MB"),
        (0.42123, "milliseconds", "0.421 ms", "0.421 ms"),
        (90, "seconds", "90 sec", "90 秒"),
        (5400, "seconds", "90 min", "90 分"),
        ("2026-11-29", "date", "November 29, 2026", "2026年11月29日"),
        (None, "percent", languages.NOTHING, languages.NOTHING),
    ],
)
def test_values_are_written_as_each_language_does(value, style, english, japanese):
    assert Language("en").value(value, style) == english
    assert Language("ja").value(value, style) == japanese


def test_what_is_no_number_is_said():
    assert Language().value(float("nan"), "percent") == "not a number"
    assert "NaN" in Language("ja").value(float("nan"), "percent")


UNITS = {"date", "milliseconds", "seconds"}


@given(
    st.floats() | st.integers(-(10**15), 10**15),
    st.sampled_from(sorted(languages.STYLES.keys() - UNITS)),
)
def test_every_number_can_be_written(value, style):
    assert Language().value(value, style)
