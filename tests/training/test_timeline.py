"""Which phase an epoch belongs to, counted from 0 or from where a run stood."""

import pytest

from keras_dsd import phases
from keras_dsd.layers.position import Position
from keras_dsd.training.timeline import Timeline, goes_on

PLAN = Timeline(
    [
        phases.Dense(2),
        phases.Sparse(3, sparsity=0.5, lr_factor=0.5),
        phases.Redense(1),
        phases.Sparse(2, sparsity=0.25),
    ]
)
NEW = Position()


def stood(phase, **where):
    """Returns the position of a run that was in this phase of `PLAN`."""
    return Position(phase=phase, fingerprint=PLAN.phases[phase].fingerprint, **where)


def where(epochs, timeline=PLAN, position=NEW):
    return [timeline.locate(epoch, position) for epoch in epochs]


def test_a_new_run_counts_from_0():
    expected = [(0, 0)] * 2 + [(1, 2)] * 3 + [(2, 5)] + [(3, 6)] * 2
    assert where(range(8)) == expected
    assert PLAN.epochs == 8


def test_after_the_last_phase_it_goes_on():
    assert where([8, 9, 1000]) == [(3, 6)] * 3


def test_a_run_goes_on_from_where_it_stood():
    # Phase 1 began in epoch 1, for a plateau had ended phase 0.
    position = stood(phase=1, start=1, epoch=2)
    assert where(range(2, 8), position=position) == [
        (1, 1),
        (1, 1),
        (2, 4),
        (3, 5),
        (3, 5),
        (3, 5),
    ]


def test_a_phase_that_is_over_is_left():
    """With the next epoch: one that is repeated, having been cut, is still in it."""
    position = stood(phase=1, start=1, epoch=2, over=1)
    assert where([2, 3], position=position) == [(1, 1), (2, 3)]


def test_the_last_phase_is_never_left():
    position = stood(phase=3, start=4, epoch=7, over=1)
    assert where([8, 20], position=position) == [(3, 4), (3, 4)]


def test_a_shorter_list_than_the_run_had():
    """The stored phase is not in it: counted from 0 again."""
    short = Timeline(PLAN.phases[:2])
    position = stood(phase=3, start=6, epoch=6)
    assert where([7], short, position) == [(1, 2)]


def test_another_phase_at_the_stored_place():
    """The list was changed in between: counted from 0 again."""
    position = Position(phase=1, fingerprint=7, start=1, epoch=2)
    assert where([2, 6], position=position) == [(1, 2), (3, 6)]


@pytest.mark.parametrize(
    ("stored", "epoch", "expected"),
    [
        ({"phase": -1}, 0, False),
        ({"phase": -1}, 9, False),
        ({"phase": 0, "epoch": 0}, 0, True),
        ({"phase": 0, "epoch": 0, "finished": 1}, 0, False),
        ({"phase": 0, "epoch": 0, "finished": 1}, 1, True),
        ({"phase": 1, "epoch": 4}, 3, False),
        ({"phase": 1, "epoch": 4}, 4, True),
        ({"phase": 1, "epoch": 4, "finished": 1}, 4, False),
        ({"phase": 1, "epoch": 4, "finished": 1}, 5, True),
        ({"phase": 1, "epoch": 4, "finished": 1}, 50, True),
    ],
)
def test_what_goes_on(stored, epoch, expected):
    assert goes_on(Position(**stored), epoch) == expected


def test_the_sparsity_and_the_rate_that_a_phase_begins_with():
    assert [PLAN.sparsity_before(index) for index in range(4)] == [0.0, 0.0, 0.5, 0.0]
    assert [PLAN.last_factor(index) for index in range(4)] == [1.0, 0.5, 0.1, 0.1]


def test_two_sparse_phases_in_a_row():
    both = [phases.Sparse(1, sparsity=0.3), phases.Sparse(1, sparsity=0.6)]
    assert Timeline(both).sparsity_before(1) == 0.3


def test_can_end_early():
    assert not PLAN.can_end_early
    until = phases.Plateau("loss")
    assert Timeline([phases.Dense(1), phases.Dense(1, until=until)]).can_end_early


def test_a_line_for_each_phase():
    assert [PLAN.describe(index) for index in range(3)] == [
        "DSD phase 1/4: Dense, 2 epochs",
        "DSD phase 2/4: Sparse, 3 epochs, sparsity 0.5, learning rate x 0.5",
        "DSD phase 3/4: Redense, 1 epoch, learning rate x 0.1",
    ]
    until = phases.Plateau("loss")
    line = Timeline([phases.Dense(9, until=until)]).describe(0)
    assert line == "DSD phase 1/1: Dense, up to 9 epochs"


def test_the_list_is_copied():
    plan = [phases.Dense(1)]
    timeline = Timeline(plan)
    plan.append(phases.Dense(5))
    assert timeline.epochs == 1
    assert Timeline((phases.Dense(1),)).epochs == 1


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        ([], ValueError),
        ((), ValueError),
        (None, TypeError),
        (phases.Dense(1), TypeError),
        ([phases.Dense], TypeError),
        ([None], TypeError),
        ({phases.Dense(1)}, TypeError),
        ([phases.Redense(1)], ValueError),
        ([phases.Redense(1), phases.Sparse(1, sparsity=0.5)], ValueError),
    ],
)
def test_refused(plan, error):
    with pytest.raises(error, match="Received: phases="):
        Timeline(plan)
