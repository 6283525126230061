"""`analysis.connections` and heat maps: counted by hand, of every kind of layer."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib import pyplot as plt

import keras_dsd as dsd
from keras_dsd import analysis
from keras_dsd.analysis._shared import pieces, units

MASKS = {
    "dense/kernel": np.arange(24).reshape(6, 4) % 5 == 0,
    "conv2d/kernel": np.arange(72).reshape(3, 3, 2, 4) % 7 > 2,
    "attention/query/kernel": np.arange(40).reshape(5, 2, 4) % 3 == 0,
    "attention/key/kernel": np.ones((5, 1, 4), bool),
    "attention/attention_output/kernel": np.arange(40).reshape(2, 4, 5) < 17,
}


@pytest.mark.one_backend
@settings(max_examples=60)
@given(st.data(), st.sampled_from([1, 7, 16, 1 << 20]))
def test_units_are_counted_in_pieces(data, piece):
    mask = data.draw(arrays.arrays(bool, arrays.array_shapes(max_dims=4, max_side=6)))
    sets = st.sets(st.integers(0, mask.ndim - 1)).map(lambda one: tuple(sorted(one)))
    kept = data.draw(st.lists(sets, min_size=1, max_size=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", piece)
        found = units.counts(np.packbits(mask), mask.shape, *kept)
    for some, counts in zip(kept, found, strict=True):
        others = tuple(axis for axis in range(mask.ndim) if axis not in some)
        wanted = mask.astype(int).sum(axis=others) if others else mask
        np.testing.assert_array_equal(counts, wanted)


@pytest.mark.one_backend
def test_neurons_filters_and_heads_by_hand():
    found = analysis.connections(MASKS)
    dense, conv, query, key, output = found.weights
    mask = MASKS["dense/kernel"]
    assert dense.outputs.tolist() == mask.sum(axis=0).tolist()
    assert dense.inputs.tolist() == mask.sum(axis=1).tolist()
    np.testing.assert_allclose(dense.sparsities(), 1 - mask.mean(axis=0))
    np.testing.assert_allclose(dense.sparsities("inputs"), 1 - mask.mean(axis=1))
    assert conv.outputs.tolist() == MASKS[conv.path].sum(axis=(0, 1, 2)).tolist()
    assert conv.inputs.tolist() == MASKS[conv.path].sum(axis=(0, 1, 3)).tolist()
    assert query.heads.tolist() == MASKS[query.path].sum(axis=(0, 2)).tolist()
    assert query.outputs.tolist() == MASKS[query.path].sum(axis=0).ravel().tolist()
    assert key.heads.tolist() == [20]
    assert output.heads.tolist() == [17, 0]
    assert output.outputs.tolist() == MASKS[output.path].sum(axis=(0, 1)).tolist()
    assert output.inputs.tolist() == MASKS[output.path].sum(axis=2).ravel().tolist()
    np.testing.assert_allclose(output.sparsities("heads"), [1 - 17 / 20, 1])
    size = sum(mask.size for mask in MASKS.values())
    active = sum(mask.sum() for mask in MASKS.values())
    assert found.sparsity == pytest.approx(1 - active / size)
    row = str(found).splitlines()[1].split()
    assert row == ["dense/kernel", "6x4", "5", "79.17%", "1", "to", "2", "0", "1"]
    assert found["dense/kernel"] is dense
    with pytest.raises(
        ValueError, match=r"Known: .*'outputs'\]\. Received: kind='heads'"
    ):
        dense.sparsities("heads")


def sparse(layers, shape):
    """Returns a model of layers, a third of whose weights are held at zero."""
    model = keras.Sequential([keras.Input(shape), *layers])
    model = dsd.make_prunable(model, include=".")
    for weight in model.weights:
        if len(weight.shape) > 1:
            kept = np.arange(np.prod(weight.shape)) % 3 > 0
            weight.assign(kept.reshape(weight.shape).astype("float32"))
    dsd.hold_zeros(model)
    return model


def test_layers_say_which_axes_are_theirs(tmp_path):
    layers = keras.layers
    model = sparse(
        [
            layers.Conv2D(6, 3, name="plain"),
            layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
            layers.Conv2DTranspose(4, 3, name="transposed"),
            layers.SeparableConv2D(5, 3, name="separable"),
        ],
        (12, 12, 2),
    )
    model.save(tmp_path / "model.keras")
    for moment in (model, tmp_path / "model.keras", dsd.strip(model)):
        # Stripped, its first convolutions are among those that stay dense.
        found = {
            one.path.split("/", 1)[1]: one
            for one in analysis.connections(moment).weights
        }
        transposed = found["transposed/kernel"]
        assert transposed.shape == (3, 3, 4, 12)
        assert (transposed.outputs.size, transposed.inputs.size) == (4, 12)
        assert transposed.outputs.sum() == transposed.inputs.sum() == transposed.active
    model = dsd.make_prunable(model, include=".")
    found = analysis.connections(model)
    sizes = {
        one.path.split("/", 1)[1]: (one.outputs.size, one.inputs.size)
        for one in found.weights
    }
    assert sizes == {
        "plain/kernel": (6, 2),
        "depthwise/kernel": (12, 6),
        "transposed/kernel": (4, 12),
        "separable/depthwise_kernel": (4, 4),
        "separable/pointwise_kernel": (5, 4),
    }
    path = next(one.path for one in found.weights if "transposed" in one.path)
    drawn = analysis.filter_map(model, path=path)
    assert drawn.active.shape == (12, 4)
    np.testing.assert_array_equal(drawn.active.sum(axis=0), found[path].outputs)
    path = path.replace("transposed", "depthwise")
    drawn = analysis.filter_map(model, path=path)
    assert drawn.active.tolist() == [found[path].outputs.tolist()]
    assert drawn.size.tolist() == [[9] * 12]
    assert analysis.filter_map(model).title.endswith("plain/kernel")


def test_heads_of_attention():
    inputs = keras.Input((7, 6))
    layer = keras.layers.MultiHeadAttention(3, 4, name="mha")
    grouped = keras.layers.GroupQueryAttention(5, 4, 2, name="grouped")
    outputs = grouped(layer(inputs, inputs), inputs)
    model = dsd.make_prunable(keras.Model(inputs, outputs))
    kernel = next(one for one in model.weights if "mha/query/kernel" in one.path)
    value = np.ones(kernel.shape)
    value[:, 1, :2] = 0
    kernel.assign(value)
    found = analysis.head_map(model)
    assert [path.split("/")[-2] for path in found.rows] == [
        *("query", "key", "value", "attention_output")
    ] * 2
    assert found.active[0].tolist() == [24, 12, 24, 0]
    assert found.size[0].tolist() == [24, 24, 24, 0]
    assert found.size[5].tolist() == [30, 30, 0, 0]
    assert np.isnan(found.share()[0, 3])


@pytest.mark.one_backend
def test_pixels_of_a_first_layer():
    mask = np.arange(24).reshape(12, 2) % 5 < 2
    found = analysis.input_map({"norm": np.ones(3, bool), "a/kernel": mask}, (2, 3, 2))
    assert found.active.tolist() == mask.reshape(2, 3, 4).sum(axis=2).tolist()
    assert (found.size == 4).all()
    flat = analysis.input_map({"a/kernel": mask}, (3, 4))
    np.testing.assert_allclose(flat.share(), mask.mean(axis=1).reshape(3, 4))


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (analysis.connections, [[MASKS]], TypeError, "moment of type list$"),
        (analysis.connections, [{}], ValueError, r"moment=\{\}$"),
        (analysis.input_map, [MASKS, (5, 2)], ValueError, r"6 inputs.*shape=\(5, 2\)$"),
        (analysis.input_map, [MASKS, (6,)], ValueError, r"shape=\(6,\)$"),
        (analysis.input_map, [MASKS, (2.0, 3)], TypeError, "shape=2.0$"),
        (analysis.input_map, [MASKS, 6], TypeError, "shape=6$"),
        (
            analysis.input_map,
            [{"a": np.ones(3, bool)}, (1, 3)],
            ValueError,
            r"Known: \[\]\. Received: path=None$",
        ),
        (
            analysis.filter_map,
            [{"a": np.ones((3, 2), bool)}],
            ValueError,
            r"Known: \['a'\]\. Received: path=None$",
        ),
        (analysis.head_map, [{"a": np.ones(3, bool)}], ValueError, r"with \['a'\]$"),
    ],
)
def test_bad_input(function, arguments, error, message):
    with pytest.raises(error, match=message):
        function(*arguments)


@pytest.mark.one_backend
def test_it_is_drawn_and_written():
    found = [
        analysis.connections(MASKS),
        analysis.input_map(MASKS, (2, 3)),
        analysis.filter_map(MASKS),
        analysis.filter_map(MASKS, path="dense/kernel"),
        analysis.head_map(MASKS),
    ]
    for one in found:
        assert one.plot().axes
        _, ax = plt.subplots()
        assert one.plot(ax=ax) is ax.figure
        json.dumps(one.to_dict(), allow_nan=False)
    plt.close("all")
