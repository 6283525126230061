"""`inspect(model)`: what a model that was saved in a run holds, as plain values.

Reads a model, changes nothing.
"""

import numpy as np
from keras import ops

from keras_dsd._shared import mask_log
from keras_dsd.analysis import sparsity
from keras_dsd.layers import conversion


def inspect(model):
    """Returns what a model's weights, masks and place in its run are.

    Args:
        model: a `keras.Model`, say one that was loaded.

    Returns:
        dict: `parameters`; `prunable_layers`; `masks_in_force`, the number of layers in
        which they are; `sparsity`, of the prunable weights; `run`, where the model
        was in its phases when it was saved (`phase`, counted from 0, `epoch` and
        `finished`), or `None` before any; `weights`, a list with `path`, `shape`,
        `sparsity`, `masked` and `not_pruned_because`; `masks`, a list with `path`,
        `size`, `active`, `strays` (weights that the mask holds at zero and that are
        not) and `sha256`, named and hashed as in the audit log.

    Example:

    >>> import keras, keras_dsd
    >>> from keras_dsd.analysis import inspection
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> found = inspection.inspect(keras_dsd.make_prunable(model))
    >>> found["prunable_layers"], found["masks_in_force"], found["run"]
    (1, 0, None)
    """
    states = [state for state in conversion.states(model) if state.built]
    report = sparsity.sparsity_report(model)
    return {
        "parameters": int(model.count_params()),
        "prunable_layers": len(states),
        "masks_in_force": sum(bool(state.in_force) for state in states),
        "sparsity": report.sparsity,
        "run": _run([state.position for state in states]),
        "weights": [_weight(row) for row in report.rows],
        "masks": [_mask(weight) for state in states for weight in state.pruned],
    }


def _mask(weight):
    mask = ops.convert_to_numpy(weight.mask.value).astype(bool)
    values = ops.convert_to_numpy(weight.variable.value)
    return {
        "path": weight.origin,
        "size": int(mask.size),
        "active": int(np.count_nonzero(mask)),
        "strays": int(np.count_nonzero(values[~mask])),
        "sha256": mask_log.digest(mask),
    }


def _run(positions):
    begun = [position for position in positions if position.phase >= 0]
    if not begun:
        return None
    last = max(begun, key=lambda position: (position.phase, position.epoch))
    return {
        "phase": int(last.phase),
        "epoch": int(last.epoch),
        "finished": bool(last.finished),
    }


def _weight(row):
    return {
        "path": row.path,
        "shape": list(row.shape),
        "sparsity": float(row.achieved),
        "masked": float(row.masked),
        "not_pruned_because": row.reason,
    }


def text(found):
    """Returns what `inspect` found in words, a line for each weight."""
    run = found["run"]
    lines = [
        f"{found['parameters']:,} parameters, {found['prunable_layers']} prunable "
        f"layers, {found['sparsity']:.1%} of their weights are zero",
        f"masks in force in {found['masks_in_force']} layers",
        "not in a run of phases"
        if run is None
        else f"phase {run['phase'] + 1}, epoch {run['epoch'] + 1}"
        + (", finished" if run["finished"] else ", not finished"),
    ]
    for weight in found["weights"]:
        reason = weight["not_pruned_because"]
        lines.append(
            f"  {weight['path']}  {tuple(weight['shape'])}  {weight['sparsity']:.1%} "
            f"zero, {weight['masked']:.1%} held" + (f"  ({reason})" if reason else "")
        )
    return "\n".join(lines)
