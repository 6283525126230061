"""A method of a user's own that prunes as it grows: asked, not known by its type."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import phases, regrowth, schedules
from tests import helpers


@keras.saving.register_keras_serializable(package="tests")
@dataclasses.dataclass(frozen=True)
class Thinning(regrowth.Regrowth):
    """Prunes all layers together, ever further, and grows at random."""

    prunes, initial_sparsity = True, 0.25
    needs = ("random",)

    def schedule(self, final, length, every):
        return schedules.Linear(final, initial=0.25, end=max(length - every, 0))

    def grow_score(self, connections):
        return connections.random


def train(method, **options):
    model = dsd.make_prunable(helpers.mlp())
    model.compile("sgd", "mse")
    x, y = helpers.data()
    plan = [phases.Sparse(4, sparsity=0.75, regrowth=method, **options)]
    history = model.fit(
        x,
        y,
        batch_size=16,
        epochs=4,
        verbose=0,
        callbacks=[dsd.DSDCallback(plan, verbose=0)],
    ).history
    return model, history


@pytest.mark.parametrize("every", [None, 3])
def test_it_prunes_as_it_grows(every):
    model, history = train(Thinning(), update_every=every)
    sparsity = history["sparsity"]
    assert sparsity == sorted(sparsity)
    size = 12 * 16 + 16 * 4
    masks = helpers.masks_of(model)
    assert sum(np.count_nonzero(~mask) for mask in masks) == 0.75 * size
    if every is None:
        assert sparsity[0] == 0.25
        assert sparsity[1] == int(size * (0.25 + 0.5 / 3)) / size
    assert max(history["churn"]) > 0


def test_layers_are_pruned_together():
    """Beyond what each would lose by itself: the largest of all stay."""
    model, _ = train(Thinning(drop_fraction=0.01))
    shares = [mask.mean() for mask in helpers.masks_of(model)]
    assert shares[0] != pytest.approx(shares[1], abs=1 / 64)


def test_through_a_file_and_back():
    phase = phases.Sparse(4, sparsity=0.75, regrowth=Thinning(0.2))
    assert phase.initial_sparsity == 0.25
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(phase)))
    assert keras.saving.deserialize_keras_object(stored) == phase


def test_not_in_a_dict():
    with pytest.raises(ValueError, match="prunes all layers together"):
        phases.Sparse(4, sparsity=0.75, regrowth={".": Thinning()})


def test_one_that_says_nothing_keeps_the_phases_sparsity():
    assert (regrowth.SET.prunes, regrowth.SET.moves) == (False, True)
    assert (regrowth.Static.prunes, regrowth.Static.moves) == (False, False)
    assert regrowth.SET.initial_sparsity is None
    assert regrowth.RigL().schedule(0.5, length=10, every=1)(3) == 0.5
