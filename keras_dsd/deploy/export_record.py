"""What came of an export, for people and for programs. Knows no model."""

import dataclasses
import json
import pathlib

from keras_dsd.reports import export_page, writing


@dataclasses.dataclass(frozen=True)
class Export:
    """A file that left, and what was proved of it; prints as a table.

    Args:
        path: str, the file or folder.
        format: str, a key of `formats.FORMATS`.
        bytes: its size.
        gzipped_bytes: its size when compressed, as it is sent.
        weights: how many numbers the model's weights are.
        zeros: how many of them are exactly zero.
        items: how many inputs, in batches of several sizes, were compared.
        max_difference: the largest absolute difference of an output from the model's.
        tolerance: what it was allowed to be.
        weights_equal: whether the file holds the model's weights, to the bit; `None`
            where a converter lays them out anew.
        runtime: str, the program that read the file, and its version.
        milliseconds: of one call with one item, the median of 20, in that runtime.
        model_milliseconds: the same of the model, by `predict_on_batch`.
        inputs: {name: [shape, dtype]} of the file's signature; empty for files that
            Keras reads.
        outputs: the same of its outputs.
    """

    path: str
    format: str
    bytes: int
    gzipped_bytes: int
    weights: int
    zeros: int
    items: int
    max_difference: float
    tolerance: float
    weights_equal: bool | None
    runtime: str
    milliseconds: float
    model_milliseconds: float
    inputs: dict
    outputs: dict

    @property
    def equal(self):
        """Whether the outputs are the model's to the bit."""
        return self.max_difference == 0

    def to_dict(self):
        """Returns all fields as a dict."""
        return dataclasses.asdict(self)

    def to_json(self, path=None):
        """Returns all fields as JSON, and writes it to a file if `path` is given."""
        text = json.dumps(self.to_dict(), indent=2)
        if path is not None:
            pathlib.Path(path).write_text(text + "\n", encoding="utf-8")
        return text

    def to_html(self, path, language="en", *, comparison=None):
        """Writes a page for those who decide, and its numbers beside it.

        Needs the extra `reports`. What was proved, how sure that is, size and time,
        what changes in production, and the command that repeats it, in one file that
        needs no network; beside `page.html` stands `page.page.json`.

        Args:
            path: a file that ends in ".html", or in ".md" for Markdown.
            language: "en" or "ja". Defaults to "en".
            comparison: what `compare_files` found between an earlier file and this
                one. Defaults to `None`: the page says that there is none.

        Returns:
            The page's `pathlib.Path`.

        Raises:
            TypeError, ValueError: a wrong path, language or comparison.
            MissingExtra: the extra is not installed.

        Example:

        >>> import keras, keras_dsd, tempfile
        >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = keras_dsd.deploy.export(
        ...         model, folder + "/model.keras", format="keras")
        ...     found.to_html(folder + "/export.html").name
        'export.html'
        """
        if comparison is not None:
            try:
                names = ("same", "differences")
                comparison = {name: getattr(comparison, name) for name in names}
            except AttributeError as error:
                raise TypeError(
                    "`comparison` must be what `compare_files` returns. "
                    f"Received: comparison={comparison!r}"
                ) from error
        page = export_page.page(self.to_dict(), comparison)
        return writing.write(page, path, language=language)

    def __str__(self):
        """Returns a table of what a reader wants to know."""
        same = "equal to the model's, to the bit"
        found = f"at most {self.max_difference:.1e} from the model's"
        found += f" (allowed {self.tolerance:.1e})"
        lines = {
            "file": self.path,
            "format": self.format,
            "size": f"{self.bytes:,} bytes, gzipped {self.gzipped_bytes:,}",
            "weights": f"{self.weights:,}, of which {self.zeros:,} are zero",
            "read by": self.runtime,
            "outputs": f"{same if self.equal else found}, on {self.items} inputs",
            "one item": f"{self.milliseconds:.2f} ms; "
            f"by Keras {self.model_milliseconds:.2f} ms",
        }
        if self.weights_equal:
            lines["weights"] += "; in the file they are the same, to the bit"
        return "\n".join(f"{name:<9} {value}" for name, value in lines.items())


class ExportError(RuntimeError):
    """A file that does not do what the model does; nothing was left behind."""
