"""The forms of a page: one HTML file that needs no network, Markdown, and JSON.

Knows pages and languages; of models and files nothing.
"""

import datetime
import io
import itertools
import math
import re
import warnings

from keras_dsd._shared import extras
from keras_dsd._version import __version__
from keras_dsd.reports import page as pages

# Drawn in this colour, written as `currentColor`: pictures follow light and dark.
INK = "#010203"
STYLE = {
    "svg.hashsalt": "keras_dsd",  # the same record gives the same page
    "svg.fonttype": "none",  # text stays text: it is found, read aloud, and any
    "font.family": "sans-serif",  # script is drawn by the reader's own fonts
    "figure.figsize": (5.0, 3.2),  # so small that on a phone letters can be read
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.framealpha": 0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def html(page, language):
    """Returns a page as the text of one HTML file.

    Args:
        page: a `Page`.
        language: a `Language`.
    """
    extras.require("reports", "jinja2", "matplotlib", needed_by="a report")
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_dsd.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = itertools.count(1)
    today = datetime.datetime.now(datetime.UTC)

    def svg(picture):
        text = _svg(picture, language, f"p{next(drawn)}-")
        return markupsafe.Markup(text)

    return environment.get_template("page.html").render(
        page=page,
        language=language,
        say=language.say,
        value=language.value,
        kind=lambda block: type(block).__name__,
        svg=svg,
        made=pages.Text("page.made", {"date": today, "version": __version__}),
    )


def _svg(picture, language, prefix):
    import matplotlib

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Only where text becomes shapes is a font needed that has them.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = picture.draw(language)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    # Names within a picture are the picture's own; two pictures share the page.
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{prefix}", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return text.replace(INK, "currentColor")


def markdown(page, language):
    """Returns a page as Markdown; a picture is told by its text.

    Args:
        page: a `Page`.
        language: a `Language`.
    """
    lines = [f"# {_plain(language.say(page.title))}", ""]
    for text in page.verdict:
        lines += [f"**{_plain(language.say(text))}**", ""]
    for section in page.sections:
        lines += [f"## {_plain(language.say(section.heading))}", ""]
        for block in section.blocks:
            lines += [*_markdown_block(block, language), ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_block(block, language):
    if isinstance(block, pages.Text):
        return [_plain(language.say(block))]
    if isinstance(block, pages.Notes):
        return [f"- {_plain(language.say(text))}" for text in block.texts]
    if isinstance(block, pages.Command):
        return ["```bash", block.lines, "```"]
    if isinstance(block, pages.Picture):
        told = f"{language.say(block.caption)}: {language.say(block.alt)}"
        return [f"*{_plain(told)}*"]
    headings = [_cell(language.say(column.heading)) for column in block.columns]
    rows = [
        [
            _cell(language.value(cell, column.style))
            for cell, column in zip(row, block.columns, strict=True)
        ]
        for row in block.rows
    ]
    return [
        _plain(language.say(block.caption)),
        "",
        *("| " + " | ".join(row) + " |" for row in (headings, ["---"] * len(headings))),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _plain(text):
    """Returns a text of one line that Markdown writes as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))


_cell = _plain


def record(page, language):
    """Returns a page as a dict of JSON's types: its texts, their values, its record.

    Args:
        page: a `Page`.
        language: a `Language`.
    """
    return {
        "kind": page.kind,
        "version": __version__,
        "language": language.name,
        "title": _told(page.title, language),
        "verdict": [_told(text, language) for text in page.verdict],
        "sections": [
            {
                "heading": _told(section.heading, language),
                "blocks": [_record_block(block, language) for block in section.blocks],
            }
            for section in page.sections
        ],
        "record": page.record,
    }


def _record_block(block, language):
    if isinstance(block, pages.Text):
        return _told(block, language)
    if isinstance(block, pages.Notes):
        return {"notes": [_told(text, language) for text in block.texts]}
    if isinstance(block, pages.Command):
        return {"command": block.lines}
    if isinstance(block, pages.Picture):
        return {
            "picture": _told(block.caption, language),
            "alt": _told(block.alt, language),
        }
    return {
        "table": _told(block.caption, language),
        "columns": [_told(column.heading, language) for column in block.columns],
        "styles": [column.style for column in block.columns],
        "rows": [[_raw(cell, language) for cell in row] for row in block.rows],
    }


def _told(text, language):
    values = {name: _raw(value, language) for name, value in text.values.items()}
    return {"key": text.key, "text": language.say(text), "values": values}


def _raw(value, language):
    if isinstance(value, pages.Text):
        return _told(value, language)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    return value
