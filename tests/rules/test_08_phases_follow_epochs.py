"""Rule 8: phases follow epoch numbers and what is stored, not how often `fit` ran.

A run that is cut anywhere and resumed must give the bits of the run that never was.
The models have no dropout: Keras itself does not restore the state of its generators
from a weights file.
"""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers

ROOT = pathlib.Path(__file__).parents[2]
BATCHES = 3  # of an epoch: 64 samples, 24 each


def simple():
    return [
        dsd.phases.Dense(2),
        dsd.phases.Sparse(2, sparsity=0.5),
        dsd.phases.Redense(2),
    ]


def cubic():
    return [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(3, sparsity=0.8, schedule="cubic", update_every=2),
        dsd.phases.Redense(2, restore="rewind"),
    ]


def cycles():
    last = dsd.phases.Sparse(1, sparsity=0.4, distribution="global")
    return [*dsd.phases.dsd(5, sparsity=0.4, cycles=2), last]


def plateau():
    # A metric that can't improve by so much ends each phase after its second epoch.
    until = dsd.phases.Plateau("loss", patience=1, min_delta=100.0)
    return [
        dsd.phases.Dense(5, until=until),
        dsd.phases.Sparse(5, sparsity=0.5, until=until),
        dsd.phases.Redense(2, restore="random"),
    ]


RUNS = {run.__name__: run for run in (simple, cubic, cycles, plateau)}


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def new_model(learning_rate=0.01, run_eagerly=False):
    """Returns what a new process would: same names, same start.

    Where many short runs follow each other, compiling them takes most of the time.
    """
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(10, activation="relu", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(4),
        ]
    )
    dsd.make_prunable(model)
    optimizer = keras.optimizers.Adam(learning_rate)
    model.compile(optimizer, "mse", run_eagerly=run_eagerly)
    return model


def fit(model, phases, *others, epochs=6, last=(), **options):
    x, y = helpers.data()
    history = model.fit(
        x,
        y,
        batch_size=24,
        epochs=epochs,
        shuffle=False,
        callbacks=[*others, dsd.DSDCallback(phases, seed=3, verbose=0), *last],
        verbose=0,
        **options,
    )
    return history.history


def kill_at(epoch, batch, end=None):
    """Returns a callback that ends everything at the end of a batch."""
    state = {}

    def stop(exception=Killed):
        if end:
            end()
        raise exception

    return keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: state.update(epoch=epoch),
        on_train_batch_end=lambda number, logs: (
            stop() if (state["epoch"], number) == (epoch, batch) else None
        ),
    )


def bits(model):
    """Returns everything that training has made: weights, masks, optimizer."""
    # `position` knows that a run was resumed.
    weights = [v for v in model.variables if v.name != "position"]
    return {
        "weights": helpers.values(weights),
        "optimizer": helpers.values(model.optimizer.variables),
    }


def assert_same_bits(one, other):
    for key, values in one.items():
        for a, b in zip(values, other[key], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=key)


def never_killed(phases, **options):
    model = new_model(**options)
    history = fit(model, phases)
    return bits(model), history


@pytest.mark.filterwarnings("ignore:.fit. ends with epoch")
@pytest.mark.parametrize("name", RUNS)
def test_killed_in_every_epoch_and_restored(name, tmp_path):
    options = {"run_eagerly": name in ("cycles", "plateau")}
    expected, history = never_killed(RUNS[name](), **options)
    epochs = len(history["loss"])
    phases_seen = set()
    for epoch in range(epochs):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        model = new_model(**options)
        with pytest.raises(Killed):
            fit(
                model,
                RUNS[name](),
                last=[backup, kill_at(epoch, epoch % BATCHES)],
            )
        phases_seen.add(conversion.states(model)[0].position.phase)
    model = new_model(**options)
    rest = fit(
        model,
        RUNS[name](),
        last=[keras.callbacks.BackupAndRestore(tmp_path / "backup")],
    )
    assert phases_seen == set(range(len(RUNS[name]())))
    assert rest["dsd_phase"] == history["dsd_phase"][epochs - 1 :]
    assert rest["sparsity"] == history["sparsity"][epochs - 1 :]
    assert_same_bits(bits(model), expected)


@pytest.mark.parametrize("name", ["simple", "cubic"])
def test_backup_listed_before_the_phases(name, tmp_path):
    """Not recommended, but where no plateau is watched it comes to the same."""
    expected, _ = never_killed(RUNS[name](), run_eagerly=True)
    for epoch in (*range(6), None):
        model = new_model(run_eagerly=True)
        others = [keras.callbacks.BackupAndRestore(tmp_path / "backup")]
        if epoch is None:
            fit(model, RUNS[name](), *others)
        else:
            with pytest.raises(Killed):
                fit(model, RUNS[name](), *others, last=[kill_at(epoch, 1)])
    assert_same_bits(bits(model), expected)


@pytest.mark.parametrize("when", ["batches", "checkpoint"])
@pytest.mark.parametrize("epoch", range(6))
def test_the_middle_of_an_epoch_is_repeated(epoch, when, tmp_path):
    """`save_freq` in batches restores into an epoch that has begun before."""
    file = tmp_path / "model.keras"
    if when == "batches":
        saver = keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1)
    else:
        saver = keras.callbacks.ModelCheckpoint(file, save_freq=1)
    model = new_model(run_eagerly=True)
    with pytest.raises(Killed):
        fit(model, cubic(), last=[saver, kill_at(epoch, 1)])
    if when == "batches":
        saver = keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1)
        resumed = new_model(run_eagerly=True)
        history = fit(resumed, cubic(), last=[saver])
    else:
        resumed = keras.models.load_model(file)
        history = fit(resumed, cubic(), initial_epoch=epoch)
    _, whole = never_killed(cubic(), run_eagerly=True)
    assert history["dsd_phase"] == whole["dsd_phase"][epoch:]
    assert history["sparsity"] == whole["sparsity"][epoch:]


@pytest.mark.filterwarnings("ignore:.fit. ends with epoch")
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("kind", ["keras", "weights.h5"])
def test_resumed_from_a_checkpoint(name, kind, tmp_path):
    """A new process loads what `ModelCheckpoint` wrote and goes on from that epoch."""
    expected, history = never_killed(RUNS[name](), run_eagerly=True)
    epochs = len(history["loss"])
    saver = keras.callbacks.ModelCheckpoint(
        str(tmp_path / f"{{epoch}}.{kind}"), save_weights_only=kind == "weights.h5"
    )
    fit(new_model(run_eagerly=True), RUNS[name](), last=[saver])
    for epoch in range(1, epochs, 2):
        file = tmp_path / f"{epoch}.{kind}"
        if kind == "keras":
            keras.utils.clear_session(free_memory=False)
            model = keras.models.load_model(file)
        else:
            model = new_model(run_eagerly=True)
            model.optimizer.build(model.trainable_variables)
            model.load_weights(file)
        rest = fit(model, RUNS[name](), initial_epoch=epoch)
        assert rest["dsd_phase"] == history["dsd_phase"][epoch:]
        assert_same_bits(bits(model), expected)


@pytest.mark.filterwarnings("ignore:.fit. ends with epoch")
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("same_callback", [True, False])
def test_fit_in_pieces(name, same_callback):
    """`fit` to epoch 1, from 1 to 2, ...: the same bits as in one go."""
    expected, history = never_killed(RUNS[name](), run_eagerly=True)
    model = new_model(run_eagerly=True)
    x, y = helpers.data()
    callback = dsd.DSDCallback(RUNS[name](), seed=3, verbose=0)
    seen = []
    for epoch in range(len(history["loss"])):
        if not same_callback:
            callback = dsd.DSDCallback(RUNS[name](), seed=3, verbose=0)
        piece = model.fit(
            x,
            y,
            batch_size=24,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            callbacks=[callback],
            verbose=0,
        )
        seen += piece.history["dsd_phase"]
    assert seen == history["dsd_phase"]
    assert_same_bits(bits(model), expected)


def test_initial_epoch_alone_chooses_the_phase():
    """A model that knows nothing of earlier epochs begins where it is told to."""
    with pytest.warns(UserWarning, match="1 epochs more"):
        history = fit(new_model(run_eagerly=True), simple(), initial_epoch=3, epochs=7)
    assert history["dsd_phase"] == [1.0, 2.0, 2.0, 2.0]
    assert history["sparsity"] == [0.5, 0.0, 0.0, 0.0]


def test_a_second_fit_from_epoch_0_is_a_new_run():
    model = new_model(run_eagerly=True)
    first = fit(model, simple())
    rate = float(np.float32(0.01))
    assert float(model.optimizer.learning_rate) == rate
    second = fit(model, simple())
    assert second["dsd_phase"] == first["dsd_phase"]
    assert second["sparsity"] == first["sparsity"]
    assert float(model.optimizer.learning_rate) == rate


def test_a_run_killed_in_its_first_epoch_is_not_mistaken_for_another():
    """Epoch 0 again, not finished: the learning rate is still that of its start."""
    model = new_model(run_eagerly=True)
    phases = [dsd.phases.Dense(1, lr_factor=0.5), dsd.phases.Sparse(1, sparsity=0.5)]
    with pytest.raises(Killed):
        fit(model, phases, last=[kill_at(0, 1)], epochs=2)
    fit(model, phases, epochs=2)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_other_phases_in_a_second_fit():
    """The list may change between two `fit`s: epochs are counted in the new one."""
    model = new_model(run_eagerly=True)
    fit(model, simple()[:2], epochs=4)
    phases = [*simple()[:2], dsd.phases.Sparse(2, sparsity=0.75)]
    history = fit(model, phases, initial_epoch=4)
    assert history["dsd_phase"] == [2.0, 2.0]
    assert history["sparsity"] == [0.75, 0.75]
    history = fit(model, simple()[:1], initial_epoch=0, epochs=2)
    assert history["dsd_phase"] == [0.0, 0.0]
    assert history["sparsity"] == [0.0, 0.0]


def interrupted(model, phases, epoch=0):
    with pytest.raises(Killed):
        fit(model, phases, last=[kill_at(epoch, 1)], epochs=9)


def masks_by_epoch(model, phases, **options):
    """Returns, for each epoch as it trains, (in force, fraction of zeros)."""
    seen = []

    def look(epoch, logs):
        masks = np.concatenate([mask.ravel() for mask in helpers.masks_of(model)])
        force = {state.in_force for state in conversion.states(model)}
        seen.append((*force, float(np.mean(~masks))))

    watch = keras.callbacks.LambdaCallback(on_epoch_begin=look)
    history = fit(model, phases, last=[watch], **options)
    assert history["sparsity"] == [zeros for _, zeros in seen]
    return seen


@pytest.mark.parametrize("epoch", [0, 1])
def test_interrupted_and_started_again_with_other_phases(epoch):
    """Stopped by hand, the list changed, `fit` again from 0: the new list holds."""
    sparse = dsd.phases.Sparse
    for second, expected in {
        "dense": ([dsd.phases.Dense(1), sparse(1, sparsity=0.5)], [0.0, 0.5]),
        "sparser": ([sparse(2, sparsity=0.75)], [0.75, 0.75]),
        "denser": ([sparse(2, sparsity=0.25)], [0.25, 0.25]),
    }.values():
        model = new_model(run_eagerly=True)
        interrupted(model, [sparse(3, sparsity=0.5), dsd.phases.Redense(3)], epoch)
        seen = masks_by_epoch(model, second, epochs=2)
        assert seen == [(bool(zeros), zeros) for zeros in expected]


def test_resumed_with_other_phases():
    """The phase that an epoch is in may have become another kind meanwhile."""
    model = new_model(run_eagerly=True)
    interrupted(model, [dsd.phases.Dense(2), dsd.phases.Sparse(4, sparsity=0.5)], 3)
    plan = [dsd.phases.Dense(4), dsd.phases.Sparse(2, sparsity=0.25)]
    seen = masks_by_epoch(model, plan, initial_epoch=3)
    assert seen == [(False, 0.0), (True, 0.25), (True, 0.25)]


@pytest.mark.filterwarnings("ignore:.fit. ends with epoch")
@pytest.mark.filterwarnings("error:Something has moved")  # slots are set back too
@pytest.mark.parametrize("best", range(4))
@pytest.mark.parametrize("end", [4, 6])
def test_weights_set_back_bring_their_phase(best, end):
    """`EarlyStopping(restore_best_weights=True)` leaves the phase of those weights."""
    plan = [
        dsd.phases.Dense(2),
        dsd.phases.Sparse(2, sparsity=0.5),
        dsd.phases.Redense(2, restore="random"),
    ]
    expected = [*2 * [(False, 0.0)], *2 * [(True, 0.5)], *2 * [(False, 0.0)]]
    model = new_model(run_eagerly=True)
    kept = []

    def keep(epoch, logs):
        if epoch == best:
            kept.extend(model.get_weights())

    keep = keras.callbacks.LambdaCallback(on_epoch_end=keep)
    fit(model, plan, last=[keep], epochs=end)
    model.set_weights(kept)
    seen = masks_by_epoch(model, plan, initial_epoch=best + 1)
    assert seen == expected[best + 1 :]


def test_a_fit_of_no_epochs_forgets_nothing():
    """A finished job that is started once more has nothing to do, and changes nothing.

    That it goes on later shows: the plateau has made the phases shorter.
    """
    expected, history = never_killed(plateau(), run_eagerly=True)
    model = new_model(run_eagerly=True)
    for initial, end in [(0, 3), (3, 3), (3, 5), (5, 5), (5, 6)]:
        fit(model, plateau(), initial_epoch=initial, epochs=end)
    assert_same_bits(bits(model), expected)
    assert len(history["loss"]) == 6


def decay():
    return keras.optimizers.schedules.ExponentialDecay(0.01, BATCHES, 0.5)


@pytest.mark.parametrize("rate", [0.01, decay], ids=["float", "schedule"])
@pytest.mark.parametrize("factors", [(None, None, 0.1), (2.0, 0.5, None)])
def test_learning_rates_follow_the_phases(rate, factors, tmp_path):
    """Killed in each phase and restored, every epoch trains at the rate it should."""
    phases = [
        dsd.phases.Dense(2, lr_factor=factors[0]),
        dsd.phases.Sparse(2, sparsity=0.5, lr_factor=factors[1]),
        dsd.phases.Redense(2, lr_factor=factors[2]),
    ]
    rates = {}

    def remember(epoch, logs):  # as the epoch has trained
        rates[epoch] = float(model.optimizer.learning_rate)

    for end in (0, 3, 5, None):
        model = new_model(rate() if callable(rate) else rate)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        watch = keras.callbacks.LambdaCallback(on_epoch_end=remember)
        if end is None:
            fit(model, phases, last=[backup, watch])
        else:
            with pytest.raises(Killed):
                fit(model, phases, last=[backup, watch, kill_at(end, 1)])
    factor, expected = 1.0, {}
    for epoch in range(6):
        factor = factors[epoch // 2] or factor
        base = float(decay()((epoch + 1) * BATCHES)) if callable(rate) else 0.01
        expected[epoch] = base * factor
    assert rates == pytest.approx(expected, rel=1e-5)
    if not callable(rate):
        assert float(model.optimizer.learning_rate) == pytest.approx(rate)
    if callable(rate):
        expected, _ = never_killed(phases, learning_rate=rate())
        assert_same_bits(bits(model), expected)
        # Afterwards the optimizer has its own schedule again.
        config = model.optimizer.get_config()["learning_rate"]
        assert config["class_name"] == "ExponentialDecay"


TRAIN = """
import os, signal, sys
from tests.rules import test_08_phases_follow_epochs as here
folder, epoch, batch, how = sys.argv[1:]
ends = {"exit": lambda: os._exit(9), "kill": lambda: os.kill(os.getpid(), 9)}
model = here.new_model()
backup = here.keras.callbacks.BackupAndRestore(folder + "/backup")
last = [backup]
if how in ends:
    last.append(here.kill_at(int(epoch), int(batch), ends[how]))
here.fit(model, here.everything(), last=last, epochs=8)
for key, values in here.bits(model).items():
    here.np.savez(f"{folder}/{key}.npz", *values)
"""


def everything():
    """A ramp within an epoch, a plateau, values to go back to, a changed rate."""
    until = dsd.phases.Plateau("loss", patience=1, min_delta=100.0)
    return [
        dsd.phases.Dense(4, until=until),
        dsd.phases.Sparse(
            3, sparsity=0.7, schedule="cubic", update_every=2, lr_factor=0.5
        ),
        dsd.phases.Redense(2, restore="rewind"),
    ]


@pytest.mark.one_backend  # a minute; `test_killed` does so on all
def test_killed_processes(tmp_path):
    """Real ends of real processes, in the middle of each phase, one after the other."""
    model = new_model()
    history = fit(model, everything(), epochs=8)
    assert history["dsd_phase"] == [0, 0, 1, 1, 1, 2, 2]
    expected = bits(model)
    for epoch, batch, how in [
        (1, 1, "exit"),
        (3, 2, "kill"),
        (5, 0, "exit"),
        (0, 0, "train to the end"),
    ]:
        done = subprocess.run(
            [sys.executable, "-c", TRAIN, tmp_path, str(epoch), str(batch), how],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        code = {"exit": 9, "kill": -9}.get(how, 0)
        assert done.returncode == code, done.stderr[-3000:]
    found = {}
    for key in expected:
        with np.load(tmp_path / f"{key}.npz") as file:
            found[key] = [file[name] for name in file.files]
    assert_same_bits(found, expected)
