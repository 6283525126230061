"""Records without training: what the files, the report and the parent do with them."""

import json
import weakref

import numpy as np

from keras_dsd.studies import measuring, records, task


def record(method, seed, *, accuracy=0.9, epochs=3, items=20):
    """Returns the record of a run that nobody made."""
    rng = np.random.default_rng((seed, len(method)))
    labels = np.arange(items) % 4
    right = rng.random(items) < accuracy
    predicted = np.where(right, labels, (labels + 1) % 4)
    value = float(np.mean(right))
    logs = {"accuracy": value, "loss": 0.5, "val_accuracy": value, "val_loss": 0.6}
    parts = ("train", "validation", "test")
    measured = {part: {"accuracy": value, "loss": 0.6} for part in parts}
    return {
        "version": records.VERSION,
        "method": method,
        "seed": seed,
        "epochs": epochs,
        "metric": "accuracy",
        "grows": True,
        "resolution": 1 / items,
        "initial_weights": f"weights {seed}",
        "first_batches": f"order {seed}",
        "drawn": [f"{seed}.{epoch}" for epoch in range(epochs)],
        "history": [logs] * epochs,
        "seconds": [1.0] * epochs,
        "model": {
            "parameters": 100,
            "zeros": 0,
            "file_bytes": 1000,
            "latency_seconds": 0.001,
        },
        "classes": {
            "accuracy": {
                str(label): float(np.mean(right[labels == label])) for label in range(4)
            },
            "counts": {str(label): int(np.sum(labels == label)) for label in range(4)},
            "predicted": measuring.pack(predicted),
        },
        "robustness": None,
        "machine": {"peak_memory_bytes": 1_000_000},
        "metrics": {
            "last": measured,
            "mean_of_last": {"epochs": epochs, **logs},
            "best": {**measured, "epoch": 0},
        },
    }


class Record(dict):
    """A dict that can be looked for."""

    __hash__ = object.__hash__


class Runs:
    """Takes the place of `processes.run`: ends each run at once.

    Args:
        failing: {(method, seed): an exception to raise, or the dict of an error}.
    """

    def __init__(self, failing=None):
        self.failing = failing or {}
        self.made = []
        self.alive = weakref.WeakSet()

    def __call__(self, module, data, **_):
        if module == "probe":
            return {"version": records.VERSION, "epoch_seconds": 2.0}, None
        work = task.Task.from_bytes(data)
        run = (work.name, work.seed)
        found = self.failing.get(run)
        if isinstance(found, BaseException):
            raise found
        if found:
            return None, found
        self.made.append(run)
        made = Record(record(*run, epochs=work.epochs))
        self.alive.add(made)
        return made, None


def study(directory, methods, seeds, **changes):
    """Writes the files of a study."""
    config = json.loads(json.dumps({name: {} for name in methods}))
    place = records.Place(directory)
    records.write(place.study, {"version": records.VERSION, "methods": config})
    for method in methods:
        for seed in seeds:
            records.write(place.run(method, seed), record(method, seed, **changes))
