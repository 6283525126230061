"""A page: what a report says, as keys of a language file and values, with no form.

The same page becomes HTML, Markdown and JSON, in any language. As each sentence
carries its numbers as values, the JSON holds every number that a reader sees.
Knows nothing.
"""

import dataclasses
import shlex
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Text:
    """A sentence or a paragraph.

    Args:
        key: where the language files have it, say `"study.verdict.better"`.
        values: {placeholder: value}; a value may be a `Text` itself.
    """

    key: str
    values: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Notes:
    """A list of sentences."""

    texts: list[Text]


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        heading: its heading, a `Text`.
        style: how its cells are written, a name of `language.STYLES`, or `"text"`.
    """

    heading: Text
    style: str = "text"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is the row's heading.

    Args:
        caption: what it shows, a `Text`.
        columns: list of `Column`.
        rows: list of rows, each with a cell for each column: a value of the column's
            style, a `Text`, or `None` where there is nothing.
    """

    caption: Text
    columns: list[Column]
    rows: list[list[Any]]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture.

    Args:
        caption: what it shows, a `Text`.
        alt: what one who can't see it has to know: the finding, a `Text`.
        draw: function of a `Language` that returns a matplotlib figure.
    """

    caption: Text
    alt: Text
    draw: Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class Command:
    """Lines to be typed or copied, as they are."""

    lines: str

    @classmethod
    def of(cls, *parts):
        """Returns one command of a shell, on a line for each part.

        Args:
            *parts: lists of words.

        >>> from keras_dsd.reports.page import Command
        >>> print(Command.of(["cp", "a file"], ["--to", "there"]).lines)
        cp 'a file' \\
            --to there
        """
        return cls(" \\\n    ".join(map(shlex.join, parts)))


Block = Text | Notes | Table | Picture | Command


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading, a `Text`, and what stands below it."""

    heading: Text
    blocks: list[Block]


@dataclasses.dataclass(frozen=True)
class Page:
    """A report.

    Args:
        kind: "study", "run", "robustness" or "export".
        title: its title, a `Text`.
        verdict: what to take away if nothing else is read, a list of `Text`.
        sections: list of `Section`.
        record: what it was made of, a dict of JSON's types; the JSON beside the page
            holds it too.
    """

    kind: str
    title: Text
    verdict: list[Text]
    sections: list[Section]
    record: dict[str, Any]
