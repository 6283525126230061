"""What a run's page is made of: its log of mask updates, checked, as plain numbers.

A log of two runs, or a model or history of another one, is refused. Epochs and phases
are counted from 1, as people do. Knows records only.
"""

import itertools
import math
import os

from keras_dsd._shared import mask_log

MOVES = ("dropped", "grown")


def record(log, *, model=None, history=None):
    """Returns the record of a run: a dict of JSON's types.

    Args:
        log: path of the log.
        model: what `analysis.inspection.inspect` returns of the run's model, or `None`.
        history: what `fit` returned, its `history` (a dict of lists), or `None`.

    Raises:
        TypeError, ValueError: the log is no whole log of one run, or `model` or
            `history` are not of that run.
        OSError: the log can't be read.
    """
    lines = mask_log.read(log)
    name = os.fspath(log)
    if not lines:
        raise ValueError(
            "The log holds no update of masks: none has come yet, or the run has dense "
            f"phases only. Received: {name!r}"
        )
    _check_one_run(lines, name)
    updates = [_update(line) for line in lines]
    return {
        "log": name,
        "updates": updates,
        "phases": _phases(updates),
        "weights": _weights(lines),
        "searches": [
            {"phase": line["phase"] + 1, **line["search"]}
            for line in lines
            if "search" in line
        ],
        "model": _model(lines, model),
        "epochs": _epochs(lines, history),
    }


def _check_one_run(lines, name):
    """Refuses a log in which a line can't come after the one before it."""
    for number, (before, line) in enumerate(itertools.pairwise(lines), 2):
        wrong = _break(before, line)
        if wrong:
            raise ValueError(
                "The log is not that of one run: a line does not follow the one before "
                f"it, for {wrong}. Received: line {number} of {name!r}"
            )


def _break(before, line):
    """Returns why a line can't come after another, in words, or `None`."""
    same = line["phase"] == before["phase"]
    if _sizes(before["weights"]) != _sizes(line["weights"]):
        return "its weights are others"
    if line["phase"] < before["phase"] or line["epoch"] < before["epoch"]:
        return "it is of an earlier phase or epoch"
    if line["step"] < before["step"] + same:
        return "it is of no later step"
    if same and _sum(line, "kept", "dropped") != _active(before):
        return "it begins with another number of connections"
    return None


def _sizes(weights):
    return [(weight["path"], weight["size"]) for weight in weights]


def _sum(line, *names):
    return sum(weight[name] for weight in line["weights"] for name in names)


def _active(line):
    return _sum(line, "kept", "grown")


def _update(line):
    size, active, grown = _sum(line, "size"), _active(line), _sum(line, "grown")
    return {
        "step": line["step"],
        "epoch": line["epoch"] + 1,
        "phase": line["phase"] + 1,
        "drop_fraction": line["drop_fraction"],
        "explored": line["explored"],
        "size": size,
        "active": active,
        "sparsity": 1 - active / size if size else 0.0,
        "dropped": _sum(line, "dropped"),
        "grown": grown,
        "churn": grown / max(active, 1),
    }


def _phases(updates):
    """Returns a row for each phase in which masks changed."""
    found = []
    for phase in dict.fromkeys(update["phase"] for update in updates):
        here = [update for update in updates if update["phase"] == phase]
        found.append(
            {
                "phase": phase,
                "updates": len(here),
                "first_epoch": here[0]["epoch"],
                "last_epoch": here[-1]["epoch"],
                "first_step": here[0]["step"],
                "last_step": here[-1]["step"],
                "sparsity_first": here[0]["sparsity"],
                "sparsity_last": here[-1]["sparsity"],
                # What the first masks drop is the pruning, no exchange.
                "grown": sum(update["grown"] for update in here[1:]),
                "explored": here[-1]["explored"],
            }
        )
    return found


def _weights(lines):
    """Returns what each weight's mask was in the end, and how much it moved."""
    return [
        {
            "path": weight["path"],
            "size": weight["size"],
            "active": weight["kept"] + weight["grown"],
            "sparsity": 1 - (weight["kept"] + weight["grown"]) / max(weight["size"], 1),
            "sha256": weight["sha256"],
            **{
                name: sum(line["weights"][index][name] for line in lines)
                for name in MOVES
            },
        }
        for index, weight in enumerate(lines[-1]["weights"])
    ]


def _model(lines, model):
    """Returns what the model shows of the log, `None` without one."""
    if model is None:
        return None
    if not isinstance(model, dict) or not {"masks", "run", "masks_in_force"} <= set(
        model
    ):
        raise TypeError(
            "`model` must be what `analysis.inspection.inspect(model)` returns. "
            f"Received: model={model!r}"
        )
    if not model["masks"]:
        raise ValueError(
            "The model holds nothing prunable. Received: model with 0 masks"
        )
    masks = {mask["path"]: mask for mask in model["masks"]}
    logged = {weight["path"]: weight["size"] for weight in lines[-1]["weights"]}
    if {path: mask["size"] for path, mask in masks.items()} != logged:
        raise ValueError(
            "The model's weights are not those of the log. Received: "
            f"{sorted(masks)} in the model, {sorted(logged)} in the log"
        )
    position = model["run"]
    if position is None:
        raise ValueError(
            "The model has been in no run of phases. Received: model with run=None"
        )
    found = {
        "phase": position["phase"] + 1,
        "epoch": position["epoch"] + 1,
        "in_force": bool(model["masks_in_force"]),
        "strays": sum(mask["strays"] for mask in masks.values()),
        "held": sum(mask["size"] - mask["active"] for mask in masks.values()),
        "update": None,
    }
    if found["in_force"]:
        return found | {"update": _found_in(lines, masks)}
    if position["phase"] in {line["phase"] for line in lines}:
        raise ValueError(
            "The log has masks of the model's phase, and in the model none are in "
            f"force. Received: model of phase {position['phase'] + 1}"
        )
    return found


def _found_in(lines, masks):
    """Returns the number of the last update that made these masks, from 1."""
    for number in range(len(lines), 0, -1):
        if all(
            weight["sha256"] == masks[weight["path"]]["sha256"]
            for weight in lines[number - 1]["weights"]
        ):
            return number
    last = next(
        weight
        for weight in lines[-1]["weights"]
        if weight["sha256"] != masks[weight["path"]]["sha256"]
    )
    raise ValueError(
        "The model's masks are not those of the log, at any of its updates. Received: "
        f"{last['path']!r} with {masks[last['path']]['sha256'][:16]}... in the model, "
        f"{last['sha256'][:16]}... in the log's last update"
    )


def _epochs(lines, history):
    """Returns a row for each epoch of `fit`'s history, empty without one."""
    if history is None:
        return []
    numbers = list(getattr(history, "epoch", ()))
    logs = getattr(history, "history", history)
    if not isinstance(logs, dict) or not {"dsd_phase", "sparsity"} <= set(logs):
        raise TypeError(
            "`history` must be what `fit` with `DSDCallback` returned, or its "
            f"`history`. Received: history={history!r}"
        )
    numbers = numbers or list(range(len(logs["dsd_phase"])))
    if any(len(values) != len(numbers) for values in logs.values()):
        raise ValueError(
            "The lists of `history` must have one value for each epoch. Received: "
            f"{ {name: len(values) for name, values in logs.items()} }"
        )
    phases = dict(zip(numbers, logs["dsd_phase"], strict=True))
    for line in lines:
        if phases.get(line["epoch"], line["phase"]) != line["phase"]:
            raise ValueError(
                "`history` is of another run than the log. Received: phase "
                f"{phases[line['epoch']]:g} in history, {line['phase']} in the log, at "
                f"epoch {line['epoch']}"
            )
    return [
        {
            "epoch": int(number) + 1,
            "phase": int(logs["dsd_phase"][index]) + 1,
            **{
                name: _finite(values[index])
                for name, values in logs.items()
                if name != "dsd_phase"
            },
        }
        for index, number in enumerate(numbers)
    ]


def _finite(value):
    return float(value) if math.isfinite(value) else None
