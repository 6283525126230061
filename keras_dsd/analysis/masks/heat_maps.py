"""Heat maps of active connections: of input pixels, of filters, of attention heads.

Knows packed bits and their units.
"""

import dataclasses
import math

import numpy as np

from keras_dsd._shared import checks
from keras_dsd.analysis._shared import results, units
from keras_dsd.analysis.masks import moments


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """Active connections in cells, rows by columns.

    Args:
        title: what is shown.
        rows: list of the rows' names, or what they count, as a str.
        columns: as `rows`.
        active: int array (rows, columns), the active connections of each cell.
        size: int array (rows, columns), how many there can be; 0: there is no cell.

    >>> from keras_dsd import analysis
    >>> analysis.HeatMap("kernel", "input", "output", [[1, 2]], [[4, 4]]).share()
    array([[0.25, 0.5 ]])
    """

    title: str
    rows: list | str
    columns: list | str
    active: np.ndarray
    size: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "active", np.array(self.active, "int64"))
        object.__setattr__(self, "size", np.array(self.size, "int64"))

    def share(self):
        """Returns the active share of each cell's connections; NaN: no such cell."""
        there = self.size > 0
        return np.where(there, self.active / np.maximum(self.size, 1), np.nan)

    def to_dict(self):
        """Returns all of it as plain lists."""
        return {
            "title": self.title,
            "rows": self.rows,
            "columns": self.columns,
            "active": self.active.tolist(),
            "size": self.size.tolist(),
        }

    def plot(self, ax=None):
        """Draws the share of each cell's connections that is active.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        ax = results.axes(ax, needed_by="`HeatMap.plot`")
        drawn = ax.imshow(self.share(), vmin=0, cmap="viridis", aspect="auto")
        if isinstance(self.rows, str):
            ax.set_ylabel(self.rows)
        else:
            ax.set_yticks(range(len(self.rows)), self.rows, fontsize=7)
        if isinstance(self.columns, str):
            ax.set_xlabel(self.columns)
        else:
            ax.set_xticks(range(len(self.columns)), self.columns, rotation=90)
        if self.rows == "pixel row":
            ax.set_aspect("equal")
        ax.set_title(self.title, fontsize=9)
        ax.figure.colorbar(drawn, ax=ax, label="share of connections active")
        return ax.figure


def input_map(moment, shape, *, path=None):
    """Counts the active connections of each input pixel of a dense layer.

    Where masks move, they leave the pixels that tell nothing.

    Args:
        moment: a model, the path of a `.keras` file, a `Snapshot`, or a dict {path of a
            weight: bool array}.
        shape: of the picture before it was flattened: (rows, columns) or (rows,
            columns, channels), whose connections are counted together.
        path: of the kernel (inputs, outputs). Defaults to `None`: the first of rank 2.

    Returns:
        A `HeatMap`.

    Raises:
        TypeError, ValueError: there is no such kernel, or its inputs are not as many as
            `shape` has.

    >>> import numpy as np
    >>> from keras_dsd import analysis
    >>> masks = {"dense/kernel": np.arange(12).reshape(4, 3) > 5}
    >>> analysis.input_map(masks, (2, 2)).active.tolist()
    [[0, 0], [3, 3]]
    """
    read = moments.read_one(moment, "moment")
    sides = [
        checks.integer(side, "shape", at_least=1)
        for side in checks.listed(shape, "shape", "two or three integers")
    ]
    known = [one for one, own in read.shapes.items() if len(own) == 2]
    path = _chosen(path, known, known, "kernel of rank 2")
    inputs, outputs = read.shapes[path]
    if len(sides) not in (2, 3) or math.prod(sides) != inputs:
        raise ValueError(
            f"`shape` must be (rows, columns) or (rows, columns, channels) of the "
            f"{inputs} inputs of {path}. Received: shape={shape!r}"
        )
    (active,) = units.counts(read.bits[path], (inputs, outputs), (0,))
    active = active.reshape(*sides[:2], -1).sum(axis=-1)
    size = np.full(active.shape, inputs * outputs // active.size)
    return HeatMap(path, "pixel row", "pixel column", active, size)


def filter_map(moment, *, path=None):
    """Counts the active connections between each input channel and each filter.

    Args:
        moment: a model, the path of a `.keras` file, a `Snapshot`, or a dict {path of a
            weight: bool array}.
        path: of the kernel of a convolution; of a dense layer's a cell is one
            connection. Defaults to `None`: the first convolution's.

    Returns:
        A `HeatMap`: channels by filters. A depthwise convolution has a row of them.

    Raises:
        TypeError, ValueError: there is no such kernel.

    >>> import numpy as np
    >>> from keras_dsd import analysis
    >>> masks = {"conv2d/kernel": np.ones((3, 3, 2, 4), bool)}
    >>> analysis.filter_map(masks).active.tolist()
    [[9, 9, 9, 9], [9, 9, 9, 9]]
    """
    read = moments.read_one(moment, "moment")

    known = [
        one
        for one, shape in read.shapes.items()
        if len(shape) >= 2 and read.units[one].heads is None
    ]
    first = [one for one in known if len(read.shapes[one]) >= 3]
    path = _chosen(path, known, first, "kernel of a convolution")
    shape, unit = read.shapes[path], read.units[path]
    axes = sorted({*unit.inputs, *unit.outputs})
    (active,) = units.counts(read.bits[path], shape, tuple(axes))
    if unit.inputs[0] in unit.outputs:
        active = active.reshape(1, -1)
    elif unit.inputs > unit.outputs:
        active = active.T
    size = np.full(active.shape, math.prod(shape) // max(active.size, 1))
    return HeatMap(path, "input channel", "filter", active, size)


def head_map(moment):
    """Counts the active connections of each head of attention, kernel by kernel.

    Knows the kernels of Keras's `MultiHeadAttention` and `GroupQueryAttention` by
    their names: `query`, `key`, `value`, `attention_output`.

    Args:
        moment: a model, the path of a `.keras` file, a `Snapshot`, or a dict {path of a
            weight: bool array}.

    Returns:
        A `HeatMap`: kernels by heads. Where kernels differ in how many heads they have,
        those that are not there have size 0.

    Raises:
        TypeError, ValueError: there is no such kernel.

    >>> import numpy as np
    >>> from keras_dsd import analysis
    >>> masks = {"attention/query/kernel": np.ones((5, 2, 3), bool)}
    >>> analysis.head_map(masks).active.tolist()
    [[15, 15]]
    """
    read = moments.read_one(moment, "moment")
    axes = {
        path: unit.heads for path, unit in read.units.items() if unit.heads is not None
    }
    if not axes:
        raise ValueError(
            "There is no kernel of `MultiHeadAttention`. "
            f"Received: moment with {list(read.shapes)}"
        )
    most = max(read.shapes[path][axis] for path, axis in axes.items())
    active, size = np.zeros((2, len(axes), most), "int64")
    for row, (path, axis) in enumerate(axes.items()):
        shape = read.shapes[path]
        (found,) = units.counts(read.bits[path], shape, (axis,))
        active[row, : len(found)] = found
        size[row, : len(found)] = math.prod(shape) // len(found)
    return HeatMap("heads of attention", list(axes), "head", active, size)


def _chosen(path, known, first, what):
    """Returns the path of a weight: the one that was named, or the first."""
    if path is None and first:
        return first[0]
    if path not in known:
        raise ValueError(
            f"There is no such {what}. Known: {known}. Received: path={path!r}"
        )
    return path
