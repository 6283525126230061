"""`analysis.Snapshots`: what it keeps, what a kill leaves of it, what is refused."""

import copy
import shutil

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import analysis, audit
from keras_dsd.analysis import snapshots
from keras_dsd.analysis._shared import pieces
from keras_dsd.analysis.recording import snapshot_files, snapshot_folder
from keras_dsd.layers import conversion
from tests import helpers


def new_model(units=16, run_eagerly=True):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    model = dsd.make_prunable(helpers.mlp(units=units))
    model.compile("adam", "mse", run_eagerly=run_eagerly)  # traces nothing
    return model


class Seen(keras.callbacks.Callback):
    """What weights and masks are at every epoch's end and at its first batch."""

    def __init__(self):
        super().__init__()
        self.held = {}

    def look(self, *moment):
        pruned = conversion.pruned_weights(self.model)
        paths = [weight.path for weight in pruned]
        masks = helpers.masks_of(self.model)
        if not conversion.states(self.model)[0].in_force:
            masks = [np.ones_like(mask) for mask in masks]
        values = helpers.values([weight.variable for weight in pruned])
        self.held[moment] = (
            dict(zip(paths, masks, strict=True)),
            dict(zip(paths, values, strict=True)),
        )

    def on_train_begin(self, logs=None):
        self.look("before", 0)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.look("begin", self.epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.look("end", epoch)


def train(model, kept, plan, *others, epochs=5, first=False, **options):
    callbacks = [dsd.DSDCallback(plan, verbose=0), *others]
    callbacks.insert(0 if first else 1, kept)
    x, y = helpers.data()
    return model.fit(
        x,
        y,
        batch_size=16,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **options,
    )


def assert_same(found, expected):
    assert list(found) == list(expected)
    for path in found:
        np.testing.assert_array_equal(found[path], expected[path])


def plan(**sparse):
    return [
        dsd.phases.Dense(2),
        dsd.phases.Sparse(2, sparsity=0.3, **sparse),
        dsd.phases.Redense(1),
    ]


BOUNDARIES = [
    ("before pruning", "end", 1, 0, 8),
    ("after pruning", "begin", 2, 1, 8),
    ("end of sparse", "end", 3, 1, 16),
    ("end", "end", 4, 2, 20),
]


@pytest.mark.parametrize("first", [False, True])
def test_masks_and_weights_are_those_of_the_boundaries(first, tmp_path, capsys):
    model, seen = new_model(), Seen()
    kept = analysis.Snapshots(tmp_path / "kept")
    train(model, kept, plan(), seen, first=first)
    moments = snapshots.read(tmp_path / "kept")
    told = [(m.label, m.at, m.epoch, m.phase, m.step) for m in moments]
    assert told == BOUNDARIES
    for moment in moments:
        masks, values = seen.held[moment.at, moment.epoch]
        assert_same(moment.masks, masks)
        assert_same(moment.weights, values)
        assert moment.masked == (moment.phase == 1)
    assert all(mask.dtype == bool for mask in moments[1].masks.values())
    # What was told beforehand is what the files take, but for notes and indices.
    needs = kept.needs(model)
    assert needs["masks"] == (12 * 16 + 16 * 4) // 8 and needs["weights"] == 4 * 256
    assert needs["boundary"] == needs["masks"] + needs["weights"]
    assert f"{needs['boundary'] / 1000:.1f} kB" in capsys.readouterr().out


@pytest.mark.parametrize(
    "unit, every, weights",
    [("epochs", 2, True), ("steps", 3, "boundaries"), ("steps", 10, False)],
)
def test_moments_in_between(unit, every, weights, tmp_path):
    log = tmp_path / "audit.jsonl"
    model = new_model(run_eagerly=False)
    kept = analysis.Snapshots(
        tmp_path, every=every, unit=unit, weights=weights, verbose=0
    )
    x, y = helpers.data()
    phases = plan(regrowth="set", update_every=3)
    callbacks = [dsd.DSDCallback(phases, audit=log, verbose=0), kept]
    model.fit(x, y, batch_size=16, epochs=5, verbose=0, callbacks=callbacks)
    moments = snapshots.read(tmp_path)
    at = [(moment.at, moment.step) for moment in moments]
    boundaries = [("end", 8), ("begin", 8), ("end", 16), ("end", 20)]
    # What is a boundary too is kept once.
    steps = {2: (), 3: (3, 6, 9, 12, 15, 18), 10: (10,)}[every]
    within = [("within", step) for step in steps]
    assert sorted(at) == sorted(boundaries + within)
    for moment in moments:
        has_weights = weights is True or (weights and moment.at != "within")
        assert bool(moment.precision) == bool(has_weights)
        if not has_weights:
            with pytest.raises(ValueError, match="Received: moment"):
                moment.weights  # noqa: B018
    # Masks are those of the log, to the bit.
    updates = audit.read(log)
    for moment in moments:
        before = [one for one in updates if one["step"] <= moment.step]
        for one in before[-1]["weights"] if moment.masked else ():
            mask = moment.mask(one["path"])
            assert audit.entry(one["path"], mask, mask)["sha256"] == one["sha256"]


def test_a_run_that_begins_sparse_has_what_was_before(tmp_path):
    model, seen = new_model(), Seen()
    sparse = [dsd.phases.Sparse(2, sparsity=0.5)]
    train(model, analysis.Snapshots(tmp_path, verbose=0), sparse, seen, epochs=2)
    moments = snapshots.read(tmp_path)
    assert [m.label for m in moments] == ["before pruning", "after pruning", "end"]
    assert_same(moments[0].weights, seen.held["before", 0][1])
    assert moments[0].phase is None and not moments[0].masked


class Killed(Exception):
    pass


def killed(at, epoch):
    def kill(*arguments, **options):
        if epoch in (None, *arguments[:1]):
            raise Killed

    return keras.callbacks.LambdaCallback(**{at: kill})


def command(folder, order, kill):
    """What is started again after a kill; returns the moments of the run."""
    callbacks = {
        "dsd": dsd.DSDCallback(plan(), verbose=0),
        "kept": analysis.Snapshots(folder / "kept", every=1, weights=True, verbose=0),
        "backup": dsd.Backup(folder / "run.weights.h5", verbose=0),
        "kill": kill,
    }
    x, y = helpers.data()
    chosen = [callbacks[name] for name in order.split()]
    options = {"batch_size": 16, "epochs": 5, "shuffle": False, "verbose": 0}
    new_model().fit(x, y, callbacks=chosen, **options)
    return snapshots.read(folder / "kept")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The moments of a run in one go."""
    return command(tmp_path_factory.mktemp("whole"), "dsd kept", None)


@pytest.mark.parametrize(
    "order, at, epoch",
    [
        ("dsd kept backup kill", "on_epoch_begin", 3),
        ("dsd kept kill backup", "on_epoch_end", 1),
        ("kept dsd backup kill", "on_epoch_end", 1),
        ("dsd backup kill kept", "on_epoch_end", 1),
        ("dsd backup kill kept", "on_train_end", None),
    ],
)
def test_a_run_that_was_killed_goes_on(order, at, epoch, whole, tmp_path):
    """Whatever of it is repeated, the snapshots are those of the run in one go."""
    with pytest.raises(Killed):
        command(tmp_path, order, killed(at, epoch))
    run = snapshots.read(tmp_path / "kept")[0].run
    again = command(tmp_path, order, keras.callbacks.Callback())
    assert {moment.run for moment in again} == {run}
    told = [[(m.label, m.at, m.epoch, m.step) for m in one] for one in (whole, again)]
    assert told[0] == told[1]
    for one, other in zip(whole, again, strict=True):
        assert_same(one.masks, other.masks)
        assert_same(one.weights, other.weights)
    # Trained to its end: nothing is trained, and nothing lost.
    assert command(tmp_path, order, keras.callbacks.Callback()) == again
    assert not list((tmp_path / "kept").glob("*unfinished*"))


def test_what_is_of_epochs_to_be_repeated_goes(whole, tmp_path):
    shutil.copytree(whole[0].file.parent, tmp_path / "kept")
    notes = snapshot_files.read_notes(whole[-1].file)
    (digest,) = notes["journal"]["2"]
    folder = snapshot_folder.Folder(tmp_path / "kept")
    folder.begin(3, list(whole[0].shapes.items()), digest)
    left = snapshots.read(tmp_path / "kept")
    expected = [moment for moment in whole if moment.epoch < 3]
    assert 0 < len(expected) < len(whole)
    assert [(m.at, m.step) for m in left] == [(m.at, m.step) for m in expected]
    assert folder.run == whole[0].run and folder.last is None


def test_runs_are_not_mixed(tmp_path):
    kept = analysis.Snapshots(tmp_path, verbose=0)
    model = new_model()
    train(model, kept, plan())
    before = snapshots.read(tmp_path)
    # Goes on: the end becomes that of a phase, or not.
    longer = [*plan()[:2], dsd.phases.Redense(1), dsd.phases.Sparse(1, sparsity=0.5)]
    train(model, kept, longer, epochs=6, initial_epoch=5)
    after = snapshots.read(tmp_path)
    assert [m.label for m in after[3:]] == ["before pruning", "after pruning", "end"]
    assert after[0].run == before[0].run
    # Another model, and another run of an equal one, at an epoch that is not theirs.
    for other in (new_model(units=8), new_model()):
        with pytest.raises(ValueError, match=r"another run.*Received: directory="):
            train(other, kept, plan(), epochs=6, initial_epoch=5)
    assert snapshots.read(tmp_path) == after
    assert not list(tmp_path.glob("*unfinished*"))
    # From the start: a new run.
    train(new_model(units=8), kept, plan()[:1], epochs=2)
    (only,) = snapshots.read(tmp_path)
    assert only.run != before[0].run and only.label == "end"


def test_a_model_without_phases(tmp_path):
    model, kept = new_model(), analysis.Snapshots(tmp_path, every=2, verbose=0)
    model.fit(*helpers.data(), epochs=3, verbose=0, callbacks=[kept])
    told = [(m.label, m.phase) for m in snapshots.read(tmp_path)]
    assert told == [("after epoch 2", None), ("end", None)]


@pytest.mark.one_backend
def test_half_precision_keeps_zeros_apart(tmp_path):
    model = new_model()
    kernel = model.layers[0].kernel
    values = np.array(keras.ops.convert_to_numpy(kernel))
    values[0, :4] = [0.0, 1e-12, -1e-12, 1e9]
    kernel.assign(values)
    model.optimizer.learning_rate = 0.0
    kept = analysis.Snapshots(tmp_path, precision="float16", verbose=0)
    model.fit(*helpers.data(), verbose=0, callbacks=[kept])
    (moment,) = snapshots.read(tmp_path)
    found = moment.weights[moment.paths[0]]
    assert found.dtype == "float16"
    assert found[0, :4].tolist() == [0.0, 2.0**-24, -(2.0**-24), 65504.0]
    np.testing.assert_array_equal(found[1:], values[1:].astype("float16"))


@pytest.mark.one_backend
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (7, 3), (3, 4, 5), (2, 1, 3, 4)])
@pytest.mark.parametrize("at_most", [1, 7, 12, 1000])
def test_pieces_are_the_whole_in_order(shape, at_most):
    values = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    for source in (values, keras.ops.convert_to_tensor(values)):
        parts = list(pieces.of(source, at_most))
        assert all(part.size <= at_most for part in parts)
        found = np.concatenate([values.ravel()[:0], *parts])
        np.testing.assert_array_equal(found, values.ravel())
    bits = list(snapshot_files.packed(pieces.of(values % 3 == 0, at_most)))
    expected = np.packbits(values % 3 == 0, axis=None)
    np.testing.assert_array_equal(np.concatenate(bits), expected)


@pytest.mark.one_backend
def test_what_is_no_run_is_refused(tmp_path):
    kept = tmp_path / "kept"
    train(new_model(), analysis.Snapshots(kept, verbose=0), plan())
    good = {path: path.read_bytes() for path in snapshots.listed(kept)}
    moments = snapshots.read(kept)
    for path, content in good.items():
        for bad in (b"", b"text", content[:-1], content[: len(content) // 2]):
            path.write_bytes(bad)
            with pytest.raises(ValueError, match=r"damaged.*Received: path="):
                snapshots.read(kept)
        path.write_bytes(content)
    assert snapshots.read(kept) == moments
    # A bit has flipped in a weight.
    path = moments[0].file
    values = moments[0].weights[moments[0].paths[0]]
    place = good[path].index(values.tobytes()[:64])
    flipped = bytearray(good[path])
    flipped[place] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(ValueError, match=r"damaged.*Received: path="):
        snapshots.read(kept)[0].weights[moments[0].paths[0]]
    path.write_bytes(good[path])
    # Of another run.
    train(new_model(), analysis.Snapshots(tmp_path / "other", verbose=0), plan())
    foreign = snapshots.read(tmp_path / "other")[1].file
    (kept / f"x{foreign.name}").write_bytes(foreign.read_bytes())
    with pytest.raises(ValueError, match=r"more than one run.*Received: directory="):
        snapshots.read(kept)
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match="Received: directory="):
            snapshots.read(folder)
    for ask in (moments[0].mask, lambda path: list(moments[0].pieces(path))):
        with pytest.raises(ValueError, match="Received: path='nothing'"):
            ask("nothing")
    with pytest.raises(KeyError):
        moments[0].weights["nothing"]
    assert len(moments[0].weights) == 2


@pytest.mark.one_backend
def test_arguments(tmp_path):
    for changes, received in (
        ({"directory": 3}, "Received: path=3"),
        ({"directory": tmp_path / "no" / "where"}, "Received: directory="),
        ({"every": 0}, "Received: every=0"),
        ({"every": 1.5}, "Received: every=1.5"),
        ({"unit": "batches"}, "Received: unit='batches'"),
        ({"weights": "some"}, "Received: weights='some'"),
        ({"precision": "int8"}, "Received: precision='int8'"),
        ({"verbose": -1}, "Received: verbose=-1"),
    ):
        with pytest.raises((TypeError, ValueError), match=received):
            analysis.Snapshots(**{"directory": tmp_path, **changes})
    kept = analysis.Snapshots(tmp_path / "kept", every=3, precision="float16")
    saved = keras.saving.serialize_keras_object(kept)
    again = keras.saving.deserialize_keras_object(saved)
    assert again.get_config() == kept.get_config() == copy.copy(kept).get_config()
    plain = helpers.mlp()
    plain.compile("adam", "mse")
    with pytest.raises(ValueError, match="Received: model="):
        plain.fit(*helpers.data(), verbose=0, callbacks=[kept])
    assert not (tmp_path / "kept").exists()
