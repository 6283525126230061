"""How many zeros each weight gets: phases, layers' own wishes, patterns, shares."""

import dataclasses
import fractions
import itertools

import keras
import pytest

from keras_dsd import patterns, phases, regrowth
from keras_dsd.training.zero_counts import Targets


@dataclasses.dataclass(eq=False)
class Weight:
    """As much of a `PrunedWeight` as targets look at."""

    shape: tuple
    path: str = "layer/kernel"
    sparsity: object = None
    pattern: object = None

    def __post_init__(self):
        self.variable = keras.Variable([[0.0]], name="kernel")

    @property
    def size(self):
        size = 1
        for side in self.shape:
            size *= side
        return size


def targets(weights, epochs=4, **options):
    return Targets(phases.Sparse(epochs, **options), weights)


def finals(found):
    return [target.final for target in found.each]


def methods_of(found):
    return [target.method for target in found.each]


def weights(*shapes, **options):
    return [
        Weight(shape, f"layer_{number}/kernel", **options)
        for number, shape in enumerate(shapes)
    ]


@pytest.mark.parametrize("sparsity", [0.29, 0.57, 0.1, 0.999, 0.0])
def test_uniform_is_exact_for_each(sparsity):
    ours = weights((10, 10), (3, 7), (1, 1), (5, 3, 3, 2))
    found = targets(ours, sparsity=sparsity).zeros(sparsity)
    exact = fractions.Fraction(str(sparsity))
    assert found == [int(exact * weight.size) for weight in ours]


@pytest.mark.parametrize("distribution", ["er", "erk"])
@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.8, 0.95])
def test_shares_meet_the_total(distribution, sparsity):
    """Up to the fractions of a weight that each layer rounds down."""
    ours = weights((40, 30), (30, 20), (3, 3, 8, 16), (20, 5))
    found = targets(ours, sparsity=sparsity, distribution=distribution)
    wanted = sparsity * sum(weight.size for weight in ours)
    assert wanted - len(ours) <= sum(found.zeros(sparsity)) <= wanted


def test_global_is_one_number_for_all():
    ours = weights((10, 10), (3, 7), (2, 2))
    found = targets(ours, sparsity=0.29, distribution="global")
    assert found.zeros(0.29) == [int(0.29 * 125), None, None]
    assert finals(found) == [None] * 3
    assert all(found.prunes(weight) for weight in ours)


def test_a_layers_own_target_comes_before_the_phase():
    ours = [*weights((10, 10)), Weight((10, 10), sparsity=0.25), Weight((10, 10))]
    assert targets(ours, sparsity=0.5).zeros(0.5) == [50, 25, 50]


@pytest.mark.parametrize("distribution", ["uniform", "er", "global"])
def test_held_dense(distribution):
    ours = [Weight((10, 10)), Weight((10, 10), sparsity=0), Weight((10, 10))]
    found = targets(ours, sparsity=0.5, distribution=distribution)
    assert found.zeros(0.5)[1] == 0
    assert [found.prunes(weight) for weight in ours] == [True, False, True]


def test_held_dense_whatever_the_pattern():
    """A layer with 7 inputs can't be 2:4; held dense it needs not."""
    ours = [Weight((8, 4)), Weight((7, 3), sparsity=0)]
    found = targets(ours, pattern="2:4")
    assert found.zeros(0.5) == [None, 0]
    kinds = [target.pattern for target in found.each]
    assert kinds == [patterns.NM(2, 4), patterns.Unstructured()]


def test_a_frozen_weight_is_held_dense():
    ours = weights((10, 10), (10, 10))
    ours[0].variable.trainable = False
    assert targets(ours, sparsity=0.5).zeros(0.5) == [0, 50]


def test_blocks_are_counted_not_weights():
    ours = weights((8, 8), (9, 9), (2, 2))
    found = targets(ours, sparsity=0.5, pattern="4x4")
    assert found.zeros(0.5) == [2, 4, 0]


def test_a_layers_own_pattern():
    ours = [Weight((8, 8)), Weight((8, 8), pattern=patterns.NM(1, 4))]
    found = targets(ours, sparsity=0.5)
    assert found.zeros(0.5) == [32, None]
    assert finals(found)[1] == 0.75


def test_on_the_way_each_keeps_its_proportion():
    ours = [*weights((100, 10)), Weight((100, 10), sparsity=0.4)]
    found = targets(ours, sparsity=0.8, schedule="linear")
    assert found.zeros(0.0) == [0, 0]
    assert found.zeros(0.2) == [200, 100]
    assert found.zeros(0.8) == [800, 400]


@pytest.mark.parametrize("distribution", ["uniform", "er", {"layer_0": 0.3}])
def test_a_ramp_never_goes_back(distribution):
    """Also after rounding: more sparsity is never fewer zeros, for any layer."""
    ours = weights((11, 9), (7, 5), (30, 2))
    found = targets(ours, sparsity=0.7, schedule="cubic", distribution=distribution)
    schedule = phases.Sparse(50, sparsity=0.7, schedule="cubic").schedule_over(0.0, 1)
    rows = [found.zeros(schedule(time)) for time in range(50)]
    for one, other in itertools.pairwise(rows):
        assert all(a <= b for a, b in zip(one, other, strict=True))
    assert rows[-1] == found.zeros(0.7)


@pytest.mark.parametrize(
    ("ours", "options", "words"),
    [
        ([Weight((7, 4), "odd")], {"pattern": "2:4"}, "odd"),
        ([Weight((8, 4), "own", sparsity=0.3)], {"pattern": "2:4"}, "own"),
        (
            [Weight((8, 4), "block", pattern=patterns.Block((2, 2)))],
            {"sparsity": 0.5, "distribution": "global"},
            "block",
        ),
        (
            [Weight((8, 4))],
            {"sparsity": 0.5, "distribution": {"nowhere": 0.1}},
            "nowhere",
        ),
        (
            [Weight((8, 4))],
            {"sparsity": 0.5, "distribution": lambda *_: [0.5, 0.5]},
            "one sparsity",
        ),
        (
            [Weight((8, 4))],
            {"sparsity": 0.5, "distribution": lambda *_: [1.5]},
            "distribution",
        ),
        (
            [Weight((8, 4))],
            {"sparsity": 0.5, "distribution": lambda *_: ["much"]},
            "distribution",
        ),
        (
            [Weight((8, 4))],
            {"sparsity": 0.5, "distribution": lambda *_: 0.5},
            "distribution",
        ),
    ],
)
def test_refused(ours, options, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        targets(ours, **options)
    assert words in str(caught.value)
    assert "Received: " in str(caught.value)


def test_which_weights_move():
    """Held dense, frozen or with a pattern of their own: they do not."""
    ours = [
        *weights((8, 8), (8, 8)),
        Weight((8, 8), "frozen"),
        Weight((8, 8), "dense", sparsity=0),
        Weight((8, 8), "own", sparsity=0.25),
        Weight((8, 8), "pattern", pattern=patterns.NM(2, 4)),
    ]
    ours[2].variable.trainable = False
    found = targets(ours, sparsity=0.5, regrowth="rigl", distribution={"layer_1": 0.0})
    rigl = regrowth.RigL()
    assert methods_of(found) == [rigl, None, None, None, rigl, None]
    assert [target.follows for target in found.each] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert methods_of(targets(ours, sparsity=0.5)) == [None] * 6
    still = targets(ours, sparsity=0.5, regrowth="static")
    assert methods_of(still) == [None] * 6


def test_granet_moves_what_begins_dense():
    ours = [*weights((8, 8), (8, 8)), Weight((8, 8), "dense", sparsity=0)]
    method = regrowth.GraNet(initial_sparsity=0)
    found = targets(ours, sparsity=0.5, regrowth=method)
    assert finals(found) == [0, 0, 0]
    assert methods_of(found) == [method, method, None]
    assert [found.prunes(weight) for weight in ours] == [True, True, False]


def test_methods_by_path():
    ours = weights((8, 8), (8, 8), (8, 8), (8, 8))
    methods = {"layer_0": "rigl", "layer_[01]": "set", "layer_2": "static"}
    found = targets(ours, sparsity=0.5, regrowth=methods)
    assert methods_of(found) == [regrowth.RigL(), regrowth.SET(), None, None]


def test_a_method_for_no_weight_is_refused():
    methods = {"layer": "rigl", "nowhere": "set"}
    with pytest.raises(ValueError, match=r"'nowhere'.*Received: regrowth="):
        targets(weights((8, 8)), sparsity=0.5, regrowth=methods)


def test_how_many_live():
    ours = [
        *weights((10, 10), (3, 7)),
        Weight((10, 10), "dense", sparsity=0),
        Weight((10, 10), "own", sparsity=0.25),
        Weight((8, 8), "pattern", pattern=patterns.NM(2, 4)),
    ]
    found = targets(ours, sparsity=0.29, regrowth="set")
    assert found.active(0.29) == [71, 15, 100, 75, None]
    ours = weights((10, 10), (3, 7))
    found = targets(ours, sparsity=0.29, regrowth="set", distribution="global")
    assert found.active(0.29) == [None, None]
