"""Writes a page to a file, and its JSON beside it.

Knows pages, their forms and files.
"""

import json
import pathlib

from keras_dsd._shared import files
from keras_dsd.reports import forms
from keras_dsd.reports.language import Language

ENDINGS = (".html", ".md")


def write(page, path, *, language="en"):
    """Writes a page; returns its `pathlib.Path`.

    Beside `study.html` stands `study.page.json` with every number of the page; a
    record of the name `study.json` stays. A file is the old or the new at every moment.

    Args:
        page: a `Page`.
        path: a file that ends in ".html" or ".md", in a folder that exists.
        language: "en" or "ja". Defaults to "en".

    Raises:
        ValueError: another ending, language or folder.
        MissingExtra: the extra `reports` is not installed.
    """
    file = files.writable(path)
    if file.suffix not in ENDINGS:
        raise ValueError(
            f"`path` must end in one of {', '.join(ENDINGS)}. Received: path={path!r}"
        )
    spoken = Language(language)
    form = forms.html if file.suffix == ".html" else forms.markdown
    text = form(page, spoken)
    numbers = json.dumps(forms.record(page, spoken), ensure_ascii=False, indent=1)
    for target, content in ((numbers_of(file), numbers), (file, text)):
        with files.replacing(target) as new:
            new.write_text(content + "\n", "utf-8")
    return pathlib.Path(path)


def numbers_of(path):
    """Returns the path of the JSON that stands beside a page.

    Args:
        path: `pathlib.Path` of the page.
    """
    return path.with_suffix(".page.json")
