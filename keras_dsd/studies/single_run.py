"""One run of a study: build, train, measure. Returns the record that is written down.

Knows Keras, what a user of the library calls, and one task.
"""

import functools
import pathlib
import sys

import keras

from keras_dsd._shared import directions, keras_private
from keras_dsd.layers import conversion
from keras_dsd.layers.prunable import Prunable
from keras_dsd.studies import batches, measuring, records, task
from keras_dsd.studies.journal import Journal
from keras_dsd.training.backup import Backup
from keras_dsd.training.callback import DSDCallback

PARTS = ("train", "validation", "test")
BATCH_SIZE = 32  # as `fit` has it


def load_data(wanted):
    """Returns {part: data}: a `Dataset`, or a tuple of arrays.

    Raises:
        TypeError, ValueError: there are not three parts, or one is empty.
    """
    keras.utils.set_random_seed(0)  # the same for all runs, whatever `data` draws
    made = task.function(wanted, "data")()
    if isinstance(made, dict):
        made = tuple(made.get(part) for part in PARTS)
    if not isinstance(made, tuple) or len(made) != len(PARTS):
        raise TypeError(
            "`data` must return (train, validation, test), each (x, y), (x, y, sample "
            "weights) or a data set; validation may be None. "
            f"Received: {type(made).__name__} of {_length(made)}"
        )
    parts = dict(zip(PARTS, made, strict=True))
    for part, value in parts.items():
        if value is None and part != "validation":
            raise ValueError(f"`data` returned no {part} data. Received: {part}=None")
        if isinstance(value, (tuple, list)):
            parts[part] = tuple(value)
            try:
                batches.count(parts[part])
            except (TypeError, ValueError) as error:
                raise ValueError(f"{part} data: {error}") from error
    return parts


def make_model(work):
    """Returns the compiled, prunable (or plain) model of a task.

    Raises:
        TypeError, ValueError: `build` returns no model, or one that is prunable
            already, or one that nobody compiles.
    """
    keras.utils.set_random_seed(work.seed)
    model = task.function(work.build, "build")()
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`build` must return a `keras.Model`. Received: {type(model).__name__}"
        )
    if any(isinstance(layer, Prunable) for layer in keras_private.sublayers(model)):
        raise ValueError(
            "`build` must return a plain model; a method makes it prunable. "
            f"Received: model={model!r}"
        )
    if work.compile is not None:
        task.function(work.compile, "compile")(model)
    if not model.compiled:
        raise ValueError(
            "`build` must compile the model, or give `compile`. "
            f"Received: model={model!r}, not compiled"
        )
    if not model.built:
        raise ValueError(
            "`build` must return a model that is built: masks and equal starts need "
            f"weights. Received: model={model!r}"
        )
    if work.method.average is not None:
        model.optimizer.use_ema = True
        model.optimizer.ema_momentum = work.method.average
    digest = measuring.digest(model.weights)
    if work.method.phases:
        model = conversion.make_prunable(
            model,
            track_gradients=work.method.track_gradients,
            **(work.method.wrap or {}),
        )
    return model, digest


def run(work, tell=None):
    """Trains and measures.

    Args:
        work: a `task.Task`.
        tell: called with the number of epochs behind, as each ends. Defaults to
            `None`.

    Returns:
        The record: a dict that JSON can hold.
    """
    folder = records.Place(pathlib.Path(work.directory)).progress(work.name, work.seed)
    folder.mkdir(parents=True, exist_ok=True)
    data = load_data(work.data)
    model, digest = make_model(work)
    fit = dict(work.fit)
    size = fit.pop("batch_size", None) or BATCH_SIZE
    train, order = data["train"], None
    if isinstance(train, tuple):
        order = batches.Batches(train, size, work.seed)
        train = order
    metric, mode = choose_metric(model, data, work, size)
    monitor = f"val_{metric}" if data["validation"] is not None else None
    average = keras.callbacks.SwapEMAWeights() if work.method.average else None
    grows = directions.grows(metric, mode)
    journal = Journal(folder, order, monitor, grows, average, tell)
    callbacks = _callbacks(work, fit, order, average, journal, folder)
    model.fit(
        train,
        validation_data=_held_out(data["validation"], size),
        epochs=work.epochs,
        callbacks=callbacks,
        verbose=0,
        **fit,
    )
    if average:
        # On JAX weight and average are now one buffer, which the next call of the model
        # would give away for both.
        for variable in model.trainable_variables:
            variable.assign(keras.ops.convert_to_numpy(variable).copy())
    if work.method.phases:
        model = conversion.strip(model)
    return {
        "version": records.VERSION,
        "method": work.name,
        "seed": work.seed,
        "epochs": work.epochs,
        "metric": metric,
        "grows": grows,
        "resolution": measuring.resolution(metric, data["test"]),
        "initial_weights": digest,
        "first_batches": order.digest() if order else None,
        **_measured(model, data, size, work, journal),
    }


def _measured(model, data, size, work, journal):
    """Returns what is measured after training; the model ends with the best weights."""
    measure = functools.partial(measuring.metrics, model, data, size)
    found = {
        "last": measure(),
        "mean_of_last": measuring.mean_of_last(journal.epochs, work.last),
    }
    record = {
        "history": [epoch["logs"] for epoch in journal.epochs],
        "seconds": [epoch["seconds"] for epoch in journal.epochs],
        "drawn": [epoch["drawn"] for epoch in journal.epochs],
        "model": measuring.deployed(model, data["test"]),
        "classes": measuring.classes(model, data["test"], size),
        "robustness": measuring.robustness(model, data["test"], work.robustness),
        "machine": measuring.machine(),
    }
    if journal.monitor and journal.best_file.exists():
        model.load_weights(journal.best_file)
        found["best"] = {**measure(), "epoch": journal.best_epoch}
    return {**record, "metrics": found}


def choose_metric(model, data, work, size):
    """Returns (the metric's name in logs, its mode), after a look at one batch.

    Raises:
        ValueError: labels do not fit the loss, or there is no metric of that name.
    """
    one = data["test"]
    if isinstance(one, tuple):
        one = keras.tree.map_structure(lambda array: array[:size], one)
        found = model.test_on_batch(*one, return_dict=True)
    else:
        found = model.test_on_batch(*next(iter(one)), return_dict=True)
    known = [name for name in found if name != "loss"]
    metric = work.metric or (known[0] if known else "loss")
    if metric not in found:
        raise ValueError(
            f"There is no such metric. Known: {sorted(found)}. "
            f"Received: metric={metric!r}"
        )
    model.reset_metrics()
    return metric, work.mode


def _callbacks(work, fit, order, average, journal, folder):
    made = [batches.Draws(work.seed, order)]
    if work.method.phases:
        made.append(DSDCallback(list(work.method.phases), seed=work.seed, verbose=0))
    for name, wanted in (
        ("fit['callbacks']", fit.pop("callbacks", None)),
        ("method.callbacks", work.method.callbacks),
    ):
        if wanted is not None:
            made += task.function(wanted, name)()
    if average:
        made.append(average)
    backup = Backup(folder / "run.weights.h5", verbose=0)
    return [*made, journal, backup]


def _held_out(data, size):
    # In batches of a fixed order, so that metrics which depend on batches are the same.
    return batches.in_order(data, size) if isinstance(data, tuple) else data


def _length(value):
    return len(value) if hasattr(value, "__len__") else "unknown length"


def main(work_path, record_path):
    """Makes the run that a file describes, and writes its record to another."""
    work = task.Task.from_bytes(pathlib.Path(work_path).read_bytes())
    records.write(
        pathlib.Path(record_path),
        run(work, tell=lambda epochs: print(f"EPOCH {epochs}", flush=True)),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
