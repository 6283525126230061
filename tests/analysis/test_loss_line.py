"""`analysis.loss_line`: values of models at those weights, and a model left whole."""

import json

import keras
import numpy as np
import pytest

import keras_dsd
from keras_dsd import analysis
from tests import helpers
from tests.analysis.test_sensitivity import assert_same, compiled, everything, trained


def far(model):
    """Returns weights of a model that are far from its own, no variance negative."""
    rng = np.random.default_rng(3)
    return [np.abs(rng.standard_normal(one.shape)) for one in model.get_weights()]


def test_points_are_those_of_models_with_these_weights(tmp_path):
    model = trained(is_prunable=True)
    data = helpers.data(seed=1)
    model.evaluate(*data, verbose=0)
    before, own, other = everything(model), model.get_weights(), far(model)
    model.save(tmp_path / "model.keras")
    line = analysis.loss_line(
        model, tmp_path / "model.keras", other, data, points=4, verbose=0
    )
    assert_same(before, everything(model))
    assert line == analysis.loss_line(model, model, other, data, points=4, verbose=0)
    assert (line.metric, line.grows) == ("mae", False)
    assert line.fractions == pytest.approx([0, 1 / 3, 2 / 3, 1])
    wanted = []
    for fraction in line.fractions:
        pairs = zip(own, other, strict=True)
        model.set_weights([(1 - fraction) * a + fraction * b for a, b in pairs])
        wanted.append(model.evaluate(*data, verbose=0, return_dict=True))
    assert line.losses == pytest.approx([logs["loss"] for logs in wanted], rel=1e-6)
    assert line.values == pytest.approx([logs["mae"] for logs in wanted], rel=1e-6)
    for values, barrier in (
        (line.losses, line.barrier),
        (line.values, line.metric_barrier),
    ):
        a, b, c, d = values
        rises = b - (2 * a + d) / 3, c - (a + 2 * d) / 3
        assert barrier == pytest.approx(max(0, *rises))


def test_moving_statistics_are_those_of_the_data_if_asked():
    model = trained(is_prunable=False)
    norm = next(x for x in model.layers if "batch" in x.name)
    norm.momentum = 0.9
    data, other = helpers.data(seed=1), far(model)
    before = everything(model)
    arguments = {"points": 2, "batch_size": 64, "verbose": 0}
    kept = analysis.loss_line(model, model, other, data, **arguments)
    anew = analysis.loss_line(
        model, model, other, data, batch_norm="reestimate", **arguments
    )
    assert_same(before, everything(model))
    assert norm.momentum == 0.9
    assert "re-estimated" in str(anew)
    assert kept.losses != anew.losses
    hidden = model.layers[0](data[0])
    norm.moving_mean.assign(keras.ops.mean(hidden, axis=0))
    norm.moving_variance.assign(keras.ops.var(hidden, axis=0))
    assert anew.losses[0] == pytest.approx(
        model.evaluate(*data, verbose=0)[0], rel=1e-5
    )


def test_the_model_is_as_it_was_after_an_error(monkeypatch):
    model = trained(is_prunable=True)
    data = helpers.data(seed=1)
    model.evaluate(*data, verbose=0)
    before = everything(model)
    evaluate, calls = model.evaluate, []

    def failing(*arguments, **options):
        calls.append(evaluate(*arguments, **options))
        if len(calls) == 2:
            raise error
        return calls[-1]

    monkeypatch.setattr(model, "evaluate", failing)
    for error in (RuntimeError, KeyboardInterrupt):
        calls.clear()
        with pytest.raises(error):
            analysis.loss_line(model, model, far(model), data, verbose=0)
        assert_same(before, everything(model))
    monkeypatch.undo()
    model.fit(*data, verbose=0)


@pytest.mark.one_backend
def test_the_result_in_all_its_forms():
    fractions, losses = [0.0, 0.25, 1.0], [1.0, float("nan"), 3.0]
    line = analysis.LossLine("acc", True, fractions, losses, [0.5, 0.4, 0.9], "x")
    assert np.isnan(line.barrier)
    assert line.metric_barrier == pytest.approx(0.2)
    assert json.loads(json.dumps(line.to_dict()))["losses"] == [1.0, "nan", 3.0]
    assert "Barrier: nan of the loss, 0.2 of acc." in str(line)
    alone = analysis.LossLine("loss", False, [0, 1], [1.0, 2.0], [1.0, 2.0], "x")
    assert str(alone).splitlines()[0].split() == ["fraction", "loss"]
    figure = line.plot()
    assert [len(ax.lines) for ax in figure.axes] == [2, 1]
    assert line.plot(ax=figure.add_subplot()) is figure


@pytest.mark.one_backend
def test_bad_input(tmp_path):
    x, y = helpers.data()
    model = compiled(helpers.mlp())
    tracked = compiled(keras_dsd.make_prunable(helpers.mlp(), track_gradients=True))
    nan = [np.full(one.shape, np.nan) for one in model.get_weights()]
    for changes, received in (
        ({"model": 3}, "Received: model of type int"),
        ({"model": helpers.mlp()}, "Received: model="),
        ({"start": 3}, "Received: start of type int"),
        ({"start": nan}, r"Received: .*kernel with NaN"),
        ({"start": model.get_weights()[:-1]}, "Received: start=a list of 3"),
        ({"end": helpers.mlp(units=8)}, "Received: end="),
        ({"end": keras.Sequential([keras.Input((12,))])}, "Received: end="),
        ({"end": tmp_path / "no.keras"}, "Received: end="),
        ({"end": keras.Sequential([keras.layers.Dense(3)])}, "Received: end="),
        ({"data": (x, y[:, :3])}, "Received: a batch"),
        ({"data": (x[:, :3], y)}, "Received: a batch"),
        ({"data": (x[:9], y)}, r"Received: \[9, 64\] items"),
        ({"data": (x[:0], y[:0])}, "Received: data without items"),
        ({"points": 1}, "Received: points=1"),
        ({"batch_norm": "none"}, "Received: batch_norm='none'"),
        ({"metric": "f1"}, "Received: metric='f1'"),
        ({"mode": "up"}, "Received: mode='up'"),
        ({"batch_size": 0}, "Received: batch_size=0"),
    ):
        given = {"model": model, "start": model, "end": tracked, "data": (x, y)}
        with pytest.raises((TypeError, ValueError), match=received):
            analysis.loss_line(**{**given, **changes}, verbose=0)
    line = analysis.loss_line(
        tracked, tracked.get_weights(), model, (x, y), points=2, verbose=0
    )
    assert line.losses[1] == pytest.approx(model.evaluate(x, y, verbose=0)[0])
    # Metrics that were not there before the call hold nothing after it.
    assert not any(value.any() for value in helpers.values(tracked.metrics_variables))
