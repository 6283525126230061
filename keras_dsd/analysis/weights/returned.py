"""`returned(run)`: which pruned weights came back in a dense phase, and how large.

Compared with those that stayed. Reads models, files and snapshots piece by piece; knows
no phase.
"""

import numpy as np

from keras_dsd.analysis._shared import same_model
from keras_dsd.analysis.recording import snapshots
from keras_dsd.analysis.weights import octaves, pruned_masks, weight_sources
from keras_dsd.analysis.weights.returned_result import Returned


def returned(run, dense=None):
    """Finds what has become of the weights that a sparse phase held at zero.

    Memory: a bit for each weight and a few MB, beside models that are loaded.

    Args:
        run: path of a folder that `Snapshots` has written: its last moment under masks
            is compared with its last one. Or what was pruned: a model, the path of a
            `.keras` file, a `Snapshot` or a dict {path of a weight: bool array}, True
            where it lives.
        dense: what came of it: a model, the path of a `.keras` file or a `Snapshot`.
            Defaults to `None`, for a folder.

    Returns:
        A `Returned`.

    Raises:
        TypeError, ValueError: an argument is not as said; nothing had been pruned;
            both are not of one model; a snapshot is without weights; a weight is not
            finite.

    >>> import numpy as np, keras
    >>> from keras_dsd import analysis
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> _ = model.layers[0].kernel.assign([[1.0, 2.0], [0.5, 0.0]])
    >>> path = model.layers[0].kernel.path
    >>> mask = np.array([[True, True], [False, False]])
    >>> found = analysis.returned({path: mask}, model)
    >>> found.came_back[path].count, found.stayed[path].largest
    (1, 2.0)
    """
    if weight_sources.is_folder(run):
        if dense is not None:
            raise ValueError(
                "A folder of snapshots has both: give `dense` with what was pruned. "
                f"Received: run={str(run)!r}, dense of type {type(dense).__name__}"
            )
        dense = snapshots.read(run)[-1]
    elif dense is None:
        raise TypeError(
            "`dense` must be what came of the pruned weights, unless `run` is a folder "
            f"of snapshots. Received: run of type {type(run).__name__}, dense=None"
        )
    bits, shapes, pruned = pruned_masks.read(run)
    source = weight_sources.read(dense, "dense")
    same = same_model.paths(shapes, source.shapes, "dense")
    found = {
        path: _groups(path, source.pieces(same[path]), bits[path]) for path in shapes
    }
    first, end = octaves.bounds([counts for counts, _ in found.values()])
    return Returned(
        octaves.edges(first, end),
        {path: counts[:, first:end] for path, (counts, _) in found.items()},
        pruned,
        {path: groups[0] for path, (_, groups) in found.items()},
        {path: groups[1] for path, (_, groups) in found.items()},
    )


def _groups(path, parts, bits):
    """Returns (counts, (came back, stayed)) of one weight.

    Counts are of shape (2, codes), of what came back and of what stayed.
    """
    counts = np.zeros((2, octaves.FINITE), "int64")
    sums, start = np.zeros((2, 4)), 0
    for part in parts:
        lives = _unpacked(bits, start, start + part.size)
        for row, chosen in enumerate((part[~lives], part[lives])):
            found, _, not_finite = octaves.count(chosen)
            if not_finite:
                raise ValueError(
                    "Weights must be finite, to be compared. "
                    f"Received: {path} with NaN or infinity"
                )
            counts[row] += found.sum(axis=0)
            sums[row] = _added(sums[row], chosen[chosen != 0])
        start += part.size
    rows = [Returned.group(*row) for row in sums]
    return counts, rows


def _added(sums, values):
    """Adds to how many there are, the sums of |w| and w * w, and the largest |w|."""
    size = np.abs(values.astype("float64"))
    return np.array(
        [
            sums[0] + size.size,
            sums[1] + size.sum(),
            sums[2] + np.square(size).sum(),
            max(sums[3], size.max(initial=0.0)),
        ]
    )


def _unpacked(bits, start, end):
    """Returns a part of packed bools."""
    first = start // 8
    found = np.unpackbits(bits[first : -(-end // 8)])
    return found[start - 8 * first : end - 8 * first].astype(bool)
