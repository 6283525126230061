"""Processes that are killed at random points and started again by the same command.

The points are numbers of events: a batch or an epoch begins or ends, before or after
all other callbacks; a model file is written, up to any byte of it. However often a run
is killed, it must end with the bits of the run that never was. `ModelCheckpoint` does
not save the random state of dropout; `test_backup` has one.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import unittest.mock
import zipfile

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import audit
from tests import helpers

resource = pytest.importorskip("resource", reason="no SIGKILL")

ROOT = pathlib.Path(__file__).parents[2]
EPOCHS = 9
WITHIN = (0, 5_000, 20_000)  # bytes of a weights file


def plan():
    """A plateau, connections that move, a ramp, values to go back to, random ones."""
    until = dsd.phases.Plateau("loss", patience=1, min_delta=100.0)
    return [
        dsd.phases.Dense(4, until=until),
        dsd.phases.Sparse(2, sparsity=0.6, regrowth="rigl", update_every=2),
        dsd.phases.Redense(1, restore="rewind"),
        dsd.phases.Sparse(
            2, sparsity=0.5, schedule="cubic", update_every=2, lr_factor=0.5
        ),
        dsd.phases.Redense(1, restore="random"),
    ]


def new_model():
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    model = helpers.mlp(kernel_regularizer="l2")
    dsd.make_prunable(model, track_gradients=True)
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=eager())
    return model


def eager():
    return keras.backend.backend() == "tensorflow"  # traces nothing: less to wait for


class Events:
    """Counts what happens, and at one number ends the process."""

    def __init__(self, last=None):
        self.number, self.last = 0, last
        self.within = []

    def happens(self, *args, **kwargs):
        self.number += 1
        if self.number == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def callback(self):
        names = ("epoch_begin", "epoch_end", "train_batch_begin", "train_batch_end")
        return keras.callbacks.LambdaCallback(
            **{f"on_{name}": self.happens for name in names}
        )

    def limit(self, size):
        """Kills when a byte beyond `size` is written to any file, within that call."""
        self.number += 1
        self.within.append(self.number)
        if self.number == self.last:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    @contextlib.contextmanager
    def in_model_files(self):
        writestr, save = zipfile.ZipFile.writestr, keras.Model.save_weights

        def write_piece(*args, **kwargs):
            self.happens()
            return writestr(*args, **kwargs)

        def save_weights(model, path):
            for size in WITHIN:
                self.limit(size)
            return save(model, path)

        with (
            unittest.mock.patch.object(zipfile.ZipFile, "writestr", write_piece),
            unittest.mock.patch.object(keras.Model, "save_weights", save_weights),
        ):
            yield


def by_backup(folder):
    """Returns what the command of a run does first: model, epoch, callback."""
    return new_model(), 0, dsd.Backup(folder / "run.weights.h5", verbose=0)


def by_checkpoint(folder):
    """The same with `ModelCheckpoint`: the last file that is whole, and its epoch."""
    saver = keras.callbacks.ModelCheckpoint(str(folder / "{epoch}.keras"))
    for epoch in reversed(range(1, EPOCHS + 1)):
        with contextlib.suppress(Exception):
            return keras.models.load_model(folder / f"{epoch}.keras"), epoch, saver
    return new_model(), 0, saver


ROUTES = {"backup": by_backup, "checkpoint": by_checkpoint}


def train(folder, route, last=None):
    """Runs the whole command; returns the trained values and the `Events`."""
    model, epoch, saver = ROUTES[route](folder)
    events = Events(last)
    x, y = helpers.data()
    callback = dsd.DSDCallback(plan(), verbose=0, audit=folder / "audit.jsonl")
    with events.in_model_files():
        model.fit(
            x,
            y,
            batch_size=24,
            initial_epoch=epoch,
            epochs=EPOCHS,
            shuffle=False,
            verbose=0,
            callbacks=[events.callback(), callback, saver, events.callback()],
        )
    # `position` knows that a run was resumed.
    weights = [v for v in model.variables if v.name != "position"]
    return helpers.values([*weights, *model.optimizer.variables]), events


RUN = """
import pathlib, sys
import numpy as np
from tests.training import test_killed as here
folder, route, last = sys.argv[1:]
values, _ = here.train(pathlib.Path(folder), route, int(last))
np.savez(folder + "/values.npz", *values)
"""


def run(folder, route, last):
    """Runs the command in a process of its own; returns how that ended."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, folder, route, str(last)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    ends = (0, -signal.SIGKILL, -signal.SIGXFSZ)
    assert done.returncode in ends, done.stderr[-3000:]
    return done.returncode


def kills(events):
    """Returns at which events to kill: within a write, then in what is left."""
    rng = np.random.default_rng([events.number, 4])
    anywhere = int(rng.integers(1, events.number // 2))
    early = [number for number in events.within if number < events.number * 2 // 3]
    return [int(rng.choice(early)), anywhere // 2] if early else [anywhere]


@pytest.mark.parametrize("route", ROUTES)
def test_killed_anywhere_and_started_again(route, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    expected, events = train(tmp_path / "whole", route)
    log = tmp_path / "whole" / "audit.jsonl"
    assert len(audit.read(log)) > 4
    ends = []
    for last in kills(events):
        ends.append(run(tmp_path / "killed", route, last))
        assert ends[-1] != 0
        left = tmp_path / "killed" / "audit.jsonl"
        if left.exists():  # whole lines, as far as the run has come
            assert log.read_bytes().startswith(left.read_bytes())
            audit.read(left)
    assert ends[0] == (-signal.SIGXFSZ if events.within else -signal.SIGKILL)
    assert run(tmp_path / "killed", route, 0) == 0
    with np.load(tmp_path / "killed" / "values.npz") as file:
        found = [file[name] for name in file.files]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "killed" / "audit.jsonl").read_bytes() == log.read_bytes()
