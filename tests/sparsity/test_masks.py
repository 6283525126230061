"""masks: exact counts, ties, patterns, one ranking, and all of it under a trace."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_dsd import backend, masks, patterns
from keras_dsd.sparsity import counts, topk
from tests import reference_vectors as vectors

# Searched by `radix_select`, by `sample_select`; not whole rows.
SMALL, LARGE = 70_003, 600_011
BACKEND = keras.backend.backend()


def as_array(mask):
    return ops.convert_to_numpy(mask)


def smallest_go(arrays, zeros):
    """The slow oracle: one stable sort; of equal entries the later go first."""
    flat = np.concatenate([np.abs(array.ravel()) for array in arrays])
    order = np.argsort(-flat.astype("float64"), kind="stable")
    keep = np.zeros(flat.size, bool)
    keep[order[: flat.size - zeros]] = True
    ends = np.cumsum([array.size for array in arrays])[:-1]
    return [
        part.reshape(array.shape)
        for part, array in zip(np.split(keep, ends), arrays, strict=True)
    ]


def traced(function):
    """`function` compiled as a user would, with a list of how often it was traced."""
    traces = []

    def counted(*args):
        traces.append(args)
        return function(*args)

    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(counted, autograph=False), traces
    if BACKEND == "jax":
        import jax

        return jax.jit(counted), traces
    return counted, [None]


def awkward(kind, size):
    rng = np.random.default_rng(size)
    normal = rng.standard_normal(size).astype("float32")
    return {
        "normal": normal,
        "equal": np.full(size, -0.5, "float32"),
        "zeros": np.where(rng.random(size) < 0.8, 0, normal),
        "signed zeros": np.where(rng.random(size) < 0.5, -0.0, 0.0),
        "two values": np.where(normal > 0, 1, -2),
        "sorted": np.sort(normal),
        "periodic": np.where(np.arange(size) % 64 == 0, 1e-3, 1 + np.abs(normal)),
        "denormal": normal * np.float32(1e-41),
        "wide": np.exp2(rng.uniform(-140, 126, size)),
        "outlier": np.where(np.arange(size) == size // 2, 3e38, normal),
        "rank": np.arange(size, dtype="float32"),
    }[kind].astype("float32")


KINDS = [
    "normal",
    "equal",
    "zeros",
    "signed zeros",
    "two values",
    "sorted",
    "periodic",
    "denormal",
    "wide",
    "outlier",
    "rank",
]


# ---- the shared vectors ----


@pytest.mark.parametrize("case", vectors.params("magnitude_mask"))
def test_magnitude_vectors(case):
    weights = vectors.array(case["inputs"]["w"])
    found = masks.magnitude(weights, case["inputs"]["s"])
    vectors.assert_mask(as_array(found), case["expected"])


@pytest.mark.parametrize("case", vectors.params("nm_mask"))
def test_nm_vectors(case):
    inputs = case["inputs"]
    pattern = patterns.NM(inputs["n"], inputs["m"])
    found = masks.magnitude(vectors.array(inputs["w"]), None, pattern)
    vectors.assert_mask(as_array(found), case["expected"])


@pytest.mark.parametrize("case", vectors.params("block_mask"))
def test_block_vectors(case):
    inputs = case["inputs"]
    pattern = patterns.Block(inputs["block"])
    found = masks.magnitude(vectors.array(inputs["w"]), inputs["s"], pattern)
    vectors.assert_mask(as_array(found), case["expected"])


@pytest.mark.parametrize("case", vectors.params("global_mask"))
def test_global_vectors(case):
    weights = [vectors.array(value) for _, value in case["inputs"]["tensors"]]
    found = masks.global_magnitude(weights, case["inputs"]["s"])
    for mask, (_, expected) in zip(found, case["expected"]["masks"], strict=True):
        vectors.assert_mask(as_array(mask), expected)


# ---- exact, whatever the numbers ----


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("kind", KINDS)
def test_awkward_numbers(kind, size):
    weights = awkward(kind, size)
    run, traces = traced(
        lambda tensor, zeros: topk.choose(
            [tensor], [patterns.Unstructured()], zeros, [False]
        )
    )
    for zeros in (0, 1, 7_003, size // 2, int(0.9 * size), size - 1, size):
        found, finite = run(
            ops.convert_to_tensor(weights), ops.convert_to_tensor([zeros], "int32")
        )
        assert as_array(finite).all()
        np.testing.assert_array_equal(
            as_array(found[0]), smallest_go([weights], zeros)[0]
        )
    assert len(traces) == 1  # counts are tensors: another count, the same trace


@given(
    values=st.lists(
        st.floats(-4, 4, width=16) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0]),
        min_size=1,
        max_size=12,
    ),
    sparsity=st.integers(0, 99).map(lambda percent: percent / 100),
)
@settings(max_examples=60, deadline=None)
def test_any_numbers(values, sparsity):
    weights = np.array(values, "float32")
    found = as_array(masks.magnitude(weights, sparsity))
    zeros = counts.zeros(weights.size, sparsity)
    assert weights.size - found.sum() == zeros
    np.testing.assert_array_equal(found, smallest_go([weights], zeros)[0])


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 4096, 65_537, 524_288, 524_289])
def test_sizes_around_rows_and_tables(size):
    weights = np.round(awkward("normal", size), 1)  # many ties
    found = as_array(masks.magnitude(weights, 0.37))
    zeros = counts.zeros(size, 0.37)
    np.testing.assert_array_equal(found, smallest_go([weights], zeros)[0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("size", [1000, SMALL, LARGE])
def test_other_floats(dtype, size):
    if dtype == "float64" and BACKEND == "jax":
        pytest.skip("JAX has no float64 unless told so")
    tensor = ops.cast(ops.convert_to_tensor(awkward("normal", size)), dtype)
    values = ops.convert_to_numpy(ops.cast(tensor, "float64"))
    found = masks.magnitude(tensor, 0.6)
    expected = smallest_go([values], counts.zeros(size, 0.6))[0]
    np.testing.assert_array_equal(as_array(found), expected)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_float64_is_not_rounded(size):
    if BACKEND == "jax":
        pytest.skip("JAX has no float64 unless told so")
    weights = 1 + np.arange(size)[::-1] * 2.0**-50  # all equal as float32
    found = as_array(masks.magnitude(ops.convert_to_tensor(weights), 0.5))
    np.testing.assert_array_equal(found, smallest_go([weights], size // 2)[0])


# ---- many weights ----


@pytest.mark.parametrize("number", [60, 70])  # by `radix_select`, by `sample_select`
def test_many_tensors_share_tables(number):
    rng = np.random.default_rng(0)
    weights = [
        np.round(rng.standard_normal(rng.integers(1, 4000)), 2).astype("float32")
        for _ in range(number)
    ]
    zeros = [int(rng.integers(0, weight.size + 1)) for weight in weights]
    free, alone = [patterns.Unstructured()] * number, [False] * number
    run, _ = traced(lambda tensors, zeros: topk.choose(tensors, free, zeros, alone))
    found, finite = run(list(map(ops.convert_to_tensor, weights)), zeros)
    assert as_array(finite).all()
    for mask, weight, lost in zip(found, weights, zeros, strict=True):
        np.testing.assert_array_equal(as_array(mask), smallest_go([weight], lost)[0])


@pytest.mark.parametrize("kind", ["normal", "equal", "zeros", "rank"])
@pytest.mark.parametrize("scale", [1, 200, 1600])  # the last by `sample_select`
def test_one_ranking_for_all(kind, scale):
    weights = [awkward(kind, size * scale) for size in (30, 1, 250, 64)]
    total = sum(weight.size for weight in weights)
    for sparsity in (0.0, 0.1, 0.5, 0.93):
        zeros = counts.zeros(total, sparsity)
        found = masks.global_magnitude(weights, sparsity)
        for mask, expected in zip(found, smallest_go(weights, zeros), strict=True):
            np.testing.assert_array_equal(as_array(mask), expected)


def test_patterns_side_by_side():
    rng = np.random.default_rng(0)
    shape = (64, 48)
    weights = [
        np.round(rng.standard_normal(shape), 1).astype("float32") for _ in range(6)
    ]
    kinds = [
        patterns.Unstructured(),
        patterns.NM(1, 4),
        patterns.Block((5, 7)),
        patterns.Unstructured(),
        patterns.Unstructured(),
        patterns.Block((1, 16)),
    ]
    shared = [False, False, False, True, True, False]
    zeros = [1000, 0, 33, 2500, 0, 50]
    found, _ = topk.choose(
        list(map(ops.convert_to_tensor, weights)), kinds, zeros, shared
    )
    found = [as_array(mask) for mask in found]
    np.testing.assert_array_equal(found[0], smallest_go(weights[:1], 1000)[0])
    np.testing.assert_array_equal(found[3:5], smallest_go(weights[3:5], 2500))
    for number, sparsity in ((1, None), (2, 33.5 / 91), (5, 50.5 / 192)):
        alone = masks.magnitude(weights[number], sparsity, kinds[number])
        np.testing.assert_array_equal(found[number], as_array(alone))


def test_traced_once_with_all_patterns():
    rng = np.random.default_rng(0)
    weights = [
        rng.standard_normal(shape).astype("float32") for shape in ((9, 8), (300, 300))
    ]
    kinds, shared = [patterns.Block((2, 3)), patterns.Unstructured()], [False, True]
    run, traces = traced(
        lambda tensors, zeros: topk.choose(tensors, kinds, zeros, shared)
    )
    for blocks, zeros in ((0, 0), (7, 45_000), (14, 90_000)):
        found, _ = run(
            list(map(ops.convert_to_tensor, weights)),
            ops.convert_to_tensor([blocks, zeros], "int32"),
        )
        expected = smallest_go([weights[1]], zeros)[0]
        np.testing.assert_array_equal(as_array(found[1]), expected)
        alone = masks.magnitude(weights[0], (blocks + 0.5) / 15, kinds[0])
        np.testing.assert_array_equal(as_array(found[0]), as_array(alone))
    assert len(traces) == 1


# ---- patterns against slow loops ----


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 2), (2, 4), (3, 5), (1, 8), (4, 4)])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_nm_keeps_the_first_largest(n, m, seed):
    weights = np.random.default_rng(seed).integers(-2, 3, (2, 3 * m, 3))
    weights = weights.astype("float32")
    found = as_array(masks.magnitude(weights, None, patterns.NM(n, m)))
    for lead, column in np.ndindex(2, 3):
        for start in range(0, 3 * m, m):
            group = np.s_[lead, start : start + m, column]
            expected = smallest_go([weights[group]], m - n)[0]
            np.testing.assert_array_equal(found[group], expected)


@pytest.mark.parametrize("block", [(1, 1), (2, 3), (4, 1), (3, 8), (9, 9)])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), percent=st.integers(0, 99))
def test_blocks_live_or_die_whole(block, seed, percent):
    shape = rows, columns = 7, 8
    # Whole multiples of all numbers of entries a block can have: exact means, and ties.
    weights = np.random.default_rng(seed).integers(0, 3, (2, *shape)) * 5040.0
    parts = [
        np.s_[lead, row : row + block[0], column : column + block[1]]
        for lead in range(2)
        for row in range(0, rows, block[0])
        for column in range(0, columns, block[1])
    ]
    means = np.array([weights[part].mean() for part in parts], "float32")
    zeros = counts.zeros(len(parts), percent / 100)
    expected = np.ones((2, *shape), bool)
    for part, stays in zip(parts, smallest_go([means], zeros)[0], strict=True):
        expected[part] = stays
    found = masks.magnitude(
        weights.astype("float32"), percent / 100, patterns.Block(block)
    )
    np.testing.assert_array_equal(as_array(found), expected)


# ---- what is not finite, and other bad input ----


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [300, LARGE])
@pytest.mark.parametrize("shared", [False, True])
def test_weights_that_are_not_finite_are_named(bad, size, shared):
    weights = [awkward("normal", size) for _ in range(3)]
    weights[1][size - 2] = bad
    free = [patterns.Unstructured()] * 3
    _, finite = topk.choose(
        list(map(ops.convert_to_tensor, weights)), free, [9, 9, 9], [shared] * 3
    )
    assert as_array(finite).tolist() == [True, False, True]
    with pytest.raises(ValueError, match=r"Received: weights\[1\] with NaN or inf"):
        masks.global_magnitude(weights, 0.5)


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FFFFFFF, 0xFF800001])
@pytest.mark.parametrize("size", [300, LARGE])
def test_weights_that_are_all_nan_are_refused(bits, size):
    weights = np.full(size, bits, "uint32").view("float32")
    for sparsity in (0.1, 0.9):
        with pytest.raises(ValueError, match="Received: weights with NaN"):
            masks.magnitude(weights, sparsity)


@pytest.mark.parametrize("pattern", ["2:4", "4x4", "unstructured"])
def test_no_pattern_ranks_nan(pattern):
    weights = np.ones((8, 8), "float32")
    weights[7, 7] = np.nan
    with pytest.raises(ValueError, match="Received: weights with NaN or infinity"):
        masks.magnitude(weights, 0.5, pattern)


@pytest.mark.parametrize(
    ("arguments", "error", "received"),
    [
        (dict(sparsity=1.0), ValueError, "sparsity=1.0"),
        (dict(sparsity=-0.1), ValueError, "sparsity=-0.1"),
        (dict(sparsity=None), TypeError, "sparsity=None"),
        (dict(sparsity="half"), TypeError, "sparsity='half'"),
        (dict(sparsity=0.3, pattern="2:4"), ValueError, "sparsity=0.3"),
        (dict(sparsity=None, pattern="2:3"), ValueError, "shape=(4, 4)"),
        (dict(pattern="nonsense"), ValueError, "pattern='nonsense'"),
        (dict(pattern=7), TypeError, "pattern=7"),
        (dict(weights=np.ones(4), pattern="2x2"), ValueError, "shape=(4,)"),
        (dict(weights=np.array(["a"])), TypeError, ""),
        (dict(weights=None), TypeError, "weights of type NoneType"),
        (dict(weights=np.ones(3, bool)), TypeError, "dtype=bool"),
        (dict(weights=np.ones((0, 3))), ValueError, "shape=(0, 3)"),
    ],
)
def test_magnitude_refuses(arguments, error, received):
    with pytest.raises(error) as caught:
        masks.magnitude(**dict(weights=np.ones((4, 4)), sparsity=0.5) | arguments)
    assert "Received: " in str(caught.value)
    assert str(caught.value).endswith(received)


@pytest.mark.parametrize(
    ("weights", "sparsity", "error", "received"),
    [
        ([], 0.5, ValueError, "weights=[]"),
        (np.ones((2, 2)), 0.5, TypeError, "weights of type ndarray"),
        ([np.ones(2), None], 0.5, TypeError, "weights[1] of type NoneType"),
        ([np.ones(2)], 2, ValueError, "sparsity=2"),
        (
            [np.ones(2, "float32"), np.ones(2, "float16")],
            0.5,
            ValueError,
            "dtypes=['float16', 'float32']",
        ),
    ],
)
def test_global_magnitude_refuses(weights, sparsity, error, received):
    with pytest.raises(error) as caught:
        masks.global_magnitude(weights, sparsity)
    assert str(caught.value).endswith(f"Received: {received}")


def test_integers_count_as_numbers():
    found = as_array(masks.magnitude([[1, -2], [3, -4]], 0.5))
    assert found.tolist() == [[False, False], [True, True]]


def test_infinite_scores_can_be_ranked():
    # Not weights but scores: "never drop this one" is written as infinity.
    scores = awkward("normal", LARGE)
    scores[::3] = np.inf
    scores = np.abs(scores)
    for zeros in (5, LARGE // 2, LARGE - 10):  # the last cuts among the infinite
        cuts = backend.find_cuts([ops.convert_to_tensor(scores)], [zeros], [[0]])
        found = backend.stays(ops.convert_to_tensor(scores), cuts.key[0], cuts.index[0])
        np.testing.assert_array_equal(as_array(found), smallest_go([scores], zeros)[0])


# ---- the compiled update ----


def test_compiled_update_each_writes_what_it_returns():
    shapes = [(3, 4), (5,), (3, 4)]
    units = [
        [
            keras.Variable(np.full(shape, number, "float32"), name=f"weight{number}"),
            keras.Variable(np.ones(shape, bool), dtype="bool", trainable=False),
        ]
        for number, shape in enumerate(shapes)
    ]
    traces = []

    def choose(values, factor, extra):
        traces.append(1)
        return values[0] * factor + extra["add"]

    def apply(values, new):
        return [new, ~values[1]]

    run = backend.compiled_update_each(choose, apply, units)
    for turn in range(3):
        factors = ops.convert_to_tensor([2.0 + turn] * len(units))  # a tensor's rows
        run(factors, [{"add": ops.convert_to_tensor(1.0)} for _ in units])
        alive = turn % 2 == 1
        assert all(bool(ops.all(mask.value == alive)) for _, mask in units)
    expected = [((number * 2 + 1) * 3 + 1) * 4 + 1 for number in range(3)]
    for (weight, _), value in zip(units, expected, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight.value), value)
    if BACKEND != "torch":
        assert len(traces) == 2  # one for each of the two shapes


@pytest.mark.parametrize("entries", [77_000, 7 * LARGE], ids=["small", "large"])
def test_decisions_go_through_the_compiled_parts(entries):
    weight = keras.Variable(awkward("normal", entries).reshape(7, -1))
    size = math.prod(weight.shape)
    look = backend.compiled(
        lambda tensors, zeros: topk.decide(
            tensors, [patterns.Unstructured()], zeros, [False]
        ).columns([0])
    )

    def choose(values, *decided):
        return topk.mask(values[0], patterns.Unstructured(), *decided)

    def apply(values, new):
        return [ops.where(new, values[0], 0.0)]

    run = backend.compiled_update_each(choose, apply, [[weight]])
    before = ops.convert_to_numpy(weight.value)
    for zeros in (10, size // 2):
        run(*look([weight.value], ops.convert_to_tensor([zeros], "int32")))
        now = ops.convert_to_numpy(weight.value)
        np.testing.assert_array_equal(
            now, np.where(smallest_go([before], zeros)[0], before, 0)
        )
