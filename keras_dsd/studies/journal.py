"""The journal of a run: its epochs, times, draws, and the weights of the best of them.

Lies in the folder of the unfinished run, so that one that was killed knows what it has
behind it. Knows Keras's callbacks; knows no method.
"""

import time

import keras

from keras_dsd._shared import files, keras_private
from keras_dsd.studies import batches, records


class Journal(keras.callbacks.Callback):
    """Keeps logs, times and draws of all epochs, and the best epoch's weights.

    Args:
        folder: of the unfinished run.
        order: the `batches.Batches` that are trained on, or `None`.
        monitor: key of the logs that chooses the best epoch, or `None`: none is kept.
        grows: whether more of it is better.
        average: a `keras.callbacks.SwapEMAWeights` if averaged weights are what counts.
        tell: called with the number of epochs that are over, as each ends.
    """

    def __init__(self, folder, order, monitor, grows, average=None, tell=None):
        super().__init__()
        self.file = folder / "journal.json"
        self.best_file = folder / "best.weights.h5"
        self.order = order
        self.monitor, self.grows = monitor, grows
        self.average, self.tell = average, tell
        self.epochs = []
        if self.file.exists():
            self.epochs = records.read(self.file)["epochs"]
        self.begun = False

    def on_epoch_begin(self, epoch, logs=None):
        """Forgets epochs that a killed run had behind it and trains once more."""
        if not self.begun:
            self.epochs = self.epochs[:epoch]
            self.begun = True
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Writes the epoch down."""
        seconds = time.perf_counter() - self.start
        logs = {key: float(value) for key, value in (logs or {}).items()}
        drawn = batches.drawn(self.model, self.order)
        self.epochs.append({"logs": logs, "seconds": seconds, "drawn": drawn})
        if self.monitor and self.best_epoch == epoch:
            self._save()
        records.write(self.file, {"version": records.VERSION, "epochs": self.epochs})
        if self.tell:
            self.tell(epoch + 1)

    @property
    def best_epoch(self):
        """Index of the best epoch, the first of equals; `None` if none counts."""
        if not self.monitor:
            return None
        sign = -1 if self.grows else 1
        values = [
            (sign * epoch["logs"][self.monitor], index)
            for index, epoch in enumerate(self.epochs)
            if epoch["logs"].get(self.monitor, float("nan"))
            == epoch["logs"].get(self.monitor)
        ]
        return min(values)[1] if values else None

    def _save(self):
        # While a test runs, `SwapEMAWeights` has the averages in the model.
        if self.average:
            self.average.on_test_begin()
        with files.replacing(self.best_file) as beside:
            self.model.save_weights(beside)
        if self.average:
            self.average.on_test_end()
            keras_private.keep_written(self.model)
