"""What an evaluation found, and its forms: a table, JSON, CSV, Markdown, a page,
a picture.

Its sums (mCE and the like) are `mce`'s. Knows no model and no image.
"""

import dataclasses
import json
import math
import pathlib

from keras_dsd.reports import robustness_page, writing
from keras_dsd.robustness import tables
from keras_dsd.robustness.mce import Measured


@dataclasses.dataclass(frozen=True)
class RobustnessReport(Measured):
    """The metric of a model on clean images and under each corruption.

    Prints as a table. Means are taken as in the benchmarks: first over the severities
    of a corruption, then over corruptions, all weighing the same.

    Args:
        metric: name of the metric.
        grows: whether more of it is better.
        clean: its value on clean images, `None` if there were none.
        table: {corruption: {severity: value}}.
        families: {corruption: name of its family}.
        images: number of images that each value was measured on.
        seed: seed of the random draws, an integer.
        constants: set of strengths, as `corrupt` takes it; `"published"` for a data set
            that was corrupted by others.
        baseline: the report of the model that this one is compared with, the name
            `"alexnet"`, or `None`. Defaults to `None`.
        digest: a number that tells the images, in their order, from others. Defaults to
            `None`: not known.
    """

    def to_dict(self):
        """Returns all numbers, measured and derived, as a dict that JSON can hold.

        JSON has no NaN and no infinity: they are `None` there, such as ratios to a
        baseline that makes no error.
        """
        baseline = self.baseline
        if isinstance(baseline, RobustnessReport):
            baseline = baseline.to_dict()
        return {
            "metric": self.metric,
            "grows": self.grows,
            "clean": _finite(self.clean),
            "robust": _finite(self.robust),
            "by_family": _finite(self.by_family),
            "mce": _finite(self.mce),
            "relative_mce": _finite(self.relative_mce),
            "ce": _finite(self.ce),
            "relative_ce": _finite(self.relative_ce),
            "table": {
                name: {str(severity): _finite(value) for severity, value in row.items()}
                for name, row in self.table.items()
            },
            "families": self.families,
            "images": self.images,
            "seed": self.seed,
            "constants": self.constants,
            "digest": self.digest,
            "baseline": baseline,
        }

    @classmethod
    def from_dict(cls, numbers):
        """Returns the report of which `to_dict` made `numbers`.

        A value of the table that was not finite comes back as NaN.
        """
        own = {
            field.name: numbers[field.name]
            for field in dataclasses.fields(cls)
            if field.name in numbers
        }
        own["table"] = {
            name: {
                int(severity): math.nan if value is None else value
                for severity, value in row.items()
            }
            for name, row in own["table"].items()
        }
        if isinstance(own["baseline"], dict):
            own["baseline"] = cls.from_dict(own["baseline"])
        return cls(**own)

    def to_json(self, path=None):
        """Returns `to_dict` as JSON, and writes it to a file if `path` is given."""
        return _written(
            json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n", path
        )

    @classmethod
    def from_json(cls, path):
        """Returns the report of a file that `to_json` wrote."""
        try:
            return cls.from_dict(json.loads(pathlib.Path(path).read_text("utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"Not a report that `to_json` wrote. Received: path={str(path)!r} "
                f"({type(error).__name__}: {error})"
            ) from error

    def to_csv(self, path=None):
        """Returns a line for each corruption and severity as CSV, or writes it too."""
        return _written(tables.csv_lines(self), path)

    def to_markdown(self, path=None):
        """Returns the table as Markdown, and writes it to a file if `path` is given."""
        return _written(tables.markdown(self), path)

    def to_html(self, path, language="en"):
        """Writes a page for those who decide, and its numbers beside it.

        Needs the extra `reports`. The verdict, how sure it is, where it gets worse, how
        it was measured, and the command that repeats it, in one file that needs no
        network; beside `page.html` stands `page.page.json`.

        Args:
            path: a file that ends in ".html", or in ".md" for Markdown.
            language: "en" or "ja". Defaults to "en".

        Returns:
            The page's `pathlib.Path`.

        Raises:
            TypeError, ValueError: a wrong path or language.
            MissingExtra: the extra is not installed.

        Example:

        >>> import tempfile
        >>> from keras_dsd import robustness
        >>> report = robustness.RobustnessReport(
        ...     "accuracy", grows=True, clean=0.9, table={"fog": {1: 0.7}},
        ...     families={"fog": "weather"}, images=100, seed=0, constants="cifar")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report.to_html(folder + "/fog.html").name
        'fog.html'
        """
        page = robustness_page.page(self.to_dict())
        return writing.write(page, path, language=language)

    def plot(self, path=None):
        """Draws the table as a picture.

        Args:
            path: file to write, a PNG or whatever its ending says. Defaults to `None`:
                none is written.

        Returns:
            A `matplotlib.figure.Figure`.
        """
        from keras_dsd.robustness import figures  # matplotlib takes a second

        return figures.written(figures.report(self), path)

    def __str__(self):
        """Returns the report as a table."""
        return tables.plain(self)


def _finite(value):
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return value if value is not None and math.isfinite(value) else None


def _written(text, path):
    if path is not None:
        pathlib.Path(path).write_text(text, encoding="utf-8")
    return text
