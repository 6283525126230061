"""A look at a study before anything is trained: does `build` build, do the data fit?

Runs in a process of its own, for Keras and the model need memory that the parent of a
hundred runs must not hold. Knows one task.
"""

import pathlib
import sys
import time

import keras
import numpy as np

from keras_dsd.studies import batches, records, single_run, task


def look(work):
    """Returns what a study will work on, after all that can be checked was.

    Returns:
        dict: `parameters`, `metric`, `items` by part, and `epoch_seconds` if the
        task's `epochs` is 0: then one epoch is trained, and a second one timed.
    """
    data = single_run.load_data(work.data)
    build = task.function(work.build, "build")
    if build() is build():
        raise ValueError(
            "`build` must make a new model each time it is called. Received: the same "
            "object twice"
        )
    model, _ = single_run.make_model(work)
    size = work.fit.get("batch_size") or single_run.BATCH_SIZE
    check_labels(model, data)
    metric, _ = single_run.choose_metric(model, data, work, size)
    found = {
        "version": records.VERSION,
        "parameters": int(model.count_params()),
        "metric": metric,
        "items": {
            part: batches.count(value) if isinstance(value, tuple) else None
            for part, value in data.items()
            if value is not None
        },
    }
    if work.epochs == 0:
        found["epoch_seconds"] = _epoch_seconds(model, data, work, size)
    return found


def check_labels(model, data):
    """Checks that each integer label names an output of the model.

    One batch might not show it, and JAX goes on with labels that name none.

    Raises:
        ValueError: one does not.
    """
    outputs = getattr(model, "output_shape", None)
    loss = keras.losses.get(model.loss) if isinstance(model.loss, str) else model.loss
    sparse = (
        keras.losses.SparseCategoricalCrossentropy,
        keras.losses.sparse_categorical_crossentropy,
    )
    if not isinstance(outputs, tuple) or not (
        loss == sparse[1] or isinstance(loss, sparse[0])
    ):
        return
    for part, value in data.items():
        if isinstance(value, tuple) and hasattr(value[1], "shape"):
            low, high = np.min(value[1]), np.max(value[1])
            if low < 0 or high >= outputs[-1]:
                raise ValueError(
                    f"The labels of the {part} data must be 0 to {outputs[-1] - 1}, "
                    "one for each output of the model. "
                    f"Received: labels {low} to {high}"
                )


def _epoch_seconds(model, data, work, size):
    train = data["train"]
    if isinstance(train, tuple):
        train = batches.Batches(train, size, work.seed)
    fit = {key: value for key, value in work.fit.items() if key != "callbacks"}
    fit.pop("batch_size", None)
    times = _Times()
    held_out = data["validation"]
    if isinstance(held_out, tuple):
        held_out = batches.in_order(held_out, size)
    model.fit(
        train, validation_data=held_out, epochs=2, verbose=0, callbacks=[times], **fit
    )
    return times.seconds[-1]


class _Times(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def main(work_path, record_path):
    """Looks at the task that a file describes; writes what it found to another."""
    work = task.Task.from_bytes(pathlib.Path(work_path).read_bytes())
    records.write(pathlib.Path(record_path), look(work))


if __name__ == "__main__":
    main(*sys.argv[1:])
