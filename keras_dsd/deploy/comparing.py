"""`compare_files(a, b)`: have two exports the same signature, operations and shapes?

Knows files; no model.
"""

import dataclasses

from keras_dsd._shared import files
from keras_dsd.deploy import formats, verification


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two exports, say of one model trained in two ways, beside each other.

    Args:
        same: whether whoever runs the one can run the other in its place.
        differences: list of str; what is not the same.
        text: str; the same in one line.
    """

    same: bool
    differences: list
    text: str

    def __str__(self):
        """Returns the one line."""
        return self.text


def compare_files(a, b):
    """Compares what a program that runs a file depends on; the weights may differ.

    Those are names, shapes and dtypes of inputs and outputs; which operations there
    are, and how many; shapes and dtypes of the weights.

    Args:
        a: path of a SavedModel's folder, or of a `.tflite` or `.onnx` file.
        b: path of another one, of the same format.

    Returns:
        A `Comparison`, which prints as one line.

    Raises:
        TypeError, ValueError: no such files, or of two formats.
        ExportError: one of them can't be read.
    """
    kinds = [formats.of_path(files.name_of(path)) for path in (a, b)]
    if kinds[0] != kinds[1] or formats.FORMATS[kinds[0]].runtime is None:
        known = [name for name, one in formats.FORMATS.items() if one.runtime]
        raise ValueError(
            f"Both files must be of one of the formats {known}. Received: "
            f"a={str(a)!r} of {kinds[0]}, b={str(b)!r} of {kinds[1]}"
        )
    found = [_parts(verification.read(kinds[0], path)[1]) for path in (a, b)]
    differences = [
        f"{part}: {found[0][part]} and {found[1][part]}"
        for part in found[0]
        if found[0][part] != found[1][part]
    ]
    text = (
        f"{a} and {b} have the same signature, operations and shapes: whoever runs the "
        "one can run the other."
        if not differences
        else f"{a} and {b} differ in " + "; ".join(differences)
    )
    return Comparison(not differences, differences, text)


def _parts(report):
    """Returns {part: what a file has of it}, without the values of weights."""
    weights = [one[:2] for one in report.get("weights", report.get("constants"))]
    return {
        "inputs": report["inputs"],
        "outputs": report["outputs"],
        "operations": report["operations"],
        "weights": weights,
    }
