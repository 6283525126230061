"""`analysis.sensitivity`: right curves, and a model that is as it was."""

import json

import keras
import numpy as np
import pytest

import keras_dsd
from keras_dsd import analysis, phases
from tests import helpers


def compiled(model, optimizer="adam"):
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def everything(model):
    """Returns copies of all that must be as it was."""
    return helpers.values(
        model.variables + model.metrics_variables + model.optimizer.variables
    )


def assert_same(before, after):
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))


def trained(is_prunable):
    """Returns a model, in a sparse phase if prunable, with batch norm and dropout."""
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(4),
        ]
    )
    callbacks = []
    if is_prunable:
        model = keras_dsd.make_prunable(model)
        plan = [phases.Sparse(1, sparsity=0.25)]
        callbacks = [keras_dsd.DSDCallback(plan, verbose=0)]
    compiled(model).fit(*helpers.data(), verbose=0, callbacks=callbacks)
    return model


@pytest.mark.parametrize("is_prunable", [False, True])
def test_curves_are_those_of_models_pruned_by_hand(is_prunable):
    model = trained(is_prunable)
    data = helpers.data(seed=1)
    model.evaluate(*data, verbose=0)
    before = everything(model)
    found = analysis.sensitivity(model, data, sparsities=[0.5, 0.9], verbose=0)
    assert_same(before, everything(model))
    assert found.metric == "mae"
    assert not found.grows
    kernels = [w for w in model.weights if w.name == "kernel"]
    assert found.paths == [w.path for w in kernels]
    assert found.baseline == model.evaluate(*data, verbose=0, return_dict=True)["mae"]
    values = helpers.values(kernels)
    cut = sorted(np.concatenate([np.abs(v).ravel() for v in values]))[
        int(0.5 * sum(v.size for v in values))
    ]
    wanted = {}
    for path in [None, *found.paths]:
        for kernel, value in zip(kernels, values, strict=True):
            if path is None:
                kernel.assign(np.where(np.abs(value) >= cut, value, 0))
            elif path == kernel.path:
                mask = keras_dsd.masks.magnitude(value, 0.5)
                kernel.assign(value * keras.ops.convert_to_numpy(mask))
        wanted[path] = model.evaluate(*data, verbose=0, return_dict=True)["mae"]
        for kernel, value in zip(kernels, values, strict=True):
            kernel.assign(value)
    assert {path: found.curve(path)[1][0] for path in wanted} == wanted


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("is_prunable", [False, True])
def test_the_model_is_as_it_was_after_an_error(error, is_prunable, monkeypatch):
    model = trained(is_prunable)
    data = helpers.data(seed=1)
    model.evaluate(*data, verbose=0)
    before = everything(model)
    made = model.make_test_function
    calls = []

    def fail(force=False):
        made(force)
        step = model.test_function
        calls.append(step)

        def failing(*arguments):
            if len(calls) < 3:
                return step(*arguments)
            step(*arguments)
            raise error

        model.test_function = failing

    monkeypatch.setattr(model, "make_test_function", fail)
    with pytest.raises(error):
        analysis.sensitivity(model, data, sparsities=[0.5], verbose=0)
    monkeypatch.undo()
    assert_same(before, everything(model))
    model.make_test_function(force=True)
    model.fit(*data, verbose=0)


def test_it_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    model, data = compiled(helpers.mlp()), helpers.data()
    whole = analysis.sensitivity(model, data, sparsities=[0.3, 0.6], verbose=0)
    evaluate, calls = model.evaluate, []

    def counted(*arguments, **options):
        if len(calls) == stop:
            raise KeyboardInterrupt
        calls.append(1)
        return evaluate(*arguments, **options)

    monkeypatch.setattr(model, "evaluate", counted)
    stop = 4
    file = tmp_path / "curves.json"
    arguments = {"sparsities": [0.3, 0.6], "path": file, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        analysis.sensitivity(model, data, **arguments)
    assert len(json.loads(file.read_text())["trials"]) == 3
    calls.clear()
    stop = None
    assert analysis.sensitivity(model, data, **arguments) == whole
    assert len(calls) == 1 + 3  # the model as it is, and what was missing
    assert analysis.Sensitivity.from_json(file) == whole
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"other data .*Received: path="):
        analysis.sensitivity(model, helpers.data(seed=5), **arguments)
    file.write_text(file.read_text()[:-9])
    with pytest.raises(ValueError, match="Received: path="):
        analysis.sensitivity(model, data, **arguments)


@pytest.mark.one_backend
def test_the_result_in_all_its_forms(tmp_path):
    trials = [(None, 0.5, 0.8), (None, 0.9, float("nan")), ("a/kernel", 0.5, 0.85)]
    found = analysis.Sensitivity("accuracy", True, 0.9, {"weights": "x"}, trials)
    assert found.table()[1] == {"weight": "a/kernel", 0.5: 0.85}
    assert "As it is: 0.9." in str(found)
    found.to_json(tmp_path / "file")
    again = analysis.Sensitivity.from_json(tmp_path / "file")
    assert str(again) == str(found)
    figure = found.plot()
    assert len(figure.axes[0].lines) == 3
    ax = figure.add_subplot()
    assert found.plot(ax=ax) is figure
    with pytest.raises(ValueError, match="Received: path='b'"):
        found.curve("b")


@pytest.mark.one_backend
def test_bad_input(tmp_path):
    x, y = helpers.data()
    model = compiled(helpers.mlp())
    frozen = keras.Sequential([keras.Input((3,)), keras.layers.ReLU()])
    for changes, received in (
        ({"model": 3}, "Received: model of type int"),
        ({"model": helpers.mlp()}, "Received: model="),
        ({"model": compiled(frozen)}, "Received: model="),
        ({"data": (x,)}, "Received: tuple of 1"),
        ({"data": (x[:0], y[:0])}, "Received: data without items"),
        ({"data": iter([(x, y)])}, "Received: data of type"),
        ({"sparsities": []}, "Received: sparsities="),
        ({"sparsities": [0.5, 0.5]}, "Received: sparsities="),
        ({"sparsities": [1.0]}, "Received: sparsities=1.0"),
        ({"distribution": "fair"}, "Received: distribution='fair'"),
        ({"metric": "f1"}, "Received: metric='f1'"),
        ({"mode": "up"}, "Received: mode='up'"),
        ({"path": tmp_path}, "Received: path="),
    ):
        arguments = {"model": model, "data": (x, y), "verbose": 0, **changes}
        with pytest.raises((TypeError, ValueError), match=received):
            analysis.sensitivity(**arguments)
    kernel = model.weights[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match=r"Received: .*kernel with NaN"):
        analysis.sensitivity(model, (x, y), verbose=0)
