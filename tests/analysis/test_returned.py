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


def test_of_a_weight_that_is_read_in_pieces():
    """Whose second piece begins within a byte of the mask."""
    shape = (1100, 1001)
    model = keras.Sequential([keras.Input(shape[:1]), keras.layers.Dense(shape[1])])
    kernel = model.layers[0].kernel
    mask = np.random.default_rng(0).random(shape) < 0.3
    kernel.assign(np.where(mask, 2.0, -0.25))
    found = analysis.returned({kernel.path: mask}, model)
    back, stayed = found.groups()
    assert (back.count, back.largest) == (np.count_nonzero(~mask), 0.25)
    assert (stayed.count, stayed.mean) == (np.count_nonzero(mask), 2.0)
    counted = analysis.histograms([model]).total().sum(axis=(0, 2)).tolist()
    assert counted == [back.count, stayed.count]


def test_table_and_picture(run, tmp_path):
    found = analysis.returned(run[0] / "kept")
    lines = str(found).splitlines()
    assert len(lines) == 2 + len(found.paths) and "all together" in lines[1]
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


def test_the_loss_without_what_came_back(run, tmp_path):
    folder, model = run
    sparse, end = snapshots.read(folder / "kept")[2:]
    data = helpers.data(seed=3)
    everything = [*model.variables, *model.optimizer.variables]
    before = helpers.values(everything)
    found = analysis.returned_loss(folder / "kept", model, data, verbose=0)
    for one, other in zip(before, helpers.values(everything), strict=True):
        np.testing.assert_array_equal(one, other)
    # By hand, in a plain model.
    plain = helpers.mlp()
    plain.compile(loss="mse")
    pairs = zip(plain.layers, sparse.paths, strict=True)
    own = dict(zip(found.by_weight, pairs, strict=True))

    def loss(*without):
        plain.set_weights(model.get_weights())
        for path in without:
            layer, name = own[path]
            layer.kernel.assign(end.weights[name] * sparse.mask(name))
        return plain.evaluate(*data, verbose=0)

    assert found.as_is["loss"] == pytest.approx(loss(), rel=1e-6)
    assert found.without["loss"] == pytest.approx(loss(*own), rel=1e-6)
    assert found.gain() == found.without["loss"] - found.as_is["loss"] != 0
    back = analysis.returned(folder / "kept")
    for path, (_, name) in own.items():
        assert found.by_weight[path]["loss"] == pytest.approx(loss(path), rel=1e-6)
        assert found.came_back[path] == back.came_back[name].count
    assert len(str(found).splitlines()) == 3 + len(own)
    json.dumps(found.to_dict(), allow_nan=False)
    figure = found.plot()
    figure.savefig(tmp_path / "figure.png")
    assert found.plot(ax=figure.add_subplot()) is figure
    for arguments, received in (
        (("b",), "Received: path='b'"),
        ((None, "f1"), "Received: metric='f1'"),
    ):
        with pytest.raises(ValueError, match=received):
            found.gain(*arguments)
    for run_, model_, data_, received in (
        (sparse, helpers.mlp(), data, "Received: model="),
        (folder / "none", model, data, "Received: run="),
        (snapshots.read(folder / "kept")[0], model, data, "all of them alive"),
        (sparse, model, (data[0][:, :3], data[1]), "Received: a batch"),
        (sparse, model, None, "Received: data of type"),
    ):
        with pytest.raises((TypeError, ValueError), match=received):
            analysis.returned_loss(run_, model_, data_, verbose=0)
    for one, other in zip(before, helpers.values(everything), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.one_backend
def test_weights_that_are_not_finite_are_not_compared():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    kernel = model.layers[0].kernel
    kernel.assign([[1.0], [np.nan]])
    masks = {kernel.path: np.array([[True], [False]])}
    with pytest.raises(ValueError, match=r"Received: .*kernel with NaN"):
        analysis.returned(masks, model)
