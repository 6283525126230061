"""Phases as values: what they hold, fill in, compare as, and look like in a file."""

import dataclasses
import fractions
import json

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import distributions, patterns, phases, regrowth, schedules
from keras_dsd.regrowth import lookup
from tests import helpers

EXAMPLES = [
    phases.Dense(3),
    phases.Dense(3, lr_factor=0.5, until=phases.Plateau("loss", patience=2)),
    phases.Sparse(4, sparsity=0.3),
    phases.Sparse(4, pattern="2:4"),
    phases.Sparse(4, sparsity=0.5, pattern="4x4", distribution="erk"),
    phases.Sparse(4, sparsity=0.5, schedule="cubic", update_every=10),
    phases.Sparse(4, sparsity=0.5, distribution={"head": 0.0}),
    phases.Sparse(4, sparsity=0.5, distribution=distributions.per_layer({"a": 0.1})),
    phases.Sparse(4, sparsity=0.5, schedule=schedules.Cosine(final=0.5, end=3)),
    phases.Redense(2),
    phases.Redense(2, restore="rewind", lr_factor=None),
    phases.Sparse(4, sparsity=0.5, regrowth="rigl", update_every=10),
    phases.Sparse(4, sparsity=0.5, regrowth=regrowth.GraNet(initial_sparsity=0.1)),
    phases.Sparse(4, sparsity=0.5, regrowth={"b": regrowth.SET(0.2), "a": "static"}),
]


@pytest.mark.parametrize("phase", EXAMPLES, ids=repr)
def test_through_a_file_and_back(phase):
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(phase)))
    again = keras.saving.deserialize_keras_object(stored)
    assert again == phase and type(again) is type(phase)


def test_defaults_are_the_papers():
    assert phases.Redense(1).lr_factor == 0.1
    assert phases.Redense(1).restore == "zero"
    assert phases.Dense(1).lr_factor is None
    assert phases.Sparse(1, sparsity=0.3).lr_factor is None
    assert phases.Sparse(1, sparsity=0.3).distribution == "uniform"


def test_values_can_not_be_changed():
    with pytest.raises(AttributeError):
        phases.Dense(1).epochs = 2


@pytest.mark.parametrize("pattern", ["2:4", patterns.NM(2, 4)])
def test_a_pattern_says_the_sparsity(pattern):
    assert phases.Sparse(1, pattern=pattern).sparsity == 0.5
    assert phases.Sparse(1, pattern=pattern, sparsity=0.5).pattern == patterns.NM(2, 4)
    assert phases.Sparse(1, pattern="1:3").sparsity == pytest.approx(2 / 3)
    assert phases.Sparse(1, pattern="3:3").sparsity == 0


@pytest.mark.parametrize("epochs", range(3, 40, 4))
@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_dsd_shares_out_all_epochs(epochs, cycles):
    if epochs < 2 * cycles + 1:
        with pytest.raises(ValueError, match="Received: epochs"):
            phases.dsd(epochs, cycles=cycles)
        return
    plan = phases.dsd(epochs, sparsity=0.4, cycles=cycles)
    kinds = [type(phase).__name__ for phase in plan]
    assert kinds == ["Dense"] + ["Sparse", "Redense"] * cycles
    assert sum(phase.epochs for phase in plan) == epochs
    assert len({phase.epochs for phase in plan[1:]}) == 1
    assert plan[0].epochs - plan[1].epochs in range(2 * cycles + 1)
    factors = [phase.lr_factor for phase in plan if phase.lr_factor]
    assert factors == [0.1, 0.01, 0.001][:cycles]
    assert {phase.sparsity for phase in plan[1::2]} == {0.4}


def numbers():
    yield from (0.5, np.float32(0.5), np.float64(0.5), fractions.Fraction(1, 2))


@pytest.mark.parametrize("sparsity", list(numbers()), ids=repr)
def test_numbers_of_all_kinds(sparsity, capsys):
    """What is accepted is also trained with, announced, logged and saved."""
    plan = [
        phases.Dense(np.int64(1)),
        phases.Sparse(np.int32(2), sparsity=sparsity, schedule="cubic"),
        phases.Redense(1, lr_factor=np.float32(0.1)),
        phases.Sparse(1, sparsity=sparsity, lr_factor=fractions.Fraction(1, 4)),
    ]
    model = dsd.make_prunable(helpers.mlp())
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = helpers.data()
    callback = dsd.DSDCallback(plan, verbose=1)
    history = model.fit(x, y, epochs=5, callbacks=[callback], verbose=0)
    assert history.history["sparsity"][-1] == 0.5
    assert "sparsity 0.5" in capsys.readouterr().out


RAMPS = ["linear", "cubic", "cosine"]


@pytest.mark.parametrize("name", RAMPS)
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 10])
@pytest.mark.parametrize("every", [None, 1, 3, 7, 1000])
@pytest.mark.parametrize("steps", [1, 5, 11])
def test_a_named_ramp_arrives(name, epochs, every, steps):
    """However few updates there are, the last of them is at the target, and in time."""
    phase = phases.Sparse(epochs, sparsity=0.8, schedule=name, update_every=every)
    schedule = phase.schedule_over(0.2, steps)
    length = epochs * steps if every else epochs
    times = range(0, length, every or 1)
    reached = [schedule(time) for time in times]
    assert reached[-1] == 0.8
    assert reached == sorted(reached)
    assert reached[0] == (0.2 if schedule.end > 0 else 0.8)


def test_a_ramp_may_go_down():
    phase = phases.Sparse(8, sparsity=0.1, schedule="linear")
    reached = [phase.schedule_over(0.5, 1)(time) for time in range(8)]
    assert reached == sorted(reached, reverse=True)
    assert (reached[0], reached[-1]) == (0.5, 0.1)


@pytest.mark.parametrize("schedule", ["one_shot", "constant", schedules.Constant(0.5)])
def test_what_does_not_change_is_static(schedule):
    phase = phases.Sparse(3, sparsity=0.5, schedule=schedule)
    assert phase.is_static
    assert [phase.schedule_over(0.1, 7)(time) for time in (0, 5)] == [0.5, 0.5]
    assert not phases.Sparse(3, sparsity=0.5, schedule="cubic").is_static


@pytest.mark.parametrize(
    ("monitor", "mode", "grows"),
    [
        ("val_accuracy", "auto", True),
        ("acc", "auto", True),
        ("AUC", "auto", True),
        ("f1_score", "auto", True),
        ("val_auc_1", "auto", True),
        ("val_mean_io_u_2", "auto", True),
        ("head_mae_1", "auto", False),
        ("val_loss", "auto", False),
        ("accuracy_gap", "auto", False),
        ("val_loss", "max", True),
        ("accuracy", "min", False),
    ],
)
def test_which_way_a_metric_improves(monitor, mode, grows):
    plateau = phases.Plateau(monitor, mode=mode)
    assert plateau.improves(2.0, 1.0) == grows
    assert plateau.improves(1.0, 2.0) == (not grows)
    assert not plateau.improves(1.0, 1.0)


@pytest.mark.parametrize("monitor", ["val_top_5", "beauty", ""])
def test_a_metric_whose_name_does_not_tell_needs_a_mode(monitor):
    with pytest.raises(ValueError, match=r"mode='max'.*Received: mode='auto'"):
        phases.Plateau(monitor)
    assert phases.Plateau(monitor, mode="max").improves(2.0, 1.0)


def test_plateau_counts_from_min_delta_on():
    plateau = phases.Plateau("loss", min_delta=0.5)
    assert plateau.improves(0.4, 1.0)
    assert not plateau.improves(0.5, 1.0)
    assert not plateau.improves(0.6, 1.0)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_not_a_number_never_improves(mode):
    plateau = phases.Plateau("loss", mode=mode)
    nan = float("nan")
    assert plateau.improves(1.0, nan)
    assert not plateau.improves(nan, 1.0)
    assert not plateau.improves(nan, nan)


class Ramp:
    """A schedule written by a user: its `repr` holds an address."""

    def __call__(self, time):
        return 0.25 if time < 2 else 0.5


def test_fingerprints_tell_phases_apart_and_nothing_else():
    """A phase made again, in another process say, is the same phase."""
    prints = [phase.fingerprint for phase in EXAMPLES]
    assert len(set(prints)) == len(prints)
    for phase, value in zip(EXAMPLES, prints, strict=True):
        stored = keras.saving.serialize_keras_object(phase)
        assert keras.saving.deserialize_keras_object(stored).fingerprint == value
        assert 0 <= value < 2**31
    ramps = [Ramp(), Ramp()]
    one, other = (phases.Sparse(3, sparsity=0.5, schedule=ramp) for ramp in ramps)
    assert one.fingerprint == other.fingerprint


FINGERPRINTS = [
    (phases.Dense(3), 998779259),
    (phases.Redense(2), 398408786),
    (phases.Sparse(4, sparsity=0.3), 396189538),
    (phases.Sparse(4, pattern="2:4"), 1747779158),
    (phases.Sparse(4, sparsity=0.5, schedule="cubic", update_every=10), 581079688),
    (phases.Sparse(4, sparsity=0.5, distribution={"head": 0.0}), 36278572),
    (phases.Dense(9, until=phases.Plateau("loss", patience=2)), 1843546870),
    (phases.Sparse(4, sparsity=0.5, regrowth={"b": regrowth.SET(0.2)}), 704310815),
]


@pytest.mark.parametrize(("phase", "value"), FINGERPRINTS, ids=repr)
def test_fingerprints_stay_what_they_are(phase, value):
    """In every release: a stored run finds its phase by this number."""
    assert phase.fingerprint == value


def test_a_new_option_leaves_fingerprints_alone():
    """Of a phase, and of the values within it, as long as it is as by default."""

    def later(kind, **values):
        fields = [("news", int, dataclasses.field(default=7, kw_only=True))]
        new = dataclasses.make_dataclass(
            kind.__name__, fields, bases=(kind,), frozen=True
        )
        return new(**values)

    old = phases.Sparse(4, sparsity=0.5, regrowth=regrowth.SET(0.2))
    method = later(regrowth.SET, drop_fraction=0.2)
    new = later(phases.Sparse, epochs=4, sparsity=0.5, regrowth=method)
    assert new.fingerprint == old.fingerprint
    other = later(phases.Sparse, epochs=4, sparsity=0.5, regrowth=method, news=8)
    assert other.fingerprint != old.fingerprint


def test_numbers_of_any_type_are_the_same_phase():
    kinds = [phases.Sparse(4, sparsity=value) for value in numbers()]
    assert len({phase.fingerprint for phase in kinds}) == 1


@pytest.mark.parametrize(("name", "kind"), lookup.BY_NAME.items())
def test_a_name_becomes_its_method(name, kind):
    phase = phases.Sparse(3, sparsity=0.5, regrowth=name, update_every=7)
    assert phase.regrowth == kind()
    assert phase == phases.Sparse(3, sparsity=0.5, regrowth=kind(), update_every=7)
    assert phase.initial_sparsity == (0.2 if name == "granet" else 0.5)


def test_a_dict_of_methods_keeps_its_order_in_a_file():
    phase = phases.Sparse(3, sparsity=0.5, regrowth={"head": "set", ".": "rigl"})
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(phase)))
    again = keras.saving.deserialize_keras_object(stored)
    assert list(again.regrowth.items()) == [
        ("head", regrowth.SET()),
        (".", regrowth.RigL()),
    ]


def test_time_with_regrowth():
    """Steps with `update_every`, else epochs; only GraNet's sparsity changes."""
    steps = phases.Sparse(3, sparsity=0.5, regrowth="rigl", update_every=7)
    epochs = phases.Sparse(3, sparsity=0.5, regrowth="rigl")
    assert (steps.length(10), epochs.length(10)) == (30, 3)
    assert {steps.schedule_over(0.0, 10)(time) for time in range(0, 30, 7)} == {0.5}
    phase = phases.Sparse(3, sparsity=0.5, regrowth="granet", update_every=7)
    schedule = phase.schedule_over(0.0, 10)
    assert (schedule.initial, schedule.end, schedule.final) == (0.2, 15, 0.5)


class StartsDenser(regrowth.SET):
    """A method that starts elsewhere and does not say that it prunes."""

    initial_sparsity = 0.2


@pytest.mark.parametrize(
    "options",
    [
        {"sparsity": 0.5, "regrowth": "rigl", "schedule": "cubic"},
        {"sparsity": 0.5, "regrowth": "rigl", "schedule": Ramp()},
        {"sparsity": 0.5, "regrowth": "rigl", "pattern": "2:4"},
        {"pattern": "2:4", "regrowth": "static"},
        {"sparsity": 0.5, "regrowth": {"a": "set"}, "pattern": "4x4"},
        {"sparsity": 0.1, "regrowth": "granet"},
        {"sparsity": 0.5, "regrowth": regrowth.GraNet(initial_sparsity=0.6)},
        {"sparsity": 0.5, "regrowth": StartsDenser()},
        {"regrowth": "rigl"},
        {"sparsity": 0.5, "regrowth": "magnitude"},
        {"sparsity": 0.5, "regrowth": "rigl", "update_every": 0},
    ],
)
def test_regrowth_refused(options):
    with pytest.raises((TypeError, ValueError), match=r"Received: .+$"):
        phases.Sparse(3, **options)


def test_dst_is_one_phase():
    (phase,) = phases.dst(10)
    assert phase == phases.Sparse(
        10, sparsity=0.5, distribution="erk", regrowth="rigl", update_every=100
    )
    method = {"a": regrowth.SET(0.1)}
    (phase,) = phases.dst(2, method, 0.8, distribution="uniform", update_every=None)
    assert phase == phases.Sparse(2, sparsity=0.8, regrowth=method)


@pytest.mark.parametrize(
    "options", [{"method": None}, {"method": "cubic"}, {"sparsity": 1}, {"epochs": 0}]
)
def test_dst_refuses(options):
    with pytest.raises((TypeError, ValueError), match=r"Received: .+$"):
        phases.dst(**{"epochs": 2, **options})
