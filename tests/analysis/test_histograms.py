"""`analysis.histograms`: counts that are NumPy's, from all that holds weights."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import analysis
from keras_dsd.analysis import snapshots
from keras_dsd.analysis.weights import octaves
from tests import helpers, processes


def by_hand(values, edges):
    """Returns counts (2, B) of one weight."""
    values = np.asarray(values).astype("float64").ravel()
    values = values[np.isfinite(values) & (values != 0)]
    return np.stack([np.histogram(-values, edges)[0], np.histogram(values, edges)[0]])


@pytest.mark.one_backend
def test_counts_are_those_of_numpy():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(3000) * 10.0 ** rng.integers(-30, 30, 3000)
    special = [0.0, -0.0, 1.0, -1.125, np.inf, -np.inf, np.nan, 1e-45, -3e-40, 3.4e38]
    values = np.concatenate([values, special, np.exp2(np.arange(-20, 20))])
    for dtype in ("float32", "float16"):
        one = np.clip(values, -6e4, 6e4).astype(dtype) if dtype == "float16" else values
        one = one.astype(dtype)
        counts, zeros, not_finite = octaves.count(one)
        assert zeros == np.count_nonzero(one == 0)
        assert not_finite == np.count_nonzero(~np.isfinite(one))
        first, end = octaves.bounds([counts])
        edges = octaves.edges(first, end)
        found = counts[:, first:end]
        assert (
            counts.sum() + zeros + not_finite
            == one.size
            == found.sum() + zeros + (not_finite)
        )
        np.testing.assert_array_equal(found, by_hand(one, edges))
        # Eight bins to an octave, as wide together.
        normal = edges[edges > 1e-37]
        assert np.allclose(normal[8:] / normal[:-8], 2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder of snapshots, a file and a model of one run."""
    folder = tmp_path_factory.mktemp("run")
    keras.utils.set_random_seed(1)
    model = dsd.make_prunable(helpers.mlp())
    model.compile("adam", "mse", run_eagerly=True)
    kept = analysis.Snapshots(folder / "kept", every=1, unit="steps", verbose=0)
    plan = dsd.phases.dsd(3, sparsity=0.5)
    callbacks = [
        dsd.DSDCallback(plan, verbose=0),
        kept,
        keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras"),
    ]
    model.fit(*helpers.data(), epochs=3, verbose=0, callbacks=callbacks)
    return folder, model


def test_of_snapshots_files_and_models(run):
    folder, model = run
    found = analysis.histograms(folder / "kept")
    labels = ["before pruning", "after pruning", "end of sparse", "end"]
    assert found.labels == labels
    kept = snapshots.read(folder / "kept")
    moments = [moment for moment in kept if moment.at != "within"]
    assert len(kept) > len(moments) == 4
    for path in found.paths:
        for place, moment in enumerate(moments):
            values = moment.weights[path]
            expected = by_hand(values, found.edges)
            np.testing.assert_array_equal(found.counts[path][place], expected)
            assert found.zeros[path][place] == np.count_nonzero(values == 0)
            assert expected.sum() + found.zeros[path][place] == values.size
    np.testing.assert_array_equal(found.share_of_zeros()[:3], [0, 0.5, 0.5])
    # The gap: what came after pruning is no smaller than the threshold.
    total = found.total(found.paths[0]).sum(axis=1)
    assert total[0, : np.flatnonzero(total[1])[0]].sum() > 0
    # The same from files, and from the model, whose layers may have other numbers.
    files = [folder / "1.keras", folder / "2.keras", model]
    again = analysis.histograms(dict(zip(("a", "b", "c"), files, strict=True)))
    assert again.labels == ["a", "b", "c"]
    assert analysis.histograms(files).labels == ["1", "2", model.name]
    for place, other in enumerate((0, 2, 3)):
        assert again.total()[place].sum() == found.total()[other].sum()
        path = again.paths[0]
        np.testing.assert_array_equal(
            again.counts[path][place],
            by_hand(moments[other].weights[found.paths[0]], again.edges),
        )


def test_plain_models_and_pictures(run, tmp_path):
    model = helpers.mlp()
    found = analysis.histograms([model, model])
    assert found.paths == [w.path for w in model.weights if len(w.shape) == 2]
    figure = found.plot()
    assert len(figure.axes) == 2
    assert found.plot(ax=figure.axes[0], path=found.paths[0]) is figure
    figure.savefig(tmp_path / "figure.png")
    title = analysis.histograms(run[0] / "kept").plot().axes[1].get_title(loc="left")
    assert title == "after pruning: 50.0% exactly zero"
    model.set_weights([np.zeros_like(value) for value in model.get_weights()])
    nothing = analysis.histograms([model])
    assert nothing.share_of_zeros().tolist() == [1.0]
    nothing.plot().savefig(tmp_path / "figure.png")
    told = found.to_dict()
    again = analysis.Histograms(**told)
    np.testing.assert_array_equal(again.total(), found.total())


def test_bad_input(run, tmp_path):
    folder, model = run
    other = helpers.mlp(units=5)
    nothing = keras.Sequential([keras.Input((3,)), keras.layers.ReLU()])
    without = dsd.make_prunable(helpers.mlp())
    without.compile("sgd", "mse", run_eagerly=True)
    kept = analysis.Snapshots(tmp_path / "kept", weights=False, verbose=0)
    without.fit(*helpers.data(), verbose=0, callbacks=[kept])
    for moments, received in (
        ([model, other], "Received: .*dense.*first"),
        ([nothing], r"Received: moments\[0\]="),
        ([], "Received: moments="),
        (model, "Received: moments of type"),
        ([3], r"Received: moments\[0\] of type int"),
        ([folder / "none.keras"], r"Received: moments\[0\]="),
        (folder, "Received: directory="),
        (tmp_path / "kept", "Received: moment 'end'"),
        (folder / "none", "Received: moments of type"),
    ):
        with pytest.raises((TypeError, ValueError), match=received):
            analysis.histograms(moments)
    with pytest.raises(ValueError, match="Received: path='b'"):
        analysis.histograms([model]).total("b")


MEMORY = """
import gc, pathlib, re
import keras, numpy as np
from keras_dsd import analysis
from keras_dsd.analysis import pieces, snapshot_files, snapshots

def resident(name):
    text = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(rf"{{name}}:\\s+(\\d+)", text)[1]) * 1024

small = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
analysis.histograms([small])  # what is loaded and compiled once
assert len(list(pieces.of(small.layers[0].kernel, at_most=8))) == 4
model = keras.Sequential([
    keras.Input((10_000,)), keras.layers.Dense(10_000, kernel_initializer="zeros")])
model.layers[0].kernel.assign(np.linspace(-1, 1, 10**8, dtype="float32").reshape(
    10_000, 10_000))
float(keras.ops.sum(model.layers[0].kernel))  # JAX copies what is assigned later
gc.collect()
before = resident("VmRSS")
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
{work}
peak = resident("VmHWM")
print("PEAK", (peak - before) / 4e8)
assert peak - before < 0.2 * 4e8
"""

WORKS = {
    "model": "found = analysis.histograms([model]); "
    "assert found.total().sum() + found.zeros[found.paths[0]][0] == 10**8",
    "snapshot": """
weights = [(None, model.layers[0].kernel)]
notes = {"at": "end", "step": 1, "epoch": 0, "phase": 0, "run": "a", "unit": "steps",
    "finished": True, "precision": "float32", "weights": [
    {"path": "kernel", "shape": [10_000, 10_000]}]}
snapshot_files.write(pathlib.Path(PATH) / snapshots.LAST, notes, weights)
found = analysis.histograms(PATH)
assert found.total().sum() + found.zeros["kernel"][0] == 10**8
""",
}


@pytest.mark.large
@pytest.mark.parametrize("work", WORKS)
def test_a_large_model_is_not_copied(work, tmp_path):
    """100 million weights: memory stays below 1.2 times that of the model."""
    program = MEMORY.format(work=WORKS[work].replace("PATH", repr(str(tmp_path))))
    print(processes.run(program).stdout)
