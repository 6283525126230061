"""Rule 12 for everything public: whatever is given, it returns or says what it got.

The names are found at run time, so a new one fails here until the table below has
arguments that are right for it. From those, one to three are exchanged for others of a
wrong type, range, shape or dtype.
"""

import collections
import decimal
import fractions
import inspect
import math
import tempfile
import types

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers

import keras_dsd as dsd
from keras_dsd import patterns, phases, regrowth, schedules
from tests import helpers

# Has a table of its own, in tests/robustness/test_bad_input.py.


def named_in(module):
    """Returns {name: value} of what a module offers."""
    own = {name for name, value in vars(module).items() if is_own(value, module)}
    names = getattr(module, "__all__", own)
    return {name: getattr(module, name) for name in sorted(names)}


def is_own(value, module):
    public = not getattr(value, "__name__", "_").startswith("_")
    return public and getattr(value, "__module__", None) == module.__name__


def public():
    """Returns {dotted name: function or class} of all that is public."""
    found = {}
    for name, value in named_in(dsd).items():
        if not isinstance(value, types.ModuleType):
            found[name] = value
        else:
            found |= {f"{name}.{key}": one for key, one in named_in(value).items()}
    return {
        name: value
        for name, value in found.items()
        if callable(value) and not inspect.isabstract(value)
    }


def shapes():
    return {"shapes": [(4, 8), (8, 2)], "sparsity": 0.5, "paths": ["a", "b"]}


def weights():
    return np.arange(12, dtype="float32").reshape(4, 3) - 5.5


def connections():
    mask = weights() > 0
    return {"value": weights() * mask, "mask": mask, "gradient": -weights()}


def counts():
    return {"size": [12, 8], "active": [6, 4], "target": [6, 4], "momentum": [0.1, 0.2]}


def ramp():
    return {"final": 0.5, "initial": 0.1, "begin": 1, "end": 3}


def moves():
    return {"drop_fraction": 0.3, "decay": "cosine", "stop": 0.75}


def phase():
    return {"epochs": 2, "lr_factor": 0.5, "until": phases.Plateau()}


def decay():
    return keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)


def wrapped():
    return dsd.make_prunable(helpers.mlp())


# What each is called with if all is right.
VALID = {
    "Backup": lambda: {
        "path": tempfile.gettempdir() + "/never_written.weights.h5",
        "verbose": 0,
    },
    "DSDCallback": lambda: {
        "phases": [phases.Dense(1)],
        "seed": 1,
        "audit": tempfile.gettempdir() + "/never_written.jsonl",
        "optimizers": [keras.optimizers.SGD()],
        "verbose": 0,
    },
    "Prunable": lambda: {
        "layer": layers.Dense(4),
        "sparsity": 0.5,
        "pattern": None,
        "track_gradients": True,
    },
    "recipe": lambda: {"name": "dsd", "epochs": 5, "sparsity": 0.5},
    "phases.recipe": lambda: {"name": "acdc", "epochs": 9, "cycles": 2},
    "hold_zeros": lambda: {"model": wrapped()},
    "make_prunable": lambda: {
        "model": helpers.mlp(),
        "include": "dense",
        "exclude": ["dense_1"],
        "sparsity": 0.5,
        "track_gradients": False,
        "strict": False,
    },
    "sparsity_report": lambda: {"model": wrapped()},
    "strip": lambda: {"model": wrapped()},
    "audit.AuditLog": lambda: {"path": tempfile.gettempdir() + "/never_written.jsonl"},
    "audit.entry": lambda: {
        "path": "kernel",
        "old": np.array([True, False]),
        "new": np.array([False, True]),
    },
    "audit.read": lambda: {"path": "/dev/null"},
    "distributions.PerLayer": lambda: {"targets": {"dense": 0.5}},
    "distributions.er": shapes,
    "distributions.erk": shapes,
    "distributions.get": lambda: {"identifier": "erk"},
    "distributions.global_": shapes,
    "distributions.per_layer": lambda: {"targets": {"dense": 0.5}},
    "distributions.uniform": shapes,
    "masks.drop_and_grow": lambda: {
        "weights": weights(),
        "mask": weights() > 0,
        "growth_scores": weights(),
        "fraction": 0.5,
    },
    "masks.global_magnitude": lambda: {"weights": [weights()] * 2, "sparsity": 0.5},
    "masks.magnitude": lambda: {
        "weights": weights(),
        "sparsity": 0.5,
        "pattern": "2x3",
    },
    "patterns.Block": lambda: {"shape": (2, 4)},
    "patterns.NM": lambda: {"n": 2, "m": 4},
    "patterns.Unstructured": dict,
    "patterns.get": lambda: {"identifier": "2:4"},
    "phases.Dense": phase,
    "phases.Phase": phase,
    "phases.Plateau": lambda: {
        "monitor": "loss",
        "patience": 2,
        "min_delta": 0.1,
        "mode": "min",
    },
    "phases.Redense": lambda: {**phase(), "restore": "rewind"},
    "phases.Sparse": lambda: {
        **phase(),
        "sparsity": 0.5,
        "distribution": "er",
        "schedule": "one_shot",
        "pattern": None,
        "regrowth": "granet",
        "update_every": 10,
        "tolerance": 0.01,
        "monitor": None,
        "mode": "auto",
    },
    "phases.acdc": lambda: {"epochs": 9, "sparsity": 0.5, "cycles": 2, "end": "dense"},
    "phases.dsd": lambda: {"epochs": 9, "sparsity": 0.5, "cycles": 2},
    "phases.dst": lambda: {
        "epochs": 9,
        "method": "set",
        "sparsity": 0.5,
        "distribution": "erk",
        "update_every": 3,
    },
    "phases.restart": lambda: {"epochs": 9, "sparsity": 0.5, "cycles": 2},
    "regrowth.Connections": connections,
    "regrowth.Counts": counts,
    "regrowth.GraNet": lambda: {
        **moves(),
        "growth": "random",
        "initial_sparsity": 0.2,
        "prune_stop": 0.5,
    },
    "regrowth.MEST": lambda: {
        **moves(),
        "growth": "gradient",
        "gradient_factor": 0.1,
        "soft_bound": 0.1,
    },
    "regrowth.RigL": moves,
    "regrowth.SET": moves,
    "regrowth.SNFS": moves,
    "regrowth.Static": dict,
    "regrowth.get": lambda: {"value": "rigl"},
    "schedules.Constant": lambda: {"final": 0.5},
    "schedules.Cosine": ramp,
    "schedules.Cubic": ramp,
    "schedules.Linear": ramp,
    "schedules.OneShot": lambda: {"final": 0.5, "initial": 0.1, "at": 2},
    "schedules.PhaseLearningRate": lambda: {"schedule": decay(), "factor": 0.5},
    "schedules.named": lambda: {"name": "cubic"},
}

# Anything at all; each made anew, for some can be changed.
THINGS = [
    lambda: object(),
    lambda: object,
    lambda: lambda *args: args,
    lambda: 1j,
    lambda: b"2:4",
    lambda: ("a", 2),
    lambda: [[1.0], [2.0, 3.0]],
    lambda: [[None]],
    lambda: ["dense", None],
    lambda: range(3),
    lambda: decimal.Decimal("0.5"),
    lambda: fractions.Fraction(1, 2),
    lambda: 10**40,
    lambda: -(10**40),
    lambda: 1e308,
    lambda: math.nan,
    lambda: math.inf,
    lambda: np.float16(0.5),
    lambda: np.int64(2),
    lambda: np.bool_(True),
    lambda: np.str_("2:4"),
    lambda: np.array(0.5),
    lambda: np.zeros((0, 3), "float32"),
    lambda: np.full((4, 3), np.nan, "float32"),
    lambda: np.ones((4, 3), bool),
    lambda: np.ones((4, 3), "int8"),
    lambda: np.ones((4, 3), "complex64"),
    lambda: np.array([["a", "b"]]),
    lambda: np.array([object(), None]),
    lambda: np.datetime64("2020-01-01"),
    lambda: [np.ones(3, "float32"), np.ones(3, "float16")],
    lambda: [(4, 8), (0, 2)],
    lambda: [(4, -8), (8, 2)],
    lambda: [(10**30, 4), (8, 2)],
    lambda: {"dense": 2.0},
    lambda: {1: 0.5},
    lambda: {"(": 0.5},
    lambda: {"dense": None},
    lambda: {"class_name": "Cubic", "config": {}},
    lambda: collections.defaultdict(list),
    lambda: "(",
    lambda: "0:0",
    lambda: "0x0",
    lambda: "9" * 30 + ":" + "9" * 31,
    lambda: "\0",
    lambda: "/nowhere/at/all",
    lambda: layers.Dense(3),
    lambda: layers.Dense,
    lambda: layers.ReLU(),
    lambda: keras.Input((3,)),
    lambda: keras.Variable([1.0, 2.0]),
    lambda: keras.ops.ones((4, 3)),
    lambda: helpers.mlp(),
    lambda: keras.Sequential([layers.Dense(3)]),
    lambda: wrapped(),
    lambda: keras.optimizers.SGD(),
    decay,
    lambda: phases.Dense(1),
    lambda: [phases.Redense(1)],
    lambda: phases.Sparse,
    lambda: phases.Plateau("loss"),
    lambda: patterns.NM(2, 4),
    lambda: patterns.NM,
    lambda: regrowth.RigL(),
    lambda: regrowth.RigL,
    lambda: schedules.Cubic(0.5, end=3),
    lambda: schedules.Cubic,
]
ANY = st.one_of(
    st.sampled_from(THINGS),  # called by the test
    st.none(),
    st.booleans(),
    st.integers(-3, 30),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.one_of(st.integers(-2, 9), st.floats(), st.text(max_size=2))),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
    st.sampled_from(["cubic", "erk", "2:4", "4x4", "rewind", "one_shot", "rigl"]),
)


def test_the_table_has_every_name_and_every_argument():
    found = public()
    assert found.keys() == VALID.keys()
    for name, value in found.items():
        kinds = inspect.signature(value).parameters.values()
        # The options of a recipe are those of the function that it names.
        named = [one for one in kinds if one.kind is not one.VAR_KEYWORD]
        assert len(named) == len(kinds) or name.endswith("recipe")
        kinds = named
        optional = {one.name for one in kinds if one.default is not one.empty}
        given_ = set(VALID[name]())
        assert {one.name for one in kinds} - optional <= given_
        if name != "regrowth.Connections":  # `random` is drawn by the callback
            assert optional <= given_, name


@pytest.mark.parametrize("name", VALID)
def test_what_is_right_is_taken(name):
    public()[name](**VALID[name]())


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("name", [name for name in VALID if VALID[name] is not dict])
def test_anything_else_is_taken_or_refused(name, data):
    arguments = VALID[name]()
    chosen = st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=3)
    drawn = {key: data.draw(ANY) for key in sorted(set(data.draw(chosen)))}
    drawn = {key: one() if callable(one) else one for key, one in drawn.items()}
    try:
        public()[name](**arguments | drawn)
    except (TypeError, ValueError) as error:
        # Of a function that it was given, its own errors pass through.
        assert "Received: " in str(error) or any(map(callable, drawn.values()))
    except OSError:  # of a path that leads to no file
        assert name == "audit.read"
