"""`sparsity="auto"`: the largest sparsity that validation bears, found in `fit`."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_dsd
from keras_dsd import audit, phases, schedules
from keras_dsd.layers import conversion
from keras_dsd.studies import methods
from tests import helpers

X, Y = (array[:96] for array in helpers.data(samples=144))
VALIDATION = tuple(array[96:] for array in helpers.data(samples=144))


class Look(keras.callbacks.Callback):
    """Keeps weights as they are before and after a phase begins."""

    def __init__(self):
        super().__init__()
        self.kernels = []

    def on_epoch_begin(self, epoch, logs=None):
        weights = conversion.pruned_weights(self.model)
        self.kernels.append(helpers.values([w.variable for w in weights]))


def compiled(model=None):
    model = keras_dsd.make_prunable(model or helpers.mlp())
    model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
    return model


def plan(**changes):
    auto = {"sparsity": "auto", "tolerance": 0.05, "lr_factor": 0.1, **changes}
    return [phases.Dense(2), phases.Sparse(2, **auto), phases.Redense(1)]


def fit(model, plan, epochs=5, **arguments):
    callback = keras_dsd.DSDCallback(plan, verbose=arguments.pop("verbose", 0))
    before, after = Look(), Look()
    keras.utils.set_random_seed(1)
    history = model.fit(
        X,
        Y,
        epochs=epochs,
        verbose=0,
        callbacks=[before, callback, *arguments.pop("callbacks", []), after],
        **{"validation_data": VALIDATION, "shuffle": False, **arguments},
    )
    return history.history, callback, before, after


def value_at(model, kernels, sparsity):
    """Returns the metric of a model with kernels pruned by hand."""
    for weight, value in zip(conversion.pruned_weights(model), kernels, strict=True):
        mask = keras_dsd.masks.magnitude(value, sparsity)
        weight.variable.assign(value * keras.ops.convert_to_numpy(mask))
    return model.evaluate(*VALIDATION, verbose=0, return_dict=True)["mae"]


def test_it_is_the_largest_that_is_borne(tmp_path, capsys):
    log = tmp_path / "run.jsonl"
    keras.utils.set_random_seed(0)
    plain, model = helpers.mlp(), helpers.mlp()
    plain.set_weights(model.get_weights())
    model = compiled(model)
    callback = keras_dsd.DSDCallback(plan(), audit=log)
    states = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: states.append(
            helpers.values(plain_state(model))
        )
    )
    keras.utils.set_random_seed(1)
    history = model.fit(
        X,
        Y,
        epochs=5,
        verbose=0,
        shuffle=False,
        callbacks=[look, callback],
        validation_data=VALIDATION,
    ).history
    search = callback.searches[1]
    found = search.sparsity
    assert search.metric == "mae"
    assert 0 < found < 0.999
    size = 12 * 16 + 16 * 4
    zeros = int(found * 192 + 1e-9) + int(found * 64 + 1e-9)
    assert history["sparsity"] == pytest.approx([0, 0, zeros / size, zeros / size, 0])
    # What was tried is what a model with the weights of that moment does.
    for variable, value in zip(plain_state(model), states[2], strict=True):
        variable.assign(value)
    kernels = [states[2][0], states[2][2]]
    values = {sparsity: value for _, sparsity, value in search.trials}
    assert len(values) in (9, 10)
    assert search.baseline == pytest.approx(history["val_mae"][1], rel=1e-6)
    for sparsity, value in values.items():
        assert value_at(model, kernels, sparsity) == pytest.approx(value, rel=1e-6)
    bound = search.baseline + 0.05
    assert value_at(model, kernels, found) <= bound + 1e-6
    assert value_at(model, kernels, round(found + 0.001, 3)) > bound
    first = audit.read(log)[0]
    assert first["search"]["sparsity"] == found
    assert first["search"]["trials"] == [list(one) for one in search.trials]
    assert "search" not in audit.read(log)[-1] or len(audit.read(log)) == 1
    assert f"Found sparsity {found:.3f}" in capsys.readouterr().out


def plain_state(model):
    return [w for w in model.weights if w.name in ("kernel", "bias")]


def test_training_is_that_with_the_number(tmp_path):
    """The search leaves nothing behind: not a bit of the weights, nor of the logs."""
    starts = helpers.mlp().get_weights()
    found, ends = None, []
    for sparsity in ("auto", None):
        model = compiled()
        model.set_weights(starts)
        arguments = {"sparsity": sparsity}
        if found is not None:
            arguments = {"sparsity": found, "tolerance": 0.01}
        history, callback, *_ = fit(model, plan(**arguments))
        if found is None:
            found = callback.searches[1].sparsity
        ends.append((history, helpers.values(model.weights)))
    (history, weights), (same_history, same_weights) = ends
    assert history == same_history
    for one, other in zip(weights, same_weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_weight_gets_what_it_bears():
    model = compiled()
    history, callback, _, after = fit(model, plan(distribution="sensitivity"))
    search = callback.searches[1]
    paths = [weight.path for weight in conversion.pruned_weights(model)]
    assert list(search.by_weight) == paths
    for kernel, sparsity in zip(
        after.kernels[2], search.by_weight.values(), strict=True
    ):
        assert np.count_nonzero(kernel == 0) == int(sparsity * kernel.size + 1e-9)
    assert history["sparsity"][2] == pytest.approx(search.sparsity)
    curves = {path: [t for t in search.trials if t.path == path] for path in paths}
    assert all(len(curve) in (9, 10) for curve in curves.values())
    together = [value for path, _, value in search.trials if path is None]
    assert any(value <= search.baseline + 0.05 + 1e-6 for value in together)


def test_a_resumed_run_does_not_search_again(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3 and stops:
                raise KeyboardInterrupt

    starts = helpers.mlp().get_weights()
    whole = compiled()
    whole.set_weights(starts)
    _, callback, *_ = fit(whole, plan())
    stops, file = True, tmp_path / "run.weights.h5"
    killed = compiled()
    killed.set_weights(starts)
    extra = [keras_dsd.Backup(file, verbose=0), Stop()]
    with pytest.raises(KeyboardInterrupt):
        fit(killed, plan(), callbacks=extra)
    stops = False
    again = compiled()
    extra = [keras_dsd.Backup(file, verbose=0)]
    # Other data: a new search would find something else.
    _, resumed, *_ = fit(again, plan(), callbacks=extra, validation_data=(X, -Y))
    assert resumed.searches == {}
    assert callback.searches
    for one, other in zip(whole.weights, again.weights, strict=True):
        np.testing.assert_array_equal(*helpers.values([one, other]))


def test_it_begins_a_run_and_takes_part_of_the_data():
    model = compiled()
    model.fit(X, Y, epochs=2, verbose=0)
    history, callback, *_ = fit(
        model,
        [phases.Sparse(1, sparsity="auto", tolerance=0.2, monitor="val_loss")],
        epochs=1,
        validation_data=None,
        validation_split=0.25,
    )
    assert callback.searches[0].metric == "loss"
    assert history["sparsity"][0] > 0


def test_a_fall_that_nothing_avoids_is_told():
    model = compiled()
    auto = [phases.Sparse(1, sparsity="auto", tolerance=0)]
    for weight in model.weights:
        weight.assign(np.ones(weight.shape))  # any zero makes a difference
    x = np.ones((8, 12), "float32")
    y = keras.ops.convert_to_numpy(model(x))
    with pytest.warns(UserWarning, match="Not even a few zeros"):
        callback = keras_dsd.DSDCallback(auto, verbose=0)
        model.fit(x, y, validation_data=(x, y), callbacks=[callback], verbose=0)
    assert callback.searches[0].sparsity < 1 / 64


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_weights_are_whole_after_an_error_in_the_search(error, monkeypatch):
    model = compiled()
    evaluate = model.evaluate
    kept, calls = [], []

    def failing(*arguments, **options):
        if "callbacks" in options:
            return evaluate(*arguments, **options)
        calls.append(1)
        if len(calls) == 3:  # the look before training, the baseline, the first trial
            raise error
        kept[:] = helpers.values(model.weights) if len(calls) == 2 else kept
        return evaluate(*arguments, **options)

    monkeypatch.setattr(model, "evaluate", failing)
    with pytest.raises(error):
        fit(model, plan())
    for one, other in zip(kept, helpers.values(model.weights), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_refused_before_training():
    model = compiled()
    before = helpers.values(model.weights)
    own = keras_dsd.make_prunable(helpers.mlp(), sparsity=0.5)
    own.compile("adam", "mse")
    for changes, received in (
        ({"validation_data": None}, "Received: validation_data=None"),
        ({"validation_data": iter([VALIDATION])}, "Received: validation_data of type"),
        ({"plan": plan(monitor="val_acc")}, "Received: metric='acc'"),
        ({"model": own}, "Received: sparsity='auto'"),
    ):
        arguments = {"model": model, "plan": plan(), **changes}
        with pytest.raises((TypeError, ValueError), match=received):
            fit(**arguments)
    assert model.optimizer.iterations == 0
    for one, other in zip(before, helpers.values(model.weights), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.one_backend
def test_arguments():
    for arguments, received in (
        ({"sparsity": "most"}, "Received: sparsity='most'"),
        ({"tolerance": -1}, "Received: tolerance=-1"),
        ({"monitor": "accuracy"}, "Received: monitor='accuracy'"),
        ({"monitor": 3}, "Received: monitor=3"),
        ({"monitor": "val_top_5"}, "Received: mode='auto'"),
        ({"mode": "up"}, "Received: mode='up'"),
        ({"pattern": "2:4"}, "Received: sparsity='auto', pattern="),
        ({"regrowth": "set"}, "Received: sparsity='auto', regrowth="),
        ({"schedule": schedules.Constant(0.5)}, "Received: sparsity='auto', schedule="),
        ({"sparsity": 0.5, "tolerance": 0.1}, "Received: sparsity=0.5, tolerance=0.1"),
        ({"sparsity": 0.5, "distribution": "sensitivity"}, "Received: sparsity=0.5"),
    ):
        with pytest.raises((TypeError, ValueError), match=received):
            phases.Sparse(2, **{"sparsity": "auto", **arguments})
    auto = phases.Sparse(2, sparsity="auto", tolerance=0.02, monitor="val_auc")
    assert phases.Sparse.from_config(auto.get_config()) == auto
    others = [dataclasses.replace(auto, tolerance=0.03), auto.at(0.5)]
    assert len({one.fingerprint for one in [auto, *others]}) == 3
    ramp = phases.Sparse(4, sparsity=0.5, schedule="cubic")
    with pytest.raises(ValueError, match="Received: schedule='cubic' after"):
        keras_dsd.DSDCallback([auto, ramp])
    assert phases.dsd(9, "auto")[1].is_auto
    assert methods.get("dsd-auto", 9).phases[1].is_auto
    with pytest.raises(ValueError, match="Received: sparsity='auto', regrowth="):
        methods.get("rigl-auto", 9)


def test_a_ramp_goes_up_to_what_was_found():
    model = compiled()
    auto = phases.Sparse(4, sparsity="auto", tolerance=0.1, schedule="linear")
    history, callback, *_ = fit(model, [phases.Dense(1), auto])
    found = callback.searches[1].sparsity
    assert history["sparsity"][1] < history["sparsity"][4]
    assert history["sparsity"][4] == pytest.approx(found, abs=2 / 64)
