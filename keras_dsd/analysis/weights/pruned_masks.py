"""What a sparse phase held at zero: the masks of a run's last moment under masks.

Knows masks as bits; knows no weight.
"""

import math

from keras_dsd.analysis.masks import moments as moments_
from keras_dsd.analysis.recording import snapshots
from keras_dsd.analysis.weights import weight_sources


def read(run):
    """Returns {path: packed mask}, {path: shape} and {path: how many were pruned}.

    Raises:
        TypeError, ValueError: `run` is not as `returned` says; nothing was pruned.
    """
    if weight_sources.is_folder(run):
        masked = [one for one in snapshots.read(run) if one.masked]
        if not masked:
            raise ValueError(
                "In none of the snapshots a mask was in force. "
                f"Received: run={str(run)!r}"
            )
        run = masked[-1]
    moment = moments_.read_one(run, "run")
    pruned = {
        path: math.prod(shape) - moments_.count(moment.bits[path])
        for path, shape in moment.shapes.items()
    }
    if not any(pruned.values()):
        raise ValueError(
            "Nothing was pruned, so nothing can have come back. "
            f"Received: {len(pruned)} weights, all of them alive"
        )
    return moment.bits, moment.shapes, pruned
