"""`analysis.returned`: which weights came back, against the weights themselves."""

import json

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import analysis
from keras_dsd.analysis import snapshots
from tests import helpers


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with snapshots and files of one run, and its model."""
    folder = tmp_path_factory.mktemp("run")
    keras.utils.set_random_seed(1)
    model = dsd.make_prunable(helpers.mlp())
    model.compile("adam", "mse", run_eagerly=True)
    callbacks = [
        dsd.DSDCallback(dsd.phases.dsd(3, sparsity=0.5), verbose=0),
        analysis.Snapshots(folder / "kept", verbose=0),
        keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras"),
    ]
    model.fit(*helpers.data(), epochs=3, verbose=0, callbacks=callbacks)
    return folder, model


def test_numbers_are_those_of_the_weights(run):
    folder, _ = run
    _, _, sparse, end = snapshots.read(folder / "kept")
    found = analysis.returned(folder / "kept")
    assert found.paths == sparse.paths
    backs, stays = [], []
    for path, mask in sparse.masks.items():
        values = end.weights[path]
        back, stayed = values[~mask], values[mask]
        backs.append(back[back != 0])
        stays.append(stayed[stayed != 0])
        assert found.pruned[path] == back.size == mask.size // 2
        for group, chosen, counts in (
            (found.came_back[path], backs[-1], found.counts[path][0]),
            (found.stayed[path], stays[-1], found.counts[path][1]),
        ):
            sizes = np.abs(chosen.astype("float64"))
            assert group.count == chosen.size == counts.sum() > 0
            assert group.mean == pytest.approx(sizes.mean(), rel=1e-12)
            assert group.rms == pytest.approx(np.sqrt((sizes**2).mean()), rel=1e-12)
            assert group.largest == sizes.max()
            expected = np.histogram(sizes, found.edges)[0]
            np.testing.assert_array_equal(counts, expected)
    back, stayed = found.groups()
    assert back.count == sum(map(np.size, backs))
    assert back.mean == pytest.approx(np.abs(np.concatenate(backs)).mean(), rel=1e-6)
    assert stayed.largest == np.abs(np.concatenate(stays)).max()
    assert found.share() == back.count / sum(found.pruned.values())


def test_from_all_that_holds_masks_and_weights(run):
    folder, model = run
    moments = snapshots.read(folder / "kept")
    wanted = analysis.returned(folder / "kept").to_dict()
    for sparse, dense in (
        (moments[2], moments[3]),
        (moments[2].masks, model),
        (folder / "2.keras", str(folder / "3.keras")),
        (keras.models.load_model(folder / "2.keras"), moments[3]),
    ):
        found = analysis.returned(sparse, dense).to_dict()
        assert list(found["counts"].values()) == list(wanted["counts"].values())
        assert list(found["pruned"].values()) == list(wanted["pruned"].values())
        for name in ("came_back", "stayed"):
            assert list(found[name].values()) == list(wanted[name].values())
    json.dumps(wanted)


def test_of_weights_that_are_zero_still():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    kernel = model.layers[0].kernel
    kernel.assign(np.array([[0, 0, 0, -0.5], [1, 2, 0, 4], [0, 0, 0, 0.25]]))
    mask = np.array([[False] * 4, [True] * 4, [False] * 4])
    found = analysis.returned({kernel.path: mask}, model)
    assert found.pruned == {kernel.path: 8} and found.share() == 0.25
    assert found.came_back[kernel.path].largest == 0.5
    assert found.stayed[kernel.path].count == 3
    assert found.stayed[kernel.path].mean == pytest.approx(7 / 3)


def test_table_and_picture(run, tmp_path):
    found = analysis.returned(run[0] / "kept")
    lines = str(found).splitlines()
    assert len(lines) == 2 + len(found.paths) and "all together" in lines[1]
    assert len({*map(len, lines)}) == 1
    figure = found.plot()
    figure.savefig(tmp_path / "figure.png")
    assert found.plot(ax=figure.add_subplot(), path=found.paths[0]) is figure
    with pytest.raises(ValueError, match="Received: path='b'"):
        found.plot(path="b")


def test_bad_input(run):
    folder, model = run
    moments = snapshots.read(folder / "kept")
    path, mask = next(iter(moments[2].masks.items()))
    nothing = keras.Sequential([keras.Input((3,)), keras.layers.ReLU()])
    for sparse, dense, received in (
        (folder / "kept", model, "Received: run="),
        (moments[2], None, "Received: run of type"),
        (moments[0], model, "all of them alive"),
        (moments[2], helpers.mlp(units=5), "Received: .*dense.*first"),
        ({path: mask}, model, "Received: .*dense.*first not there"),
        (moments[2], nothing, "Received: dense="),
        (moments[2], 3, "Received: dense of type int"),
        (3, model, "Received: run of type int"),
        (folder, None, "Received: directory="),
    ):
        with pytest.raises((TypeError, ValueError), match=received):
            analysis.returned(sparse, dense)
