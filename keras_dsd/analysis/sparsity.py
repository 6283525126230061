"""`sparsity_report(model)`: what is pruned, how much, and why the rest is not.

Reads a model, changes nothing.
"""

import collections
import dataclasses
import gzip
import io

import keras
import numpy as np

from keras_dsd._shared import keras_private
from keras_dsd.analysis._shared import tables
from keras_dsd.layers import conversion, eligibility
from keras_dsd.layers.pruning_state import PruningState

# A weight that could carry a mask and does not.
NOT_CHOSEN = "left out, or frozen or not there when the model was made prunable"


@dataclasses.dataclass(frozen=True)
class Row:
    """One weight of rank 2 or more.

    Its units are counted along its last two axes, (..., inputs, outputs): those of
    kernels of `Dense` and of convolutions. A transposed convolution has the two the
    other way round.

    Args:
        path: the weight's path.
        shape: its shape.
        target: the layer's own sparsity, or `None` where it follows the phase.
        achieved: fraction of its values that are exactly zero now.
        masked: fraction that is zero and that a mask in force holds there, 0.0 in a
            dense phase.
        reason: why it is not pruned, or `None` if it is prunable.
        no_incoming: count of outputs whose every connection a mask holds at zero, 0 in
            a dense phase and where it is not pruned.
        no_outgoing: the same of its inputs.
    """

    path: str
    shape: tuple
    target: float | None
    achieved: float
    masked: float
    reason: str | None
    no_incoming: int
    no_outgoing: int


@dataclasses.dataclass(frozen=True)
class SparsityReport:
    """What `sparsity_report` found; prints as a table.

    Args:
        rows: list of `Row`, in the order of the model's weights.
        size: count of all weights of the model, of whatever rank.
        zeros: how many of them are exactly zero.
        prunable: count of weights that can be masked.
        prunable_zeros: how many of those are exactly zero.
        masked: how many of these zeros a mask in force holds.
        dense_bytes: bytes of all weights as they are.
        nonzero_bytes: bytes of the nonzero values alone; a sparse format needs these
            and their places.
        gzip_bytes: bytes of all weights after gzip.
    """

    rows: list
    size: int
    zeros: int
    prunable: int
    prunable_zeros: int
    masked: int
    dense_bytes: int
    nonzero_bytes: int
    gzip_bytes: int

    @property
    def sparsity(self):
        """Fraction of the prunable weights that are zero now, held there or not."""
        return float(self.prunable_zeros / self.prunable) if self.prunable else 0.0

    @property
    def dead_neurons(self):
        """Sum of `no_incoming` and `no_outgoing` over all rows.

        A neuron that has neither counts twice: in the weight before and the one after.
        """
        return sum(row.no_incoming + row.no_outgoing for row in self.rows)

    def __str__(self):
        """Returns the report as a table."""
        head = ("weight", "shape", "target", "zeros", "masked", "not pruned because")
        table = tables.aligned([head, *map(_cells, self.rows)], left=(0, 5))
        rule = "-" * max(map(len, table))
        totals = (
            f"{self.prunable_zeros:,} of {self.prunable:,} prunable weights are zero "
            f"({self.sparsity:.2%}), {self.masked:,} of them held there by masks; "
            f"{self.zeros:,} of all {self.size:,} are zero.\n"
            "Neurons without incoming or outgoing connections: "
            f"{self.dead_neurons:,}.\n"
            f"Bytes: {self.dense_bytes:,} dense, {self.nonzero_bytes:,} nonzero, "
            f"{self.gzip_bytes:,} gzipped."
        )
        return "\n".join([table[0], rule, *table[1:], "", totals])


def _cells(row):
    target = "phase" if row.target is None else f"{row.target:.2%}"
    return (
        row.path,
        "x".join(map(str, row.shape)),
        "-" if row.reason else target,
        f"{row.achieved:.2%}",
        f"{row.masked:.2%}",
        row.reason or "",
    )


def sparsity_report(model):
    """Reports what is pruned in a model, how much, and why other weights are not.

    Args:
        model: a `keras.Model` or layer whose layers are built, prunable or not.

    Returns:
        A `SparsityReport`: `rows` (path, shape, target, achieved, masked, reason,
        no_incoming, no_outgoing), totals and bytes. `print` shows it as a table.

    Raises:
        TypeError: `model` is not a Keras model or layer.
        ValueError: some of its layers are not built, so they have no weights yet.

    Example:

    >>> import keras, keras_dsd
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> report = keras_dsd.sparsity_report(keras_dsd.make_prunable(model))
    >>> report.rows[0].shape, report.prunable
    ((8, 4), 32)
    """
    pruned = {
        id(weight.variable): (weight, state.in_force)
        for state in conversion.states(model)
        for weight in state.pruned
    }
    unbuilt = [layer for layer in keras_private.sublayers(model) if _waits(layer)]
    if unbuilt and not model.built:  # else they are not used
        raise ValueError(
            "The model is not built yet: some layers have no weights. Received: "
            f"model={model!r}, in which {[layer.name for layer in unbuilt]} are not "
            "built"
        )
    owners = eligibility.owners(model)
    kept = [
        variable
        for variable in model.weights
        if not isinstance(owners[id(variable)], PruningState)
    ]
    rows, totals = [], collections.Counter(dict.fromkeys(_TOTALS, 0))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream:
        for variable in kept:
            values = keras.ops.convert_to_numpy(variable)
            stream.write(values.tobytes())
            weight, in_force = pruned.get(id(variable), (None, False))
            lives = None
            if in_force:  # what a mask wishes for counts where it has come about
                lives = keras.ops.convert_to_numpy(weight.mask) | (values != 0)
            counts = _count(values, weight is not None, lives)
            totals.update(counts)
            if values.ndim >= 2:
                reason = None
                if weight is None:
                    reason = _why_not(variable, owners[id(variable)])
                rows.append(_row(variable, weight, counts, lives, reason))
    return SparsityReport(rows, **totals, gzip_bytes=len(packed.getvalue()))


_TOTALS = (
    "size",
    "zeros",
    "prunable",
    "prunable_zeros",
    "masked",
    "dense_bytes",
    "nonzero_bytes",
)


def _waits(layer):
    """Returns whether a layer is still to make weights of its own.

    A model makes none when it is built: one whose `train_step` calls its layers, and
    that has no `call`, never is.
    """
    plain = (keras.layers.Layer, keras.Model, keras.Sequential)
    makes_none = any(type(layer).build is cls.build for cls in plain)
    return not (layer.built or makes_none)


def _count(values, is_prunable, lives):
    """Returns what one weight adds to the totals; `lives` is None without a mask."""
    zeros = values.size - np.count_nonzero(values)
    return {
        "size": values.size,
        "zeros": zeros,
        "prunable": values.size if is_prunable else 0,
        "prunable_zeros": zeros if is_prunable else 0,
        "masked": 0 if lives is None else values.size - np.count_nonzero(lives),
        "dense_bytes": values.nbytes,
        "nonzero_bytes": (values.size - zeros) * values.dtype.itemsize,
    }


def _row(variable, weight, counts, lives, reason):
    size = max(counts["size"], 1)
    return Row(
        variable.path,
        tuple(variable.shape),
        weight.sparsity if weight else None,
        counts["zeros"] / size,
        counts["masked"] / size,
        reason,
        *((0, 0) if lives is None else map(int, map(np.sum, unconnected(lives)))),
    )


def unconnected(mask):
    """Returns which outputs, and which inputs, a mask leaves no connection."""
    *leading, inputs, outputs = range(mask.ndim)
    return tuple(~mask.any(axis=(*leading, other)) for other in (inputs, outputs))


def _why_not(variable, owner):
    return (
        eligibility.cannot_prune(variable, owner)
        or eligibility.in_no_layer(owner)
        or eligibility.kept_dense(variable, owner)
        or NOT_CHOSEN
    )
