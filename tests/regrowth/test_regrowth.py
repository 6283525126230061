"""Methods of regrowth as values: how much moves when, scores, budgets, files."""

import dataclasses
import fractions
import json
import re

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

import keras_dsd as dsd
from keras_dsd import phases, regrowth
from keras_dsd.regrowth import lookup, methods
from tests import helpers, reference_vectors

SHARES = st.floats(0.001, 1)
METHODS = [
    regrowth.Static(),
    regrowth.SET(0.2, decay="linear", stop=0.5),
    regrowth.RigL(0.25),
    regrowth.MEST(growth="gradient", gradient_factor=0.1, soft_bound=0.2),
    regrowth.GraNet(initial_sparsity=0.1, prune_stop=0.7, growth="random"),
    regrowth.SNFS(np.float32(0.25), decay="constant"),
]


@keras.saving.register_keras_serializable(package="tests")
@dataclasses.dataclass(frozen=True)
class SameSign(regrowth.Regrowth):
    """A user's own: grows where a step would make a weight positive."""

    _: dataclasses.KW_ONLY
    tilt: float = 0.0

    needs = ("gradient",)

    def grow_score(self, connections):
        return self.tilt - connections.gradient


def numbers(size, active, target=None, momentum=None):
    target = active if target is None else target
    return regrowth.Counts(*map(np.array, (size, active, target)), momentum)


def round_trip(method):
    stored = json.dumps(keras.saving.serialize_keras_object(method))
    return keras.saving.deserialize_keras_object(json.loads(stored))


# How much moves when


@pytest.mark.parametrize("case", reference_vectors.params("drop_fraction"))
@pytest.mark.parametrize("kind", [regrowth.SET, regrowth.RigL, regrowth.SNFS])
def test_drop_fraction_of_the_reference(kind, case):
    inputs = case["inputs"]
    method = kind(inputs["a"], decay=inputs["kind"], stop=1.0)
    left = [method.decayed(t - inputs["start"], inputs["T"]) for t in inputs["step"]]
    got = [method.drop_fraction * share for share in left]
    assert got == pytest.approx(case["expected"]["fraction"], abs=1e-9, rel=0)


@pytest.mark.parametrize("decay", ["cosine", "linear", "constant"])
def test_nothing_is_left_after_stop(decay):
    method = regrowth.RigL(decay=decay, stop=0.5)
    assert method.decayed(0, 200) == 1.0
    assert method.decayed(99, 200) > 0
    assert [method.decayed(t, 200) for t in (101, 150, 199, 200)] == [0.0] * 4


@given(st.sampled_from(["cosine", "linear", "constant"]), SHARES, st.integers(1, 500))
def test_what_is_left_only_falls(decay, stop, length):
    method = regrowth.RigL(decay=decay, stop=stop)
    left = [method.decayed(t, length) for t in range(length + 1)]
    assert left[0] == 1.0 and min(left) >= 0
    assert left == sorted(left, reverse=True)


# Budgets


@pytest.mark.parametrize("method", [regrowth.SET(), regrowth.RigL(), SameSign()])
@pytest.mark.parametrize("is_last", [False, True])
def test_each_tensor_keeps_its_number(method, is_last):
    """Floors of the fraction that was written, 0.3 of 10 as well as of 9 and 0."""
    counts = numbers([20, 20, 20, 20], [10, 9, 0, 20])
    stay, come = method.budget(counts, 1.0, is_last)
    assert come.tolist() == [3, 2, 0, 6]
    assert (stay + come).tolist() == [10, 9, 0, 20]
    stay, come = method.budget(counts, 0.0, is_last)
    assert (stay.tolist(), come.tolist()) == ([10, 9, 0, 20], [0] * 4)


@pytest.mark.parametrize("fraction", [0.29, np.float32(0.29)])
def test_a_fraction_is_the_decimal_that_was_written(fraction):
    assert 0.29 * 100 < 29
    _, come = regrowth.SET(fraction).budget(numbers([200], [100]), 1.0, False)
    assert come.tolist() == [29]


@st.composite
def tensors(draw):
    rows = st.integers(1, 300).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))
    )
    return numbers(*zip(*draw(st.lists(rows, min_size=1, max_size=5)), strict=True))


@given(tensors(), SHARES, st.floats(0, 3), st.floats(0, 1), st.booleans())
def test_mest_keeps_its_bounds(counts, drop, soft_bound, decayed, is_last):
    method = regrowth.MEST(drop, soft_bound=soft_bound)
    stay, come = method.budget(counts, decayed, is_last)
    assert (stay >= 0).all() and (come >= 0).all()
    assert (stay <= counts.active).all()
    after = stay + come
    assert (after <= counts.size).all()
    most = 1 + fractions.Fraction(repr(soft_bound))
    for now, target in zip(after, counts.target, strict=True):
        assert target <= now <= most * int(target)
    if is_last or decayed == 0:
        assert after.tolist() == counts.target.tolist()


def test_mest_trains_more_between_updates_and_takes_it_back():
    method = regrowth.MEST(0.3, soft_bound=0.2)
    budget = [
        method.budget(numbers([200, 110], active, [100, 100]), *now)
        for active, now in (
            ([100, 100], (1.0, False)),
            ([120, 110], (0.5, False)),
            ([110, 110], (0.25, True)),
        )
    ]
    stay, come = zip(*(map(np.ndarray.tolist, pair) for pair in budget), strict=True)
    assert stay == ([90, 80], [95, 95], [93, 93])
    assert come == ([30, 30], [15, 15], [7, 7])


@given(
    st.integers(1, 300),
    st.integers(1, 400),
    st.floats(0.01, 1),
    st.floats(0, 0.8),
)
def test_granet_arrives_in_time(length, every, prune_stop, initial):
    method = regrowth.GraNet(initial_sparsity=initial, prune_stop=prune_stop)
    schedule = method.schedule(0.9, length, every)
    reached = {time: schedule(time) for time in range(0, length, every)}
    assert list(reached.values())[-1] == 0.9
    assert list(reached.values()) == sorted(reached.values())
    assert reached[0] == (initial if every < length else 0.9)
    assert {s for t, s in reached.items() if t >= prune_stop * length} <= {0.9}


@given(tensors(), SHARES, st.floats(0, 1), st.data())
def test_snfs_keeps_the_total(counts, drop, decayed, data):
    number = len(counts.size)
    shares = st.lists(st.floats(0, 1e30), min_size=number, max_size=number)
    momentum = np.array(data.draw(shares), "float32")
    stay, come = regrowth.SNFS(drop).budget(
        counts._replace(momentum=momentum), decayed, False
    )
    assert (stay + come).sum() == counts.active.sum()
    assert (come >= 0).all()
    assert (stay + come <= counts.size).all()


@pytest.mark.parametrize(
    ("active", "momentum", "expected"),
    [
        ([50, 50], [3.0, 1.0], [30, 10]),
        ([50, 50], [0.0, 0.0], [20, 20]),
        ([50, 50], [0.0, 2.0], [0, 40]),
        ([50, 90], [1.0, 9.0], [10, 46]),  # 50.4 would come, 46 fit
        ([50, 100], [1.0, 0.0], [60, 0]),
    ],
)
def test_snfs_gives_more_where_momentum_is_larger(active, momentum, expected):
    counts = numbers([100, 100], active, momentum=np.array(momentum, "float32"))
    stay, come = regrowth.SNFS(0.4).budget(counts, 1.0, False)
    assert stay.tolist() == [n - 4 * n // 10 for n in active]
    assert come.tolist() == expected


@given(
    st.lists(
        st.tuples(
            st.one_of(st.just(0.0), st.floats(0, 3e38), st.just(float("nan"))),
            st.integers(0, 10**6),
        ),
        min_size=1,
        max_size=8,
    ),
    st.floats(0, 1),
)
def test_spreading_ends_and_fits(layers, part):
    shares, room = map(np.array, zip(*layers, strict=True))
    total = int(part * room.sum())
    given_ = methods._spread(total, shares, room)
    assert given_.sum() == total
    assert (given_ >= 0).all() and (given_ <= room).all()


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=8, unique=True),
    st.integers(0, 10**4),
)
def test_spreading_keeps_the_order(shares, total):
    """Where there is room for all, and within one of the exact proportion."""
    given_ = methods._spread(total, shares, np.full(len(shares), 10**5))
    ranked = given_[np.argsort(shares)].tolist()
    assert ranked == sorted(ranked)
    if sum(shares):
        exact = total * np.array(shares) / sum(shares)
        assert (np.abs(given_ - exact) < 1).all()


# Scores


def test_scores():
    value, gradient, random = (
        ops.convert_to_tensor(row, "float32")
        for row in ([1.0, -2.0, 0.0], [-3.0, 1.0, -2.0], [0.2, 0.9, 0.5])
    )
    view = regrowth.Connections(value, value != 0, gradient, random)

    def scores(method):
        found = (method.drop_score(view), method.grow_score(view))
        return tuple(ops.convert_to_numpy(score).tolist() for score in found)

    kept, size = ops.convert_to_numpy(value).tolist(), [3.0, 1.0, 2.0]
    drawn = ops.convert_to_numpy(random).tolist()
    assert scores(regrowth.SET()) == (kept, drawn)
    assert scores(regrowth.MEST()) == (kept, drawn)
    assert scores(regrowth.GraNet(growth="random")) == (kept, drawn)
    for method in (regrowth.RigL(), regrowth.SNFS(), regrowth.GraNet()):
        assert scores(method) == (kept, size)
    both = regrowth.MEST(growth="gradient", gradient_factor=0.5)
    assert scores(both) == ([2.5, 2.5, 1.0], size)
    assert scores(SameSign(tilt=1.0)) == (kept, [4.0, 0.0, 3.0])


@pytest.mark.parametrize(
    ("method", "needs"),
    [
        (regrowth.SET(), {"random"}),
        (regrowth.RigL(), {"gradient"}),
        (regrowth.SNFS(), {"gradient", "momentum"}),
        (regrowth.GraNet(), {"gradient"}),
        (regrowth.GraNet(growth="random"), {"random"}),
        (regrowth.MEST(), {"random"}),
        (regrowth.MEST(growth="gradient"), {"gradient"}),
        (regrowth.MEST(gradient_factor=0.1), {"gradient", "random"}),
    ],
    ids=lambda value: repr(value) if not isinstance(value, set) else None,
)
def test_needs(method, needs):
    assert set(method.needs) == needs


# Names, dicts, files


@pytest.mark.parametrize(("name", "kind"), lookup.BY_NAME.items())
def test_a_name_is_its_class_in_lower_case(name, kind):
    assert regrowth.get(name) == kind() and type(regrowth.get(name)) is kind
    assert name == kind.__name__.lower()


def test_get_leaves_methods_as_they_are():
    for method in (*METHODS, SameSign()):
        assert regrowth.get(method) is method
    found = regrowth.get({"head": "set", "conv": METHODS[2]})
    assert found == {"head": regrowth.SET(), "conv": METHODS[2]}


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        regrowth.RigL,
        ["rigl"],
        "RigL",
        "",
        {},
        {"a": "unknown"},
        {"a": None},
        {"(": "rigl"},
        {3: "rigl"},
        {"a": "granet"},
        {"a": {"b": "rigl"}},
    ],
    ids=repr,
)
def test_get_refuses(value):
    with pytest.raises((TypeError, ValueError), match=r"Received: regrowth=.+$"):
        regrowth.get(value)


def test_the_first_expression_that_matches_counts():
    methods = regrowth.get({"head/": "set", "head|conv": "rigl"})
    paths = ("net/head/kernel", "net/conv/kernel", "net/body/kernel")
    assert [lookup.choose(methods, path) for path in paths] == [
        regrowth.SET(),
        regrowth.RigL(),
        regrowth.Static(),
    ]
    assert lookup.choose(METHODS[1], "any") is METHODS[1]


def test_each_expression_must_match_a_path():
    methods = regrowth.get({"conv": "rigl", "haed": "set"})
    lookup.check(methods, ["conv/kernel", "haed/kernel"])
    lookup.check(METHODS[1], [])
    with pytest.raises(ValueError, match=r"'haed', .*conv/kernel.*Received: regrow"):
        lookup.check(methods, ["conv/kernel", "head/kernel"])


@pytest.mark.parametrize("method", [*METHODS, SameSign(0.2, tilt=0.5)], ids=repr)
def test_through_a_file_and_back(method):
    again = round_trip(method)
    assert again == method and type(again) is type(method)
    assert type(method).from_config(method.get_config()) == method


def test_a_users_own_method_trains():
    model = dsd.make_prunable(helpers.mlp(), track_gradients=True)
    model.compile("sgd", "mse")
    x, y = helpers.data()
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(helpers.masks_of(model))
    )
    plan = [phases.Sparse(3, sparsity=0.5, regrowth=SameSign(0.4, stop=1.0))]
    model.fit(x, y, epochs=3, callbacks=[dsd.DSDCallback(plan), look], verbose=0)
    moved = [np.sum(a & ~b) for a, b in zip(seen[0], seen[-1], strict=True)]
    assert all(moved)
    assert [mask.sum() for mask in seen[-1]] == [mask.sum() for mask in seen[0]]


# What is refused

KINDS = [regrowth.SET, regrowth.RigL, regrowth.MEST, regrowth.GraNet, regrowth.SNFS]
NOT_A_SHARE = [0, -0.1, 1.1, True, "0.3", None, float("nan"), float("inf")]
NEGATIVE = [-0.1, True, "1", None, float("nan"), float("inf")]


@pytest.mark.parametrize("kind", [*KINDS, SameSign])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("drop_fraction", NOT_A_SHARE),
        ("stop", NOT_A_SHARE),
        ("decay", ["exponential", "Cosine", None, 3]),
    ],
)
def test_every_method_checks(kind, name, values):
    refused(kind, name, values)


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (regrowth.MEST, "growth", ["momentum", None, 3]),
        (regrowth.GraNet, "growth", ["momentum", None, 3]),
        (regrowth.MEST, "gradient_factor", NEGATIVE),
        (regrowth.MEST, "soft_bound", NEGATIVE),
        (regrowth.GraNet, "initial_sparsity", [-0.1, 1, True, "0", float("nan")]),
        (regrowth.GraNet, "prune_stop", NOT_A_SHARE),
    ],
)
def test_some_methods_check_more(kind, name, values):
    refused(kind, name, values)


def refused(kind, name, values):
    for value in values:
        ending = f"Received: {name}={re.escape(repr(value))}$"
        with pytest.raises((TypeError, ValueError), match=ending):
            kind(**{name: value})
