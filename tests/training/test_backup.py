"""`Backup`: what a kill leaves at every moment, and that it is enough to go on.

A kill leaves the files as they are. So the folder is looked at before and after every
call that Python makes while anything is written, and copied whenever it has changed;
from every copy the same command must go on with the bits that an epoch ended with and
with its part of the audit log. What lies between two copies, within one call, is cut
out of them. Processes that are really killed are in `test_killed`.
"""

import functools
import os
import pathlib
import sys
import unittest.mock

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import audit
from tests import helpers

pytestmark = pytest.mark.portable

LONG = 7  # epochs of `long`, of which the plateau leaves out one


def long():
    """A plateau, a ramp, values to go back to, connections that move, random ones."""
    until = dsd.phases.Plateau("loss", patience=1, min_delta=100.0)
    return [
        dsd.phases.Dense(3, until=until),
        dsd.phases.Sparse(2, sparsity=0.5, schedule="cubic", update_every=2),
        dsd.phases.Redense(1, restore="rewind"),
        dsd.phases.Sparse(1, sparsity=0.6, regrowth="rigl", update_every=2),
        dsd.phases.Redense(1, restore="random"),
    ]


def short():
    return dsd.phases.dsd(3, sparsity=0.5)


def new_model(units=16, optimizer="adam"):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(units, activation="relu", kernel_regularizer="l2"),
            keras.layers.Dropout(0.25, seed=1),
            keras.layers.Dense(4),
        ]
    )
    dsd.make_prunable(model, track_gradients=True)
    # Traces nothing: most runs here are short.
    model.compile(optimizer, "mse", run_eagerly=True)
    return model


class Stopped(keras.callbacks.Callback):
    """Ends training as `EarlyStopping` does, of which nothing is in the file."""

    def __init__(self, epoch):
        super().__init__()
        self.last = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.last:
            self.model.stop_training = True


ORDERS = {"after": (0, 1), "before": (1, 0)}  # where `Backup` stands


def command(
    folder, order="after", *others, first=(), model=None, epochs=3, phases=short
):
    """What is started again after each kill; returns the model and `History`."""
    model = model or new_model()
    x, y = helpers.data()
    callbacks = [
        dsd.DSDCallback(phases(), seed=3, verbose=0, audit=folder / "audit.jsonl"),
        dsd.Backup(folder / "run.weights.h5", verbose=0),
    ]
    history = model.fit(
        x,
        y,
        batch_size=24,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*first, *(callbacks[place] for place in ORDERS[order]), *others],
    )
    return model, history


def bits(model):
    """Returns everything that training has made; `position` knows of resumed runs."""
    kept = [v for v in model.variables if v.name != "position"]
    return helpers.values([*kept, *model.optimizer.variables])


def bits_between_epochs(model):
    """Returns the same but rates, which phases scale and give back in between."""
    kept = [*model.variables, *model.optimizer.variables]
    return helpers.values(
        [v for v in kept if v.name not in ("position", "learning_rate")]
    )


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


class Moments:
    """All that a folder has held, as {name: bytes}, while what writes was running."""

    WRITERS = (
        (dsd.Backup, "on_train_begin"),
        (dsd.Backup, "_save"),
        (audit.AuditLog, "begin"),
        (audit.AuditLog, "write"),
    )

    def __init__(self, folder):
        self.folder, self.held, self._seen = folder, [], None

    def look(self, *event):
        stats = [(entry, entry.stat()) for entry in os.scandir(self.folder)]
        seen = [(entry.name, s.st_size, s.st_mtime_ns) for entry, s in stats]
        if seen != self._seen:
            self._seen = seen
            held = {path.name: path.read_bytes() for path in self.folder.iterdir()}
            if held not in self.held:
                self.held.append(held)

    def watch(self, monkeypatch):
        for owner, name in self.WRITERS:
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, function):
        @functools.wraps(function)
        def run(*args, **kwargs):
            sys.setprofile(self.look)
            try:
                return function(*args, **kwargs)
            finally:
                sys.setprofile(None)
                self.look()

        return run

    def torn(self):
        """Returns what lay between two of them: a file of which a part was written."""
        found = []
        for before, after in zip(self.held[:-1], self.held[1:], strict=True):
            for name, new in after.items():
                old = before.get(name, b"")
                renamed = new in before.values()
                if len(new) > len(old) and new.startswith(old) and not renamed:
                    middle = (len(old) + len(new)) // 2
                    found.append({**after, name: new[:middle]})
        return found


def without_what_was_unfinished(states):
    """Leaves one of all states that differ in what an unfinished file holds."""
    kept = {}
    for state in states:
        key = tuple(
            (name, name.startswith("unfinished.") or state[name])
            for name in sorted(state)
        )
        kept.setdefault(key, state)
    return list(kept.values())


class Ends(keras.callbacks.Callback):
    """Records what every epoch ends with, {number of the next one: bits}."""

    def on_train_begin(self, logs=None):
        self.held = {}

    def on_epoch_end(self, epoch, logs=None):
        self.held[epoch + 1] = bits_between_epochs(self.model)


class Restored(Exception):
    """Ends `fit` before its first epoch."""

    @classmethod
    def callback(cls):
        def stop(epoch, logs):
            raise cls(epoch)

        return keras.callbacks.LambdaCallback(on_epoch_begin=stop)


def restored(folder, order, **options):
    """Starts the command; returns the epoch it would begin with, and the bits."""
    model = new_model()
    try:
        command(folder, order, first=[Restored.callback()], model=model, **options)
    except Restored as end:
        return end.args[0], bits_between_epochs(model)
    return None, bits(model)


def put(state, folder):
    folder.mkdir()
    for name, content in state.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.filterwarnings("ignore:.fit. ends with epoch")
@pytest.mark.parametrize("order", ORDERS)
def test_killed_at_every_moment(order, tmp_path, monkeypatch):
    run = {"phases": long, "epochs": LONG}
    folder = put({}, tmp_path / "whole")
    found, ends = Moments(folder), Ends()
    with monkeypatch.context() as patches:
        found.watch(patches)
        model, history = command(folder, order, ends, **run)
    assert history.history["dsd_phase"] == [0, 0, 1, 1, 2, 3, 4]
    ends.held[None] = bits(model)
    whole = (folder / "audit.jsonl").read_bytes()
    updates = audit.read(folder / "audit.jsonl")
    assert {update["phase"] for update in updates} == {1, 3}
    states = [*found.held, *found.torn()]
    assert len(states) > 20 * LONG
    states = without_what_was_unfinished(states)
    seen = []
    for number, state in enumerate(states):
        folder = put(state, tmp_path / str(number))
        epoch, now = restored(folder, order, **run)
        seen.append(epoch)
        if epoch == 0:
            assert "run.weights.h5" not in state
        else:
            assert_same(now, ends.held[epoch])
        if epoch is not None:  # what `DSDCallback` does as the epoch begins
            audit.AuditLog(folder / "audit.jsonl").begin(epoch or None)
        kept = [
            update for update in updates if epoch is None or update["epoch"] < epoch
        ]
        left = audit.read(folder / "audit.jsonl")
        assert left == kept
        assert {path.name for path in folder.iterdir()} == {*state} - {
            "unfinished.run.weights.h5",
            "unfinished.audit.jsonl",
        } | {"audit.jsonl"}
    # In order, and none left out: each kill costs an epoch at most.
    orderly = sorted(set(seen) - {None})
    assert orderly == list(range(LONG)) and None in seen
    # All the way from within an update's line.
    torn = without_what_was_unfinished(found.torn())
    state = next(state for state in torn if not state["audit.jsonl"].endswith(b"\n"))
    folder = put(state, tmp_path / "last")
    model, _ = command(folder, order, **run)
    assert_same(bits(model), ends.held[None])
    assert (folder / "audit.jsonl").read_bytes() == whole


def test_killed_while_the_log_is_cut(tmp_path, monkeypatch):
    """A run that goes on drops lines; killed then and started again, no other ones."""
    folder = put({}, tmp_path / "run")
    log = audit.AuditLog(folder / "audit.jsonl")
    mask = np.ones(4, bool)
    for epoch in range(6):
        weights = [audit.entry("kernel", mask, mask)]
        log.write(
            step=1, epoch=epoch, phase=0, drop_fraction=0, explored=1, weights=weights
        )
    expected = b"".join(log.path.read_bytes().splitlines(keepends=True)[:4])
    found = Moments(folder)
    with monkeypatch.context() as patches:
        found.watch(patches)
        log.begin(4)
    assert len(found.held) > 3
    for number, state in enumerate([*found.held, *found.torn()]):
        left = put(state, tmp_path / str(number)) / "audit.jsonl"
        audit.AuditLog(left).begin(4)
        assert left.read_bytes() == expected


@pytest.mark.parametrize("order", ORDERS)
def test_one_epoch_is_lost_at_most(order, tmp_path):
    """Killed in the last batch of an epoch, the run begins with that epoch."""

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.is_last = epoch == 1

        def on_train_batch_end(self, batch, logs=None):
            if self.is_last and batch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        command(tmp_path, order, Kill())
    _, history = command(tmp_path, order)
    assert history.epoch == [1, 2]


def test_a_run_that_was_ended_early_has_ended(tmp_path):
    model, history = command(tmp_path, "after", Stopped(1))
    assert history.epoch == [0, 1]
    epoch, found = restored(tmp_path, "after")
    assert epoch is None
    assert_same(found, bits(model))
    # More epochs are another command: the run goes on.
    with pytest.warns(UserWarning, match="will go on for 1 epochs more"):
        assert restored(tmp_path, "after", epochs=4)[0] == 2


def test_what_it_says(tmp_path, capsys):
    model, path = new_model(), tmp_path / "run.weights.h5"
    x, y = helpers.data()
    for epochs, said in [
        (2, ""),
        (3, "Backup: 2 of 3 epochs are trained already.\n"),
        (3, "Backup: training has come to its end already.\n"),
    ]:
        model.fit(x, y, epochs=epochs, verbose=0, callbacks=[dsd.Backup(path)])
        assert capsys.readouterr().out == said


def test_later_fits_begin_where_they_are_told(tmp_path):
    """Keras's own callback leaves its epoch to each later `fit` of the model."""
    command(tmp_path)
    model, history = command(tmp_path)
    assert history.epoch == []
    x, y = helpers.data()
    assert model.fit(x, y, epochs=2, verbose=0).epoch == [0, 1]


def test_a_plain_model_and_keras_itself(tmp_path):
    """No phases are needed, and `load_weights` reads the file."""
    path = tmp_path / "run.weights.h5"
    x, y = helpers.data()

    def train(epochs, *callbacks):
        keras.utils.set_random_seed(7)
        model = keras.Sequential(
            [
                keras.Input((12,)),
                keras.layers.Dropout(0.5, seed=1),
                keras.layers.Dense(4),
            ]
        )
        model.compile("adam", "mse")
        model.fit(
            x, y, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks)
        )
        return model

    expected = bits(train(4))
    train(2, dsd.Backup(path))
    model = train(4, dsd.Backup(path, verbose=0))
    assert_same(bits(model), expected)
    other = train(1)
    other.load_weights(path)
    assert_same(helpers.values(other.weights), helpers.values(model.weights))


class TwoOptimizers(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)
        self.own_optimizer = keras.optimizers.Adam(0.1)

    def call(self, x):
        return self.dense(x)


def test_optimizers_of_its_own_need_a_place(tmp_path):
    path = tmp_path / "run.weights.h5"
    x, y = helpers.data()

    def train(build, epochs):
        keras.utils.clear_session(free_memory=False)
        model = TwoOptimizers()
        model(x)
        if build:
            model.own_optimizer.build(model.trainable_variables)
        model.compile("sgd", "mse")
        step = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: model.own_optimizer.iterations.assign(
                epoch + 5
            )
        )
        callbacks = [step, dsd.Backup(path, verbose=0)]
        model.fit(x, y, epochs=epochs, verbose=0, callbacks=callbacks)
        return model

    train(True, 2)
    assert int(train(True, 2).own_optimizer.iterations) == 6
    with pytest.raises(ValueError, match=r"Received: \['own_optimizer'\]"):
        train(False, 2)


def test_bad_paths(tmp_path):
    for path in ("run.h5", "run.keras", tmp_path):
        with pytest.raises(ValueError, match=r"must end in '\.weights\.h5'.*Received"):
            dsd.Backup(path)
    with pytest.raises(ValueError, match=r"folder that exists\. Received"):
        dsd.Backup(tmp_path / "none" / "run.weights.h5")
    with pytest.raises(TypeError, match="Received: path=3"):
        dsd.Backup(3)


def refused(tmp_path, match, **others):
    model = new_model(**others)
    model.optimizer.build(model.trainable_variables)
    # A `DSDCallback` makes room for what it stores before any file is read.
    held = [*model.trainable_variables, *model.optimizer.variables]
    before = helpers.values(held)
    path = tmp_path / "run.weights.h5"
    content = path.read_bytes()
    with pytest.raises(ValueError, match=match) as error:
        command(tmp_path, model=model)
    assert str(error.value).endswith(f"Received: path={str(path)!r}")
    assert_same(helpers.values(held), before)
    assert path.read_bytes() == content


def test_files_of_another_run(tmp_path):
    command(tmp_path)
    match = "of another run.*'kernel .12, 16. float32', not 'kernel .12, 8. float32'"
    refused(tmp_path, match, units=8)
    refused(tmp_path, "of another run", optimizer="sgd")


def test_damaged_files(tmp_path, rng):
    command(tmp_path)
    path = tmp_path / "run.weights.h5"
    whole = path.read_bytes()
    flipped = []
    for place in (0, len(whole) - 1, *rng.integers(0, len(whole), 2)):
        new = bytearray(whole)
        new[place] ^= 1 << int(rng.integers(8))
        flipped.append(bytes(new))
    plain = tmp_path / "plain.weights.h5"
    new_model().save_weights(plain)
    for content in (b"", whole[:-1], whole + b"\0", plain.read_bytes()):
        flipped.append(content)
    for content in flipped:
        path.write_bytes(content)
        refused(tmp_path, "The file is damaged, or is no backup")


@pytest.mark.filterwarnings("ignore:.fit. ends with epoch")
def test_a_write_that_fails_leaves_the_file_before(tmp_path):
    """Say the disk is full: an error, but the old file is there."""
    command(tmp_path)
    path = tmp_path / "run.weights.h5"
    before = path.read_bytes()
    full = OSError(28, "No space left on device")
    with (
        unittest.mock.patch.object(os, "fsync", side_effect=full),
        pytest.raises(OSError, match="No space"),
    ):
        command(tmp_path, epochs=4)
    assert path.read_bytes() == before
    assert list(pathlib.Path(tmp_path).glob("unfinished*")) == []
