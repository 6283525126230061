"""`masks.drop_and_grow`: exact counts, ties and signs, against a slow sort."""

from fractions import Fraction

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from hypothesis.extra import numpy as hnp

from keras_dsd import masks
from tests import reference_vectors as vectors


def oracle(weights, mask, scores, fraction):
    """The rule by full sorts: (mask, weights) after it."""
    flat, active, growth = weights.ravel(), mask.ravel().astype(bool), scores.ravel()
    places = np.arange(flat.size)
    moved = int(Fraction(repr(float(fraction))) * int(active.sum()))
    strongest = np.lexsort((places, -np.abs(flat.astype("float64")), ~active))
    kept = np.zeros(flat.size, bool)
    kept[strongest[: active.sum() - moved]] = True
    best = np.lexsort((places, -growth.astype("float64"), kept))
    new = kept.copy()
    new[best[:moved]] = True
    return new.reshape(weights.shape)


def found(*args):
    return keras.ops.convert_to_numpy(masks.drop_and_grow(*args))


@pytest.mark.parametrize(
    "case",
    vectors.params("drop_grow")
    + [
        pytest.param(case.values[0], id=case.values[0]["id"])
        for case in vectors.params("differs")
        if case.values[0] and case.values[0]["rule"] == "drop_grow"
    ],
)
def test_reference_vectors(case):
    inputs = case["inputs"]
    weights, scores = vectors.array(inputs["w"]), vectors.array(inputs["grow"])
    mask = vectors.array(inputs["mask"], np.int8)
    new = found(weights, mask, scores, inputs["fraction"])
    vectors.assert_mask(new, case["expected"])
    if "weights" in case["expected"] or "weights_sha256" in case["expected"]:
        kept = np.where(new & mask.astype(bool), weights, np.float32(0))
        vectors.assert_weights(kept, case["expected"])


FEW_VALUES = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, 3e38, -3e38, 1e-30, -1e-30]


@hypothesis.given(st.data())
@hypothesis.settings(max_examples=40, deadline=None)
def test_against_a_sort(data):
    """Ties, zeros among the active, negative scores: all as by sorting."""
    shape = data.draw(st.sampled_from([(1,), (7,), (5, 8), (3, 1, 4)]))
    some = hnp.arrays("float32", shape, elements=st.sampled_from(FEW_VALUES))
    weights, scores = data.draw(some), data.draw(some)
    mask = data.draw(hnp.arrays(bool, shape))
    fraction = data.draw(st.sampled_from([0, 0.1, 0.29, 0.3, 0.5, 0.9, 1.0, 1]))
    new = found(weights, mask, scores, fraction)
    np.testing.assert_array_equal(new, oracle(weights, mask, scores, fraction))
    assert new.sum() == mask.sum()


# Searched by `radix_select`, by `sample_select`.
@pytest.mark.parametrize("shape", [(700, 320), (1700, 320)])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_large_tensors(dtype, shape):
    """In every dtype, with many ties."""
    rng = np.random.default_rng(3)
    draw = [np.round(rng.standard_normal(shape), 2) for _ in range(2)]
    tensors = [keras.ops.cast(values, dtype) for values in draw]
    weights, scores = (
        keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))
        for tensor in tensors
    )
    mask = rng.random(weights.shape) < 0.4
    new = found(tensors[0], mask, tensors[1], 0.3)
    np.testing.assert_array_equal(new, oracle(weights, mask, scores, 0.3))


@pytest.mark.parametrize(
    "change, error",
    [
        ({"weights": [1.0, np.nan, 2.0]}, ValueError),
        ({"growth_scores": [np.inf, 1.0, 2.0]}, ValueError),
        ({"mask": [1, 2, 0]}, ValueError),
        ({"mask": [1, 0]}, ValueError),
        ({"growth_scores": [1.0]}, ValueError),
        ({"weights": "abc"}, TypeError),
        ({"fraction": -0.1}, ValueError),
        ({"fraction": 1.1}, ValueError),
        ({"fraction": float("nan")}, ValueError),
        ({"fraction": "0.1"}, TypeError),
        ({"fraction": True}, TypeError),
    ],
)
def test_bad_input(change, error):
    inputs = {
        "weights": [1.0, 3.0, 2.0],
        "mask": [0, 1, 0],
        "growth_scores": [1.0, 0.0, 2.0],
        "fraction": 0.5,
    }
    with pytest.raises(error, match="Received: "):
        masks.drop_and_grow(**{**inputs, **change})


BAD = np.array([0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0x7FFFFFFF], "uint32")


@pytest.mark.parametrize("bad", BAD.view("float32"), ids=[f"{one:x}" for one in BAD])
@pytest.mark.parametrize("others", [1.0, -1.0], ids=["positive", "negative"])
@pytest.mark.parametrize("name", ["weights", "growth_scores"])
def test_nothing_is_ranked_that_is_not_finite(bad, others, name):
    """Infinities and NaN of all bits, with enough positive scores or not."""
    inputs = {
        "weights": np.full(8, others, "float32"),
        "mask": np.arange(8) < 5,
        "growth_scores": np.full(8, others, "float32"),
        "fraction": 0.5,
    }
    place = 2 if name == "weights" else 6
    inputs[name][place] = bad
    with pytest.raises(ValueError, match=f"Received: {name} with NaN or infinity"):
        masks.drop_and_grow(**inputs)
    inputs[name][place], inputs[name][8 - place] = others, bad  # that is not looked at
    masks.drop_and_grow(**inputs)
