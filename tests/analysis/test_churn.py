"""`analysis.churn`: what masks say, and what the log of the same run says."""

import itertools
import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib import pyplot as plt

import keras_dsd as dsd
from keras_dsd import analysis
from tests import helpers
from tests.analysis.test_overlap import runs


@pytest.mark.one_backend
@settings(max_examples=30)
@given(runs())
def test_counts_are_those_by_hand(moments):
    found = analysis.churn(moments)
    for path in "ab":
        masks = [moment[path] for moment in moments]
        assert found.active[path].tolist() == [mask.sum() for mask in masks]
        pairs = list(itertools.pairwise(masks))
        assert found.grown[path][1:].tolist() == [(~a & b).sum() for a, b in pairs]
        assert found.dropped[path][1:].tolist() == [(a & ~b).sum() for a, b in pairs]
        assert np.isnan([found.grown[path][0], found.dropped[path][0]]).all()
        ever = [np.any(masks[: end + 1], axis=0).sum() for end in range(len(masks))]
        assert found.explored[path].tolist() == ever
        np.testing.assert_allclose(
            found.explored_share(path), np.array(ever) / masks[0].size
        )
        np.testing.assert_allclose(
            found.sparsity(path), [1 - mask.mean() for mask in masks]
        )
    grown = found.grown["a"][1:] + found.grown["b"][1:]
    active = found.active["a"][1:] + found.active["b"][1:]
    np.testing.assert_allclose(found.churn()[1:], grown / np.maximum(active, 1))


def test_files_log_and_history_of_a_run_agree(tmp_path):
    x, y = helpers.data()
    model = dsd.make_prunable(helpers.mlp())
    model.compile("sgd", "mse")
    plan = [dsd.phases.Sparse(4, sparsity=0.5, regrowth="set")]
    log = tmp_path / "run.jsonl"
    history = model.fit(
        x,
        y,
        epochs=4,
        verbose=0,
        callbacks=[
            dsd.DSDCallback(plan, verbose=0, audit=log),
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}.keras"),
            analysis.Snapshots(tmp_path / "kept", every=1, weights=False, verbose=0),
        ],
    ).history
    files = analysis.churn(sorted(tmp_path.glob("*.keras")))
    assert files.labels == ["01", "02", "03", "04"]
    np.testing.assert_allclose(files.churn()[1:], history["churn"][1:])
    np.testing.assert_allclose(files.explored_share(), history["explored"])
    np.testing.assert_allclose(files.sparsity(), history["sparsity"])
    kept = analysis.snapshots.read(tmp_path / "kept")
    found = analysis.churn(kept)
    assert found.labels == [snapshot.label for snapshot in kept]
    epochs = analysis.churn([s for s in kept if s.at in ("within", "end")])
    assert epochs.to_dict() == {**files.to_dict(), "labels": epochs.labels}
    records = dsd.audit.read(log)
    told = analysis.churn(records)
    assert told.labels == [record["step"] for record in records]
    assert len(set(told.labels)) > 2
    np.testing.assert_allclose(told.explored_share()[-1], history["explored"][-1])
    moved = sum(found.sum() for found in told.grown.values())
    assert moved == sum(np.nansum(found) for found in files.grown.values()) > 0
    assert [found[-1] for found in told.active.values()] == [
        found[-1] for found in files.active.values()
    ]
    with pytest.raises(ValueError, match=r"together only\. Received: path='"):
        told.explored_share(told.paths[0])
    with pytest.raises(ValueError, match="of one run, in its order"):
        analysis.churn(records + records)


def update(step, kept, dropped, grown, phase=0, path="a"):
    """Returns one update of a log, of a weight of 100 connections."""
    entry = {"kept": kept, "dropped": dropped, "grown": grown}
    entry |= {"path": path, "size": 100, "sha256": ""}
    return {"step": step, "phase": phase, "explored": 0.5, "weights": [entry]}


@pytest.mark.one_backend
def test_a_log_that_is_not_of_one_run_is_refused():
    first, second = update(0, 50, 50, 0), update(10, 40, 10, 10)
    assert analysis.churn([first]).churn().tolist() == [0]
    assert analysis.churn([first, second]).churn().tolist() == [0, 0.2]
    # Between phases masks may have been off.
    analysis.churn([first, update(10, 80, 20, 0, phase=1)])
    for wrong, message in [
        (update(10, 40, 9, 10), r"49 connections of a are active, after 50$"),
        (update(10, 40, 10, 10, path="b"), r"of one run, in its order\. Received"),
    ]:
        with pytest.raises(ValueError, match=message):
            analysis.churn([first, wrong])
    with pytest.raises(ValueError, match="of one run, in its order"):
        analysis.churn([second, first])
    with pytest.raises(TypeError, match=r"Received: moments\[1\] of type ndarray$"):
        analysis.churn([first, np.ones(3)])


@pytest.mark.one_backend
def test_it_is_drawn_and_written():
    masks = [{"a": np.arange(40) < n} for n in range(1, 31)]
    for found in (analysis.churn(masks), analysis.churn([update(0, 50, 50, 0)])):
        assert len(found.plot().axes[0].lines) == 3
        _, ax = plt.subplots()
        assert found.plot(ax=ax) is ax.figure
        json.dumps(found.to_dict(), allow_nan=False)
    plt.close("all")
    assert analysis.churn(masks).to_dict()["grown"]["a"][:3] == [None, 1, 1]
