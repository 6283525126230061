"""`Sensitivity`: the curves that `sensitivity` found, as arrays, table, file, plot.

Knows numbers and files.
"""

import dataclasses
import json
import math
import pathlib

import numpy as np

from keras_dsd._shared import extras, files
from keras_dsd.analysis._shared import tables
from keras_dsd.sparsity import trials

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """A metric against sparsity: of each weight alone, and of all together.

    Prints as a table.

    Args:
        metric: its name.
        grows: whether more of it is better.
        baseline: the metric of the model as it is.
        of: dict that tells which model it was: `weights`, a digest of them, and
            `distribution`, how all together shared a sparsity.
        trials: list of `(path, sparsity, value)`; path `None`: all together.

    >>> from keras_dsd import analysis
    >>> found = analysis.Sensitivity("acc", True, 0.9, {}, [(None, 0.5, 0.8)])
    >>> found.curve()[1].tolist()
    [0.8]
    """

    metric: str
    grows: bool
    baseline: float
    of: dict
    trials: list

    def __post_init__(self):
        made = [trials.Trial(*one) for one in self.trials]
        object.__setattr__(self, "trials", made)

    @property
    def paths(self):
        """Paths of the weights, in the order of the model."""
        found = dict.fromkeys(one.path for one in self.trials)
        return [path for path in found if path is not None]

    def curve(self, path=None):
        """Returns (sparsities, values), two arrays of floats.

        Args:
            path: of a weight. Defaults to `None`: all together.

        Raises:
            ValueError: there is none of that path.
        """
        found = [one for one in self.trials if one.path == path]
        if not found:
            raise ValueError(
                f"There is no such weight. Known: {self.paths}. Received: path={path!r}"
            )
        return (
            np.array([one.sparsity for one in found]),
            np.array([one.value for one in found]),
        )

    def table(self):
        """Returns one dict for each weight, all together first: {sparsity: value}."""
        return [
            {
                "weight": "all together" if path is None else path,
                **dict(zip(*(one.tolist() for one in self.curve(path)), strict=True)),
            }
            for path in [None, *self.paths]
            if any(one.path == path for one in self.trials)
        ]

    def __str__(self):
        rows = self.table()
        columns = sorted({key for row in rows for key in row if key != "weight"})
        cells = [[f"{self.metric} at sparsity", *(f"{key:g}" for key in columns)]]
        for row in rows:
            values = [f"{row[key]:.4g}" if key in row else "" for key in columns]
            cells.append([row["weight"], *values])
        lines = tables.aligned(cells)
        return "\n".join([*lines, "", f"As it is: {self.baseline:.4g}."])

    def to_dict(self):
        """Returns all of it as a dict; numbers that are not finite as text."""
        return {
            "version": VERSION,
            "metric": self.metric,
            "grows": self.grows,
            "baseline": self.baseline,
            "of": self.of,
            "trials": [
                [path, sparsity, value if math.isfinite(value) else str(value)]
                for path, sparsity, value in self.trials
            ],
        }

    def to_json(self, path=None):
        """Returns it as JSON text, and writes it, whole or not at all, to `path`."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
        if path is not None:
            with files.replacing(pathlib.Path(path)) as beside:
                beside.write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, path):
        """Returns what `to_json` wrote to a file.

        Raises:
            ValueError: it is damaged, or another kind of file.
            OSError: it can't be read.
        """
        try:
            read = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
            if read.pop("version") != VERSION:
                raise ValueError("another version")
            read["trials"] = [(*key, float(value)) for *key, value in read["trials"]]
            return cls(**read)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"Not a file of `sensitivity` ({error}). Received: path={str(path)!r}"
            ) from error

    def plot(self, ax=None):
        """Draws the curves; all together in black.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        extras.require("studies", "matplotlib", needed_by="`Sensitivity.plot`")
        from matplotlib import colormaps
        from matplotlib.figure import Figure

        if ax is None:
            ax = Figure(figsize=(7, 4.5), layout="constrained").subplots()
        colors = colormaps["viridis"](np.linspace(0, 0.9, max(len(self.paths), 1)))
        for path, color in zip(self.paths, colors, strict=False):
            ax.plot(*self.curve(path), color=color, marker=".", label=path)
        if any(one.path is None for one in self.trials):
            ax.plot(*self.curve(), color="black", linewidth=2, label="all together")
        ax.axhline(self.baseline, color="grey", linestyle=":", label="as it is")
        ax.set_xlabel("sparsity")
        ax.set_ylabel(self.metric)
        ax.legend(fontsize=7)
        return ax.figure
