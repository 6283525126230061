"""Connections that move during `fit`: gradients, timing, logs, resuming, refusals."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import audit, regrowth
from keras_dsd.layers import conversion
from tests import helpers, zoo

ROOT = pathlib.Path(__file__).parents[2]


def wrapped(track_gradients=True, optimizer="adam", compile_options=None, **dense):
    model = dsd.make_prunable(
        helpers.mlp(units=24, **dense), track_gradients=track_gradients
    )
    model.compile(optimizer, "mse", **(compile_options or {}))
    return model


def fit(model, plan, batch_size=8, callbacks=(), audit=None, seed=0, **options):
    x, y = helpers.data()
    options.setdefault("epochs", sum(phase.epochs for phase in plan))
    return model.fit(
        x,
        y,
        batch_size=batch_size,
        callbacks=[
            dsd.DSDCallback(plan, verbose=0, audit=audit, seed=seed),
            *callbacks,
        ],
        verbose=0,
        **options,
    ).history


class Analytic(keras.callbacks.Callback):
    """Computes by hand, in float64, the gradient that each batch's step will see."""

    def __init__(self, batch_size, mask=True):
        super().__init__()
        self.size = batch_size
        self.errors, self.largest = [], 0.0

    def on_train_batch_begin(self, batch, logs=None):
        _ = self.model
        w1, b1, w2, b2 = (
            value.astype("float64")
            for layer in self.model.layers
            for value in helpers.values([layer.kernel, layer.bias])
        )
        rows = slice(batch * self.size, (batch + 1) * self.size)
        x, y = (value[rows] for value in helpers.data())
        hidden = np.maximum(x @ w1 + b1, 0)
        error = 2 * (hidden @ w2 + b2 - y) / y.size
        back = (error @ w2.T) * (hidden > 0)
        self.expected = [x.T @ back, hidden.T @ error]

    def on_train_batch_end(self, batch, logs=None):
        _ = self.model
        one = keras.ops.ones(())
        scale = float(keras.ops.convert_to_numpy(self.model.optimizer.scale_loss(one)))
        for weight, want in zip(
            conversion.pruned_weights(self.model), self.expected, strict=True
        ):
            got = helpers.values([weight.gradient])[0] / scale
            self.errors.append(np.abs(got - want).max())
            self.largest = max(self.largest, np.abs(want).max())


@pytest.mark.parametrize(
    "optimizer, options, dtype, tolerance",
    [
        (lambda: keras.optimizers.SGD(0.1), {}, None, 1e-6),
        (lambda: keras.optimizers.SGD(0.1), {"jit_compile": False}, None, 1e-6),
        (lambda: keras.optimizers.Adam(global_clipnorm=1e-3), {}, None, 1e-6),
        (lambda: keras.optimizers.Adam(clipnorm=1e-3), {}, None, 1e-6),
        (
            lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
            {},
            "mixed_float16",
            2e-1,
        ),
        (lambda: keras.optimizers.Adam(), {}, "mixed_bfloat16", 2e-1),
    ],
    ids=["xla", "graph", "global clipnorm", "clipnorm", "float16", "bfloat16"],
)
def test_gradient_is_the_analytic_one(optimizer, options, dtype, tolerance):
    """Of the loss at the masked weights, for those that are masked too."""
    if dtype:
        keras.config.set_dtype_policy(dtype)
    model = wrapped(optimizer=optimizer(), compile_options=options)
    plan = [dsd.phases.Sparse(2, sparsity=0.5, regrowth="static")]
    analytic = Analytic(8)
    fit(model, plan, callbacks=[analytic], shuffle=False)
    assert max(analytic.errors) <= tolerance * max(analytic.largest, 1e-3)
    masks = helpers.masks_of(model)
    tracked = helpers.values([w.gradient for w in conversion.pruned_weights(model)])
    assert any(g[~mask].any() for g, mask in zip(tracked, masks, strict=True))


def test_tracking_changes_nothing_else():
    """The same weights to the bit, with the gradients tracked or not."""
    plan = [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(1, sparsity=0.5),
        dsd.phases.Dense(1),
    ]
    trained = []
    for track in (False, True):
        keras.utils.set_random_seed(3)
        model = wrapped(track_gradients=track)
        fit(model, plan)
        gradients = [w.gradient for w in conversion.pruned_weights(model)]
        if track:  # held at zero while the phase is dense
            assert not any(value.any() for value in helpers.values(gradients))
        trained.append(helpers.values(dsd.strip(model).weights))
    for one, two in zip(*trained, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-7)


def test_stripped_model_trains_on():
    """With the optimizer that it had, which no longer knows of the gradients."""
    model = wrapped()
    fit(model, dsd.phases.dst(1, "rigl", update_every=2))
    plain = dsd.strip(model)
    assert len(plain.trainable_variables) == 4
    x, y = helpers.data()
    plain.fit(x, y, verbose=0)
    assert len(plain.optimizer.variables) == 2 + 2 * 4  # nothing of the gradients


@pytest.mark.parametrize(
    "steps_per_execution", [1] if keras.backend.backend() == "torch" else [1, 3]
)
def test_when_and_how_much(tmp_path, steps_per_execution):
    """Due every so many steps from the phase's start, less each time, then never."""
    options = {"steps_per_execution": steps_per_execution}
    model = wrapped(compile_options=options)
    plan = [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(
            3,
            sparsity=0.5,
            regrowth=regrowth.RigL(drop_fraction=0.4, decay="linear", stop=0.5),
            update_every=4,
        ),
    ]
    fit(model, plan, audit=tmp_path / "run.jsonl")
    records = audit.read(tmp_path / "run.jsonl")
    # 8 steps an epoch: the phase has 24, and comes to rest after 12.
    fractions = [record["drop_fraction"] for record in records]
    assert fractions == pytest.approx([0.0, 0.4 * 2 / 3, 0.4 / 3])
    steps = [record["step"] for record in records]
    if steps_per_execution == 1:
        assert steps == [8, 12, 16]
    else:  # at the first end of an execution that is late enough
        assert steps == [8, 14, 16]
    assert {record["phase"] for record in records} == {1}


def test_once_an_epoch():
    plan = [dsd.phases.Sparse(4, sparsity=0.5, regrowth="set")]
    model = wrapped(track_gradients=False)
    history = fit(model, plan)
    assert history["churn"][0] == 0
    assert all(0.1 < churn < 0.3 for churn in history["churn"][1:])
    assert history["explored"] == sorted(history["explored"])
    assert all(isinstance(v, float) for values in history.values() for v in values)


def test_the_same_keys_in_every_epoch():
    plan = [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(1, sparsity=0.5, regrowth="set", update_every=2),
        dsd.phases.Sparse(1, sparsity=0.5),
        dsd.phases.Redense(1),
    ]
    history = fit(wrapped(track_gradients=False), plan)
    for key in ("sparsity", "churn", "explored", "dsd_phase"):
        assert len(history[key]) == 4
    assert history["churn"][0] == history["churn"][2] == 0
    # What comes last in a list of phases is what `explored` starts from.
    assert history["explored"][2] == pytest.approx(0.5, abs=0.01)


def test_random_masks_are_exact_and_follow_the_seed():
    def masks(seed, first):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        model = wrapped(track_gradients=False)
        plan = [dsd.phases.Sparse(1, sparsity=0.3, regrowth="static")]
        fit(model, ([] if first else [dsd.phases.Dense(1)]) + plan, seed=seed)
        return helpers.masks_of(model)

    one, two, other = masks(0, True), masks(0, True), masks(1, True)
    for mask in one:
        assert (~mask).sum() == int(mask.size * 3) // 10
    assert all(map(np.array_equal, one, two))
    assert not any(map(np.array_equal, one, other))
    # After a dense phase magnitudes choose, whatever the seed.
    assert all(map(np.array_equal, masks(0, False), masks(1, False)))


def test_parts_of_a_model():
    """One layer moves, one is static, one is dense, one has a sparsity of its own."""
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, name="moves"),
            keras.layers.Dense(16, name="rests"),
            dsd.Prunable(keras.layers.Dense(16, name="dense"), sparsity=0),
            dsd.Prunable(keras.layers.Dense(16, name="own"), sparsity=0.75),
            keras.layers.Dense(4, name="last"),
        ]
    )
    dsd.make_prunable(model, exclude="last")
    model.compile("adam", "mse")
    methods = {"moves": "set", "own": regrowth.SET(drop_fraction=0.5)}
    plan = [
        dsd.phases.Sparse(1, sparsity=0.5, regrowth={**methods, "dense": "set"}),
        dsd.phases.Sparse(
            1, sparsity=0.5, regrowth={**methods, "dense": "set"}, update_every=2
        ),
    ]
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(helpers.masks_of(model))
    )
    fit(model, plan, callbacks=[look])
    moved = [not np.array_equal(*pair) for pair in zip(*seen, strict=True)]
    assert moved == [True, False, False, True]
    assert [round(1 - mask.mean(), 2) for mask in seen[-1]] == [0.5, 0.5, 0, 0.75]


@pytest.mark.parametrize("every", [3, None])
@pytest.mark.parametrize("method", ["rigl", "set", "granet", "snfs"])
def test_killed_and_resumed(tmp_path, method, every):
    """As if nothing had happened: weights, optimizer and the log, bit for bit."""

    def train(folder, die_at=None):
        folder.mkdir(exist_ok=True)
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        model = wrapped()
        plan = dsd.phases.dst(4, method, update_every=every)

        def die(batch, logs):
            if die_at == (model.stop_at, batch):
                raise InterruptedError

        def note(epoch, logs):
            model.stop_at = epoch

        fit(
            model,
            plan,
            audit=folder / "run.jsonl",
            shuffle=False,
            callbacks=[
                keras.callbacks.BackupAndRestore(folder / "backup"),
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=note, on_train_batch_end=die
                ),
            ],
        )
        log = (folder / "run.jsonl").read_text()
        return helpers.values([*model.variables, *model.optimizer.variables]), log

    whole, log = train(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        train(tmp_path / "killed", die_at=(2, 6))
    again, log_again = train(tmp_path / "killed")
    for one, two in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert log_again == log


TRAIN = """
import sys
from tests.training import test_drop_and_grow as here
here.fit(here.wrapped(), here.dsd.phases.dst(2, "rigl", update_every=3),
         audit=sys.argv[1])
"""


def test_log_of_another_process(tmp_path):
    """The hashes follow from the seed, not from the process."""
    logs = []
    for salt in ("1", "2"):
        path = tmp_path / f"{salt}.jsonl"
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import keras; keras.utils.set_random_seed(5)\n" + TRAIN,
                path,
            ],
            check=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": salt, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        logs.append(path.read_text())
    assert logs[0] == logs[1]
    first = json.loads(logs[0].splitlines()[0])
    assert [weight["grown"] for weight in first["weights"]] == [0, 0]


def test_log_agrees_with_the_masks(tmp_path):
    model = wrapped()
    fit(model, dsd.phases.dst(3, "granet", update_every=5), audit=tmp_path / "log")
    records = audit.read(tmp_path / "log")
    masks = helpers.masks_of(model)
    for weight, mask in zip(records[-1]["weights"], masks, strict=True):
        assert weight["sha256"] == audit.entry("", mask, mask)["sha256"]
        assert weight["kept"] + weight["grown"] == mask.sum()
    alive = [sum(w["kept"] + w["grown"] for w in r["weights"]) for r in records]
    before = [sum(w["kept"] + w["dropped"] for w in r["weights"]) for r in records]
    assert before[1:] == alive[:-1]


def test_methods_of_a_users_own(tmp_path):
    """A subclass of a few lines decides which connections come."""

    class Last(regrowth.Regrowth):
        def grow_score(self, connections):
            size = connections.value.shape[0] * connections.value.shape[1]
            places = keras.ops.arange(size, dtype="float32")
            return keras.ops.reshape(places, connections.value.shape)

    model = wrapped(track_gradients=False)
    fit(model, dsd.phases.dst(2, Last(0.5), distribution="uniform", update_every=2))
    for mask in helpers.masks_of(model):
        assert mask.ravel()[-mask.size // 4 :].all()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"track_gradients": False}, "track_gradients=True"),
        (
            {"optimizer": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2)},
            "gradient_accumulation_steps=2",
        ),
        ({"method": "snfs", "optimizer": lambda: keras.optimizers.SGD()}, "momentum"),
        ({"method": "snfs", "optimizer": lambda: keras.optimizers.Ftrl()}, "momentum"),
    ],
)
def test_what_a_method_lacks(change, words):
    """Said before anything is trained."""
    optimizer = change.get("optimizer", lambda: "adam")()
    model = wrapped(change.get("track_gradients", True), optimizer)
    before = helpers.values(model.variables)
    with pytest.raises(ValueError, match=words) as error:
        fit(model, dsd.phases.dst(1, change.get("method", "rigl")))
    assert "Received: " in str(error.value)
    for one, two in zip(before, helpers.values(model.variables), strict=False):
        np.testing.assert_array_equal(one, two)


def test_optimizer_built_too_early():
    model = helpers.mlp()
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    dsd.make_prunable(model, track_gradients=True)
    with pytest.raises(ValueError, match="compile after"):
        fit(model, dsd.phases.dst(1, "rigl"))


def test_never_due():
    plan = dsd.phases.dst(2, "set", update_every=16)
    with pytest.warns(UserWarning, match="every 16 steps.* 16 steps long"):
        fit(wrapped(track_gradients=False), plan)


def test_scores_that_are_not_finite():
    class Broken(regrowth.Regrowth):
        def grow_score(self, connections):
            return connections.value / keras.ops.zeros_like(connections.value)

    model = wrapped(track_gradients=False)
    with pytest.raises(ValueError, match=r"not finite.*Received: .*kernel"):
        fit(model, dsd.phases.dst(1, Broken(), update_every=2))


@pytest.mark.parametrize("initial", [0.0, 0.2])
@pytest.mark.parametrize("distribution", ["uniform", "er", "global"])
def test_granet_in_a_phase_too_short(initial, distribution):
    """With no update in it, it begins at its end."""
    method = regrowth.GraNet(growth="random", initial_sparsity=initial)
    plan = [
        dsd.phases.Sparse(
            1, sparsity=0.8, distribution=distribution, regrowth=method, update_every=8
        )
    ]
    model = wrapped(track_gradients=False)
    with pytest.warns(UserWarning, match="No connection"):
        fit(model, plan)
    size = sum(mask.size for mask in helpers.masks_of(model))
    dead = sum((~mask).sum() for mask in helpers.masks_of(model))
    assert dead == int(size * 8) // 10


def test_granet_beside_blocks():
    """A layer that is pruned in blocks has the end's sparsity at once."""
    model = helpers.mlp(units=16)
    dsd.Prunable(model.layers[0], pattern="2x2")
    dsd.make_prunable(model)
    model.compile("adam", "mse")
    plan = [
        dsd.phases.Sparse(4, sparsity=0.5, regrowth=regrowth.GraNet(growth="random"))
    ]
    fit(model, plan)
    assert [mask.mean() for mask in helpers.masks_of(model)] == [0.5, 0.5]


def test_the_methods_that_the_docs_write():
    """The last two blocks of code of the page work as they are pasted."""
    text = (ROOT / "docs" / "dynamic_sparse_training.md").read_text()
    names: dict = {"__name__": "pasted"}
    for block in text.split("```python\n")[-2:]:
        exec(block.split("```")[0], names)
    for name, initial in (("Newcomers", 0.5), ("Thinning", 0.25)):
        (phase,) = dsd.phases.dst(2, names[name](drop_fraction=0.2), update_every=4)
        assert phase.initial_sparsity == initial
        history = fit(wrapped(), [phase])
        assert history["churn"][0] > 0
        assert history["sparsity"][-1] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_every_kind_of_model(name):
    """Gradients of every weight arrive, numbers stay, and the model comes back."""
    model, x = zoo.MODELS[name]()
    paths = [weight.path for weight in model.weights]
    dsd.make_prunable(model, track_gradients=True)
    model.compile("adam", "mse")
    y = np.ones(model.predict(x, verbose=0).shape, "float32")
    plan = [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(4, sparsity=0.5, regrowth=regrowth.RigL(0.5, stop=1.0)),
    ]
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(helpers.masks_of(model))
    )
    callbacks = [dsd.DSDCallback(plan, verbose=0), look]
    model.fit(x, y, epochs=5, callbacks=callbacks, verbose=0)
    weights = conversion.pruned_weights(model)
    for weight, first, last in zip(weights, seen[1], seen[-1], strict=True):
        gradient = helpers.values([weight.gradient])[0]
        assert np.isfinite(gradient).all()
        assert gradient[~last].any(), weight.path
        assert first.sum() == last.sum() == first.size - first.size // 2
        value = helpers.values([weight.variable])[0]
        assert not value[~last].any()
    assert any(
        not np.array_equal(*pair) for pair in zip(seen[1], seen[-1], strict=True)
    )
    assert [weight.path for weight in dsd.strip(model).weights] == paths


def test_saved_and_loaded_in_the_middle(tmp_path):
    """A `.keras` file holds all that the rest of the run depends on."""

    def train(model, epochs, start=0):
        methods = {"dense_1": "rigl", ".": "set"}
        plan = [dsd.phases.Sparse(4, sparsity=0.5, regrowth=methods, update_every=3)]
        fit(model, plan, epochs=epochs, initial_epoch=start, shuffle=False)
        return helpers.values(model.variables)

    def fresh():
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(3)
        return wrapped()

    whole = train(fresh(), 4)
    half = fresh()
    with pytest.warns(UserWarning, match="will not be trained"):
        train(half, 2)
    half.save(tmp_path / "half.keras")
    keras.utils.clear_session(free_memory=False)
    again = train(keras.models.load_model(tmp_path / "half.keras"), 4, start=2)
    for one, two in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one, two)
    # Gradients are no part of what a model needs: one without them loads it too.
    half.save_weights(tmp_path / "half.weights.h5")
    keras.utils.clear_session(free_memory=False)
    other = dsd.make_prunable(helpers.mlp(units=24))
    other.load_weights(tmp_path / "half.weights.h5")
    for mask, wanted in zip(
        helpers.masks_of(other), helpers.masks_of(half), strict=True
    ):
        np.testing.assert_array_equal(mask, wanted)
