"""The forms of a result: JSON, CSV, Markdown, a picture, a page, text.

Knows what a `Result` answers, and files.
"""

import csv
import io
import json
import pathlib
from collections.abc import Callable

from keras_dsd.studies import decision, records, tables


class Forms:
    """What a `Result` can be written as."""

    to_dict: Callable
    table: Callable

    def to_json(self, path=None):
        """Returns `to_dict` as JSON text, and writes it if `path` is given."""
        return _out(json.dumps(records.to_json(self.to_dict()), indent=1), path)

    def to_csv(self, path=None):
        """Returns the table as CSV text, and writes it if `path` is given."""
        rows = self.table()
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
        return _out(text.getvalue(), path)

    def to_markdown(self, path=None):
        """Returns table and verdicts as Markdown; writes them if `path` is given."""
        return _out(tables.markdown(self), path)

    # Each an option that a user names.
    def report(  # noqa: PLR0913
        self,
        path,
        *,
        language="en",
        method=None,
        against="conventional",
        when="last",
        margin=None,
        assumptions=None,
        export=None,
    ):
        """Writes a page to decide by, and every number of it as JSON beside it.

        Args:
            path: a file that ends in ".html" or ".md", in a folder that exists.
            language: "en" or "ja". Defaults to "en".
            method: name of the method to decide on. Defaults to `None`: the one that
                is shown to be better by most or, if none is, has the best mean.
            against: name of the method that is used now. Defaults to "conventional".
            when: as for `values`.
            margin: difference within which two methods count as the same, in the
                metric's unit. Defaults to `None`: equality is not asked.
            assumptions: dict of the arguments of `value`, for what it is worth;
                further `currency`, a str that stands behind sums of money. Defaults to
                `None`: not calculated, and the page says so.
            export: what `deploy.export` returned, or its `to_dict()`: the proof that
                the deployed file does what the model does. Defaults to `None`.

        Returns:
            The `pathlib.Path` of the page.

        Raises:
            TypeError, ValueError: an argument is not as said.
            MissingExtra: the extra `reports` is not installed.
        """
        from keras_dsd.reports import study_page, writing

        wanted = decision.Wanted(method, against, when, margin, assumptions, export)
        page = study_page.page(decision.record(self, wanted))
        return writing.write(page, path, language=language)

    def plot(self):
        """Returns a matplotlib figure: differences, learning curves, cost."""
        from keras_dsd.studies import figures

        return figures.overview(self)

    def __str__(self):
        """Returns the table and the verdicts as text."""
        return tables.text(self)


def _out(text, path):
    if path is not None:
        pathlib.Path(path).write_text(text, encoding="utf-8")
    return text
