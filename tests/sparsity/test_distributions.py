import json
import math
import re
from fractions import Fraction

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dsd import distributions
from keras_dsd.sparsity import counts
from tests import reference_vectors

pytestmark = pytest.mark.one_backend

SPARSITIES = st.one_of(
    st.floats(0, 0.999), st.integers(0, 999).map(lambda thousandths: thousandths / 1000)
)
SHAPES = st.lists(
    st.lists(st.integers(1, 40), min_size=2, max_size=4).map(tuple),
    min_size=1,
    max_size=6,
)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.one_of(st.integers(-1, 3), st.lists(st.integers(-1, 3))), max_size=3),
)
SCALED = pytest.mark.parametrize("distribution", [distributions.er, distributions.erk])
ALL = pytest.mark.parametrize(
    "distribution",
    [*distributions.BY_NAME.values(), distributions.per_layer({})],
    ids=[*distributions.BY_NAME, "per_layer"],
)


def sizes(shapes):
    return [math.prod(shape) for shape in shapes]


def zeros(shapes, sparsities):
    return [counts.zeros(n, s) for n, s in zip(sizes(shapes), sparsities, strict=True)]


def refuses(function, *args):
    """Whether the call is refused in the one way allowed; False where it returns."""
    try:
        function(*args)
    except (TypeError, ValueError) as error:
        assert re.search(r"Received: .+$", str(error), re.DOTALL)
        return True
    return False


def check_reference(name, case):
    shapes, expected = case["inputs"]["shapes"], case["expected"]
    got = distributions.get(name)(list(shapes.values()), case["inputs"]["s"])
    assert all(type(s) is float for s in got)
    assert got == pytest.approx(list(expected["sparsity"].values()), abs=1e-9, rel=0)
    count = dict(zip(shapes, zeros(shapes.values(), got), strict=True))
    either = expected.get("zeros_either", {})
    assert {k: v for k, v in count.items() if k not in either} == expected["zeros"]
    # The reference admits two counts here; ours is the one without rounding.
    assert {k: count[k] for k in either} == {k: max(v) for k, v in either.items()}
    return dict(zip(shapes, got, strict=True))


@pytest.mark.parametrize("case", reference_vectors.params("uniform"))
def test_uniform_of_the_reference(case):
    check_reference("uniform", case)


@pytest.mark.parametrize("case", reference_vectors.params("er"))
def test_er_of_the_reference(case):
    got = check_reference("er", case)
    assert [k for k, s in got.items() if s == 0.0] == case["expected"]["dense"]


@pytest.mark.parametrize("case", reference_vectors.params("erk"))
def test_erk_of_the_reference(case):
    got = check_reference("erk", case)
    assert [k for k, s in got.items() if s == 0.0] == case["expected"]["dense"]


@given(SHAPES, SPARSITIES)
def test_uniform_hands_the_number_on(shapes, sparsity):
    assert distributions.uniform(shapes, sparsity) == [sparsity] * len(shapes)


@SCALED
@given(SHAPES, SPARSITIES)
def test_the_zeros_add_up_to_those_asked_for(distribution, shapes, sparsity):
    got = distribution(shapes, sparsity)
    assert all(type(s) is float and 0 <= s < 1 for s in got)
    wanted = counts.as_fraction(sparsity) * sum(sizes(shapes))
    # Each layer is floored once, so it loses less than one zero.
    assert wanted - len(shapes) < sum(zeros(shapes, got)) <= wanted


@SCALED
@given(SHAPES, SPARSITIES)
def test_densities_are_proportional_unless_full(distribution, shapes, sparsity):
    raw = {
        distributions.er: [(s[-1] + s[-2]) / (s[-1] * s[-2]) for s in shapes],
        distributions.erk: [sum(s) / math.prod(s) for s in shapes],
    }[distribution]
    density = [1 - s for s in distribution(shapes, sparsity)]
    eps = [d / p for d, p in zip(density, raw, strict=True) if d < 1 - 1e-9]
    if eps:
        assert eps == pytest.approx([eps[0]] * len(eps), rel=1e-6)
        for d, p in zip(density, raw, strict=True):
            # A full layer is one that this eps would overfill.
            assert d < 1 - 1e-9 or eps[0] * p >= 1 - 1e-6


@SCALED
@given(SHAPES, SPARSITIES, SPARSITIES)
def test_more_sparsity_never_makes_a_layer_denser(distribution, shapes, a, b):
    low, high = (distribution(shapes, s) for s in sorted((a, b)))
    assert all(x <= y + 1e-12 for x, y in zip(low, high, strict=True))


@SCALED
@given(SHAPES, SPARSITIES, st.randoms(use_true_random=False))
def test_the_order_of_the_layers_does_not_matter(distribution, shapes, sparsity, rng):
    order = rng.sample(range(len(shapes)), len(shapes))
    got = distribution(shapes, sparsity)
    shuffled = distribution([shapes[i] for i in order], sparsity)
    assert shuffled == [got[i] for i in order]


@SCALED
def test_all_layers_that_tie_for_full_become_dense(distribution):
    got = distribution([(2, 2), (100, 100), (2, 2)], 0.5)
    assert got[0] == got[2] == 0.0 < got[1]


@SCALED
def test_the_float_keeps_the_count_of_the_exact_share(distribution):
    # Alone, a layer gets 2/7; as floats, 2/7 of 7 is below 2 and 0.75 of 4 is 3.
    assert zeros([(7, 1)], distribution([(7, 1)], Fraction(2, 7))) == [2]
    below = Fraction(3, 4) - Fraction(1, 10**18)
    assert zeros([(4, 1)], distribution([(4, 1)], below)) == [2]


@pytest.mark.parametrize("sparsity", [np.float32(0.29), Fraction(2, 7), 0])
def test_uniform_keeps_the_count_of_every_kind_of_number(sparsity):
    shapes = [(100, 7), (7, 1)]
    got = distributions.uniform(shapes, sparsity)
    assert all(type(s) is float for s in got)
    assert zeros(shapes, got) == zeros(shapes, [sparsity] * 2)


def test_er_reads_the_last_two_axes_and_erk_all():
    shapes = [(1, 1, 32, 64), (5, 5, 32, 64)]
    plain, kernel = distributions.er(shapes, 0.9), distributions.erk(shapes, 0.9)
    assert plain[0] == pytest.approx(plain[1], abs=1e-4)
    assert kernel[0] < kernel[1]


def test_sizes_beyond_64_bits_do_not_overflow():
    side = np.int64(2**40)
    assert distributions.erk([(side, side)], 0.5) == [0.5]


@given(SHAPES, SPARSITIES)
def test_global_leaves_every_layer_to_the_ranking(shapes, sparsity):
    assert distributions.global_(shapes, sparsity) == [None] * len(shapes)


@ALL
@given(ANYTHING, ANYTHING)
def test_bad_arguments_are_refused(distribution, shapes, sparsity):
    good_sparsity = type(sparsity) in (int, float) and 0 <= sparsity < 1
    assert refuses(distribution, [(2, 3)], sparsity, ["a"]) == (not good_sparsity)
    good_shapes = isinstance(shapes, (list, str)) and all(
        isinstance(shape, list) and len(shape) >= 1 and min(shape) >= 1
        for shape in shapes
    )
    if not good_shapes:
        assert refuses(distribution, shapes, 0.5, ["a"])


@ALL
def test_no_layers_give_no_sparsities(distribution):
    assert distribution([], 0.5, []) == []


def test_er_needs_two_axes():
    assert refuses(distributions.er, [(4,)], 0.5)
    assert distributions.erk([(4,)], 0.5) == [0.5]


PATHS = ["conv/kernel", "dense/kernel", "head/kernel"]
THREE = [(3, 3, 8, 8), (8, 8), (8, 2)]


def test_per_layer_takes_the_first_regex_that_matches_anywhere():
    mixed = distributions.per_layer({"^head": 0.0, "e(n|a)": 0.25})
    assert mixed(THREE, 0.5, PATHS) == [0.5, 0.25, 0.0]
    mixed = distributions.per_layer({"e(n|a)": 0.25, "^head": 0.0})
    assert mixed(THREE, 0.5, PATHS) == [0.5, 0.25, 0.25]


def test_per_layer_refuses_a_regex_that_matches_no_path():
    mixed = distributions.per_layer({"conv": 0.1, "embedding": 0.2})
    with pytest.raises(
        ValueError, match=r"'embedding'.*\['conv/k.*\]\. Received: targets="
    ):
        mixed(THREE, 0.5, PATHS)


@pytest.mark.parametrize("paths", [None, "abc", PATHS[:2], [1, 2, 3]])
def test_per_layer_needs_one_path_per_shape(paths):
    assert refuses(distributions.per_layer({"conv": 0.1}), THREE, 0.5, paths)


@pytest.mark.parametrize("key", [1, b"a", re.compile("a"), "(", "a{99999999999}"])
def test_per_layer_refuses_what_is_no_regex(key):
    assert refuses(distributions.per_layer, {key: 0.5})


@pytest.mark.parametrize(
    "targets", [None, [("a", 0.5)], {"a": 1.0}, {"a": "0.5"}, {"a": None}, {"a": True}]
)
def test_per_layer_refuses_bad_targets(targets):
    assert refuses(distributions.per_layer, targets)


def test_per_layer_survives_a_file():
    mixed = distributions.per_layer({"head": np.float32(0.29), "^class_name$": 0})
    stored = json.dumps(keras.saving.serialize_keras_object(mixed))
    loaded = keras.saving.deserialize_keras_object(json.loads(stored))
    assert loaded == mixed
    assert list(loaded.targets.items()) == [("head", 0.29), ("^class_name$", 0.0)]


def test_per_layer_keeps_a_copy():
    targets = {"head": 0.1}
    mixed = distributions.per_layer(targets)
    targets["head"] = 0.9
    mixed.get_config()["targets"]["head"] = 0.8
    assert mixed.targets == {"head": 0.1}


@pytest.mark.parametrize("name", distributions.BY_NAME)
def test_a_named_distribution_is_found_and_survives_a_file(name):
    distribution = distributions.get(name)
    stored = json.dumps(keras.saving.serialize_keras_object(distribution))
    assert keras.saving.deserialize_keras_object(json.loads(stored)) is distribution


def test_get_takes_a_dict_or_a_callable():
    def mine(shapes, sparsity, paths=None):
        return [0.1] * len(shapes)

    assert distributions.get(mine) is mine
    assert distributions.get({"a": 0.5}) == distributions.per_layer({"a": 0.5})


@pytest.mark.parametrize("identifier", ["ERK", "", None, 3, ["erk"]])
def test_get_lists_what_is_known(identifier):
    known = re.escape("Known: ['er', 'erk', 'global', 'uniform']")
    received = re.escape(f"Received: distribution={identifier!r}")
    with pytest.raises((TypeError, ValueError), match=f"{known}.*{received}$"):
        distributions.get(identifier)
