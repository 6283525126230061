"""Rule 10: an update changes what it prunes or revives, and not a bit of anything else.

Also what the reborn come back with in `Redense`: `zero`, `rewind` or `random`.
"""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers


class Moments(keras.callbacks.Callback):
    """What the model and its optimizer hold, at the beginning of every epoch."""

    def __init__(self):
        super().__init__()
        self.weights, self.masks, self.others = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        pruned = conversion.pruned_weights(self.model)
        self.weights.append(helpers.values([weight.variable for weight in pruned]))
        self.masks.append(helpers.values([weight.mask for weight in pruned]))
        known = {id(weight.variable) for weight in pruned}
        optimizer = self.model.optimizer
        others = [
            variable
            for variable in [*self.model.trainable_variables, *optimizer.variables]
            if id(variable) not in known
        ]
        self.others.append({v.path: helpers.values([v])[0] for v in others})


def run(phases, optimizer="adam", model=None, y_scale=1.0):
    """Trains; returns what was before the callback's turn, and what after it."""
    model = model or helpers.mlp(inputs=9, units=8, outputs=7)
    dsd.make_prunable(model)
    model.compile(optimizer, "mse", run_eagerly=True)
    x, y = helpers.data(9, 7)
    before, after = Moments(), Moments()
    model.fit(
        x,
        y * y_scale,
        batch_size=16,
        epochs=sum(phase.epochs for phase in phases),
        callbacks=[before, dsd.DSDCallback(phases, seed=5, verbose=0), after],
        verbose=0,
    )
    return before, after


def each(before, after):
    """Yields (epoch, old mask, new mask, old weight, new weight)."""
    for epoch in range(len(before.weights)):
        yield from (
            (epoch, *values)
            for values in zip(
                before.masks[epoch],
                after.masks[epoch],
                before.weights[epoch],
                after.weights[epoch],
                strict=True,
            )
        )


@pytest.mark.parametrize("distribution", ["uniform", "erk", "global"])
@pytest.mark.parametrize("schedule", ["one_shot", "cubic"])
def test_an_update_only_prunes(schedule, distribution):
    before, after = run(
        [
            dsd.phases.Dense(1),
            dsd.phases.Sparse(
                4, sparsity=0.7, schedule=schedule, distribution=distribution
            ),
        ]
    )
    updates = 0
    for _, old, new, then, now in each(before, after):
        np.testing.assert_array_equal(now[new], then[new])
        assert not now[~new].any()
        assert not (new & ~old).any()
        updates += (new != old).any()
    assert updates >= 2


def test_what_is_not_pruned_is_not_written():
    """Biases, batch statistics, counters and all slots but those of pruned weights."""
    model = keras.Sequential(
        [
            keras.Input((9,)),
            keras.layers.Dense(8, name="first"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(7, name="last"),
        ]
    )
    before, after = run(
        [
            dsd.phases.Dense(1),
            dsd.phases.Sparse(1, sparsity=0.5, distribution={"last/": 0.0}),
            dsd.phases.Redense(1, lr_factor=None),
        ],
        model=model,
    )
    for then, now in list(zip(before.others, after.others, strict=True))[1:]:
        for path, value in now.items():
            if "first_kernel" not in path:
                np.testing.assert_array_equal(value, then[path], err_msg=path)
    np.testing.assert_array_equal(after.weights[1][1], before.weights[1][1])


@pytest.mark.parametrize("restore", ["zero", "rewind", "random"])
@pytest.mark.parametrize("optimizer", ["adam", "ema"])
def test_redense(restore, optimizer):
    if optimizer == "ema":
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True)
    before, after = run(
        [
            dsd.phases.Dense(1),
            dsd.phases.Sparse(2, sparsity=0.6),
            dsd.phases.Redense(1, restore=restore),
        ],
        optimizer,
    )
    pruned_with = before.weights[1]
    for number, (old, then, now) in enumerate(
        zip(before.masks[3], before.weights[3], after.weights[3], strict=True)
    ):
        assert after.masks[3][number].all()
        assert np.count_nonzero(~old) == int(0.6 * old.size)
        np.testing.assert_array_equal(now[old], then[old])
        reborn = now[~old]
        if restore == "zero":
            assert not reborn.any()
        elif restore == "rewind":
            np.testing.assert_array_equal(reborn, pruned_with[number][~old])
        else:
            limit = np.sqrt(6 / sum(old.shape))  # Glorot uniform
            assert np.abs(reborn).max() <= limit
            assert len(set(reborn)) == reborn.size
            assert reborn.std() > limit / 4  # a uniform draw has limit / sqrt(3)
            assert (reborn < 0).any() and (reborn > 0).any()
    # Survivors keep their slots, to the bit.
    for path, value in after.others[3].items():
        for number, name in enumerate(["dense_kernel", "dense_1_kernel"]):
            mask = before.masks[3][number]
            if f"{name}_" in path and value.shape == mask.shape:
                np.testing.assert_array_equal(
                    value[mask], before.others[3][path][mask], err_msg=path
                )


def test_rewind_of_a_ramp_goes_back_to_the_moment_of_each_weight():
    """Weights pruned at different updates come back with what they had then."""
    before, after = run(
        [
            dsd.phases.Dense(1),
            dsd.phases.Sparse(4, sparsity=0.8, schedule="linear"),
            dsd.phases.Redense(1, restore="rewind"),
        ]
    )
    moments = set()
    for number in range(2):
        expected = np.full_like(before.weights[0][number], np.nan)
        for epoch in range(1, 5):
            gone = before.masks[epoch][number] & ~after.masks[epoch][number]
            expected[gone] = before.weights[epoch][number][gone]
            if gone.any():
                moments.add(epoch)
        reborn = ~before.masks[5][number]
        np.testing.assert_array_equal(
            after.weights[5][number][reborn], expected[reborn]
        )
    assert len(moments) >= 3


def test_rewind_after_two_sparse_phases():
    """A weight pruned twice goes back to the last time, one revived between stays."""
    before, after = run(
        [
            dsd.phases.Sparse(1, sparsity=0.7),
            dsd.phases.Sparse(1, sparsity=0.3),
            dsd.phases.Sparse(1, sparsity=0.6),
            dsd.phases.Redense(1, restore="rewind"),
        ]
    )
    for number in range(2):
        expected = before.weights[3][number].copy()
        for epoch in range(3):
            gone = before.masks[epoch][number] & ~after.masks[epoch][number]
            expected[gone] = before.weights[epoch][number][gone]
        alive = before.masks[3][number]
        expected[alive] = before.weights[3][number][alive]
        np.testing.assert_array_equal(after.weights[3][number], expected)


def test_a_lower_sparsity_revives_at_zero():
    """Weights that a later phase lets live again start at zero, not with old values."""
    before, after = run(
        [dsd.phases.Sparse(1, sparsity=0.7), dsd.phases.Sparse(1, sparsity=0.3)]
    )
    for number in range(2):
        revived = after.masks[1][number] & ~before.masks[1][number]
        assert revived.any()
        assert not after.weights[1][number][revived].any()
        kept = before.masks[1][number]
        np.testing.assert_array_equal(
            after.weights[1][number][kept], before.weights[1][number][kept]
        )


def test_a_dense_phase_after_a_sparse_one_takes_the_masks_off_too():
    before, after = run([dsd.phases.Sparse(1, sparsity=0.5), dsd.phases.Dense(2)])
    for number in range(2):
        assert after.masks[1][number].all()
        np.testing.assert_array_equal(
            after.weights[1][number], before.weights[1][number]
        )
        assert np.count_nonzero(before.weights[2][number] == 0) < 10


def test_negative_zeros_and_subnormals_survive_as_they_are():
    """Untouched means to the bit, also for values that compare equal to others."""
    model = helpers.mlp(inputs=9, units=8, outputs=7)
    kernel = helpers.values([model.layers[0].kernel])[0]
    kernel.flat[:4] = [-0.0, 1e-30, -1e-38, 0.0]
    model.layers[0].kernel.assign(kernel)
    _, after = run(
        [dsd.phases.Sparse(1, sparsity=0.01)], keras.optimizers.SGD(0.0), model
    )
    new, now = after.masks[0][0], after.weights[0][0]
    np.testing.assert_array_equal(now[new].view(np.int32), kernel[new].view(np.int32))
