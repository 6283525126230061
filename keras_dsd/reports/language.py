"""A language: its sentences, from one file, and its way to write numbers and dates.

A sentence's placeholders name a style: `{gain:points}`. A third language is one file
more beside `languages/en.toml`. Knows Babel, and pages' texts.
"""

import datetime
import functools
import importlib.resources
import math
import string
import tomllib

from keras_dsd._shared import checks, extras
from keras_dsd.reports.page import Text

FOLDER = importlib.resources.files("keras_dsd.reports") / "languages"
LANGUAGES = tuple(
    sorted(
        entry.name.removesuffix(".toml")
        for entry in FOLDER.iterdir()
        if entry.name.endswith(".toml")
    )
)
LARGEST = 1e15  # beyond it digits say nothing, and Babel has no more of them
NOTHING = "\N{EN DASH}"


class Language:
    """Writes texts and values in a language.

    Args:
        name: "en", "ja", or the name of another file in `languages`. Defaults to
            "en".

    Raises:
        ValueError: there is no such language.
        MissingExtra: the extra `reports` is not installed.

    >>> from keras_dsd.reports.language import Language
    >>> Language("en").value(0.8213, "percent")
    '82.1%'
    """

    def __init__(self, name="en"):
        checks.one_of(name, "language", LANGUAGES)
        extras.require("reports", "babel", needed_by="a report")
        import babel

        self.name = name
        self._locale = babel.Locale.parse(name)
        self._sentences = _sentences(name)

    def say(self, text):
        """Returns a `Text` in this language.

        Where the file has forms of a sentence, "one" and "other", the value `count`
        decides.

        Raises:
            KeyError: the file lacks the sentence, or the text lacks a value.
        """
        sentence = self._sentences[text.key]
        if isinstance(sentence, dict):
            form = self._locale.plural_form(text.values["count"])
            sentence = sentence.get(form, sentence["other"])
        return _Formatter(self).vformat(sentence, (), text.values)

    def value(self, value, style="text"):
        """Returns a value in words: a `Text`, or a number or date by its style.

        Args:
            value: the value; `None` is written as a dash.
            style: a name of `STYLES`, or "text". Defaults to "text": as it is.
        """
        if isinstance(value, Text):
            return self.say(value)
        if value is None:
            return NOTHING
        if style == "text":
            return str(value)
        if isinstance(value, float) and not math.isfinite(value):
            return self._sentences[f"page.{'nan' if math.isnan(value) else 'infinite'}"]
        if isinstance(value, int | float) and abs(value) > LARGEST:
            return f"{value:.3e}"
        return STYLES[style](value, self._locale)

    def caption(self, heading):
        """Returns the sentence of a key without values, say for the axis of a plot."""
        return self.say(Text(heading))


def known(key):
    """Returns whether the languages have a sentence of a key."""
    return key in _sentences("en")


class _Formatter(string.Formatter):
    """Fills placeholders: what follows the colon is a style."""

    def __init__(self, language):
        self.language = language

    def format_field(self, value, format_spec):
        return self.language.value(value, format_spec or "text")

    def check_unused_args(self, used_args, args, kwargs):
        """A language may leave a value out."""


def _decimal(pattern, scale=1):
    def write(value, locale):
        from babel import numbers

        return numbers.format_decimal(value * scale, pattern, locale=locale)

    return write


def _percent(pattern):
    def write(value, locale):
        from babel import numbers

        return numbers.format_percent(value, pattern, locale=locale)

    return write


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _significant(digits, sign=""):
    def write(value, locale):
        from babel import numbers

        if value and not 1e-4 <= abs(value) < 1e7:
            mantissa, exponent = f"{value:{sign}.{digits - 1}e}".split("e")
            mantissa = mantissa.rstrip("0").rstrip(".")
            power = str(int(exponent)).translate(_RAISED)
            return f"{mantissa}\u00a0×\u00a010{power}"  # in one line
        shown = float(f"{value:.{digits}g}")
        places = digits - 1 - (math.floor(math.log10(abs(shown))) if shown else 0)
        pattern = "#,##0" + ("." + "#" * places if places > 0 else "")
        pattern = f"+{pattern};-{pattern}" if sign and shown else pattern
        return numbers.format_decimal(shown, pattern, locale=locale)

    return write


def _p(value, locale):
    return (
        "< " + _significant(1)(0.001, locale)
        if value < 0.001
        else _significant(2)(value, locale)
    )


def _bytes(value, locale):
    from babel import numbers

    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000 or unit == "GB":
            break
        value /= 1000
    pattern = "#,##0" if unit == "B" or value >= 100 else "#,##0.#"
    return f"{numbers.format_decimal(value, pattern, locale=locale)} {unit}"


def _seconds(value, locale):
    from babel import units

    if value < 100:
        amount, unit = float(f"{value:.3g}"), "second"
    elif value < 6000:
        amount, unit = round(value / 60, 1), "minute"
    else:
        amount, unit = round(value / 3600, 1), "hour"
    return units.format_unit(amount, unit, length="short", locale=locale)


def _milliseconds(value, locale):
    from babel import units

    amount = float(f"{value:.3g}")
    return units.format_unit(amount, "millisecond", length="short", locale=locale)


def _date(value, locale):
    from babel import dates

    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    elif not isinstance(value, datetime.date):
        value = datetime.datetime.fromtimestamp(value, datetime.UTC)
    return dates.format_date(value, "long", locale=locale)


# How values are written. Differences carry their sign; "points" are hundredths.
STYLES = {
    "count": _decimal("#,##0"),
    "number": _significant(4),
    "signed": _significant(3, "+"),
    "ratio": _significant(2),
    "factor": _decimal("#,##0.00"),
    "percent": _percent("#,##0.0%"),
    "whole_percent": _percent("#,##0%"),
    "points": _decimal("+#,##0.00;-#,##0.00", 100),
    "size_of_points": _decimal("#,##0.00", 100),
    "p": _p,
    "bytes": _bytes,
    "milliseconds": _milliseconds,
    "seconds": _seconds,
    "date": _date,
}


@functools.cache
def _sentences(name):
    """Returns {key: sentence, or {form: sentence}} of a language's file."""
    found = {}

    def walk(prefix, table):
        for key, value in table.items():
            if isinstance(value, dict) and "other" not in value:
                walk(f"{prefix}{key}.", value)
            else:
                found[prefix + key] = value

    walk("", tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8")))
    return found
