"""`analysis.moments`: what counts as an active connection, and what is no moment."""

import math
import tracemalloc
import weakref

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_dsd as dsd
from keras_dsd import analysis
from keras_dsd.analysis.masks import moments
from tests import helpers

MASKS = {"a": np.eye(3, dtype=bool), "b": np.ones((2, 4), bool)}


def unpacked(moment):
    """Returns the masks of a moment."""
    return [
        np.unpackbits(moment.bits[path], count=math.prod(shape))
        .astype(bool)
        .reshape(shape)
        for path, shape in moment.shapes.items()
    ]


@pytest.mark.one_backend
@given(st.lists(st.booleans(), max_size=70))
def test_active_connections_are_counted(values):
    moment = moments.read_one({"a": np.array(values, bool)}, "one")
    assert moments.count(moment.bits["a"]) == sum(values)


@pytest.mark.one_backend
@given(st.lists(st.lists(st.booleans(), max_size=20)))
def test_pieces_are_packed_as_the_whole(pieces):
    found = moments.packed(np.array(piece, bool) for piece in pieces)
    whole = np.array([one for piece in pieces for one in piece], bool)
    assert found.tolist() == np.packbits(whole).tolist()


def test_a_model_counts_by_what_its_weights_are(tmp_path):
    model = dsd.make_prunable(helpers.mlp())
    model.compile("adam", "mse")
    plan = [dsd.phases.Sparse(1, sparsity=0.5, regrowth="set", update_every=2)]
    x, y = helpers.data()
    log = dsd.DSDCallback(plan, verbose=0)
    model.fit(x, y, epochs=1, batch_size=16, verbose=0, callbacks=[log])
    masks = helpers.masks_of(model)
    kernels = [w for w in model.weights if w.name == "kernel"]
    row, column = np.argwhere(masks[0])[0]
    value = helpers.values(kernels)[0]
    value[row, column] = 0  # as one that has just grown: active, and still zero
    kernels[0].assign(value)
    model.save(tmp_path / "epoch.keras")
    found = moments.read([model, tmp_path / "epoch.keras"], "moments")
    assert [one.label for one in found] == [0, "epoch"]
    for one in found:
        for mask, wanted in zip(unpacked(one), masks, strict=True):
            np.testing.assert_array_equal(mask, wanted)
    model = dsd.strip(model)
    stripped = unpacked(moments.read_one(model, "one"))
    for mask, kernel in zip(stripped, helpers.values(kernels), strict=True):
        np.testing.assert_array_equal(mask, kernel != 0)


def test_a_weight_whose_mask_has_not_come_about_is_active():
    model = dsd.make_prunable(helpers.mlp())
    kernel = model.layers[0].kernel
    kernel.assign(np.tile([[0.0, 1.0]], (12, 8)))
    for _ in range(2):  # its mask is all True, and not in force; then it is
        assert unpacked(moments.read_one(model, "one"))[0].sum() == 96
        dsd.hold_zeros(model)
    kernel.assign(np.ones((12, 16)))  # what a mask wishes for, and is not so
    assert unpacked(moments.read_one(model, "one"))[0].all()


@pytest.mark.one_backend
def test_weights_of_the_same_path_are_numbered(tmp_path):
    inputs = keras.Input((12,))
    outputs = inputs
    for units in (12, 4):  # models of their own, whose layers have one name
        inner = keras.Input((12,))
        layer = keras.layers.Dense(units, name="same", use_bias=False)
        outputs = keras.Model(inner, layer(inner))(outputs)
    model = dsd.make_prunable(keras.Model(inputs, outputs))
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=True)
    auto = dsd.phases.Sparse(1, sparsity="auto", distribution="sensitivity")
    callback = dsd.DSDCallback([auto], verbose=0, audit=tmp_path / "log")
    kept = analysis.Snapshots(tmp_path / "kept", verbose=0)
    data = helpers.data()
    model.fit(
        *data, epochs=1, verbose=0, validation_data=data, callbacks=[callback, kept]
    )
    found = analysis.connections(model)
    names = ["same/kernel", "same/kernel (2)"]
    assert [one.path for one in found.weights] == names
    assert [one.size for one in found.weights] == [144, 48]
    log = analysis.churn(dsd.audit.read(tmp_path / "log"))
    active = [one.active for one in found.weights]
    assert [log.active[name][-1] for name in names] == active
    last = analysis.snapshots.read(tmp_path / "kept")[-1]
    assert [last.masks[name].sum() for name in names] == active
    tried = analysis.sensitivity(model, data, sparsities=[0.5], verbose=0)
    assert tried.paths == names
    assert len(tried.trials) == 3
    (search,) = filter(None, callback.searches.values())
    assert list(search.by_weight) == names
    assert {None, *names} == {path for path, _, _ in search.trials}


@pytest.mark.one_backend
def test_names_that_keras_numbers_are_the_same_weights():
    found = moments.read([helpers.mlp(), helpers.mlp()], "runs")
    assert found[0].bits.keys() == found[1].bits.keys()
    renamed = {"dense_3/kernel": MASKS["a"], "dense_4/kernel": MASKS["b"]}
    other = {"dense/kernel": MASKS["a"], "dense_1/kernel": MASKS["b"]}
    assert [*moments.read([other, renamed], "runs")[1].bits] == [*other]
    turned = {"b": MASKS["b"], "a": MASKS["a"]}
    assert [*moments.read([MASKS, turned], "runs")[1].bits] == ["a", "b"]


@pytest.mark.one_backend
def test_masks_of_a_generator_are_taken_one_by_one_and_kept_as_bits():
    size = 4_000_000
    made: list = []

    def masks():
        for index in range(1, 5):
            assert not any(mask() is not None for mask in made)
            mask = np.zeros(size, bool)
            mask[: size // index] = True
            made.append(weakref.ref(mask))
            one = {"a": mask}
            del mask
            yield one
            del one

    for function in (analysis.churn, analysis.overlap):
        made.clear()
        tracemalloc.start()
        found = function(masks())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2.1 * size  # one mask, and bits of four
        assert len(found.labels) == 4


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("given_", "error", "message"),
    [
        ([], ValueError, r"Received: moments with 0$"),
        ([MASKS], ValueError, r"2 or more\. Received: moments with 1$"),
        (MASKS, TypeError, r"Received: moments of type dict$"),
        ("run.keras", TypeError, r"Received: moments of type str$"),
        (5, TypeError, r"Received: moments of type int$"),
        ([MASKS, None], TypeError, r"Received: moments\[1\] of type NoneType$"),
        ([MASKS, {}], ValueError, r"Received: moments\[1\]=\{\}$"),
        ([{"a": np.ones(3)}], TypeError, r"\['a'\] of type ndarray, dtype float64$"),
        ([{3: MASKS["a"]}], TypeError, r"moments\[0\]\[3\] of type ndarray"),
        (["gone.keras"], ValueError, r"Received: moments\[0\]='gone.keras'$"),
        ([MASKS, {"a": MASKS["a"]}], ValueError, r"Received: b not there, first \(2,"),
        (
            [MASKS, {**MASKS, "b": np.ones((4, 2), bool)}],
            ValueError,
            r"Received: b \(4, 2\), first \(2, 4\)$",
        ),
    ],
)
@pytest.mark.parametrize("function", [analysis.overlap, analysis.churn])
def test_bad_input(function, given_, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        function(given_)


@pytest.mark.one_backend
def test_a_model_without_anything_to_prune_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    with pytest.raises(ValueError, match=r"no weight to prune.*Received: moments\[0\]"):
        analysis.overlap([model, model])
