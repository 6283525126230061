"""How far training has come: batches, optimizer steps, the time of a schedule."""

import pytest

from keras_dsd import phases
from keras_dsd.training.clock import Clock

EVERY_7 = phases.Sparse(3, sparsity=0.5, schedule="cubic", update_every=7)
EPOCHS = phases.Sparse(3, sparsity=0.5, schedule="cubic")


def test_time_of_the_last_update_due():
    clock = Clock(10)
    clock.count(3)  # four batches are over
    assert (clock.time(EVERY_7, 0), clock.time(EVERY_7, 2)) == (0, 21)
    assert clock.time(EPOCHS, 2) == 2
    assert clock.optimizer_steps(2) == 24
    clock.begin_epoch()
    assert clock.optimizer_steps(2) == 20


def test_accumulation_makes_fewer_steps():
    clock = Clock(10, accumulation=3)
    clock.count(9)
    assert clock.optimizer_steps(0) == 3
    assert clock.optimizer_steps(2) == 10  # of 30 batches
    assert clock.length(EVERY_7) == 9


def test_batches_do_not_go_beyond_an_epoch():
    clock = Clock(10)
    clock.count(11)  # with `steps_per_execution`
    assert clock.batches == 10


def test_an_epoch_that_nobody_told_is_counted():
    clock = Clock(None)
    with pytest.raises(ValueError, match=r"steps_per_epoch.*Received: schedule="):
        clock.length(EVERY_7)
    assert clock.length(EPOCHS) == 3
    clock.count(4)
    clock.end_epoch()
    clock.begin_epoch()
    assert (clock.steps, clock.length(EVERY_7)) == (5, 15)
    again = Clock(None)
    again.resume(5)
    assert again.length(EVERY_7) == 15
