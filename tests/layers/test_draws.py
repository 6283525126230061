"""Random draws for a weight: by seed and origin, not by what was drawn before."""

import keras
import numpy as np

import keras_dsd as dsd
from keras_dsd.layers import conversion, draws
from tests import helpers


def weights():
    return conversion.pruned_weights(dsd.make_prunable(helpers.mlp(units=64)))


def drawn(function, weight, seed):
    return keras.ops.convert_to_numpy(function(weight, seed))


def test_a_draw_depends_on_seed_and_weight_alone():
    first, second = weights()
    for function in (draws.uniform, draws.glorot_uniform):
        one = drawn(function, first, (1, "update", 3))
        keras.random.uniform((5,))  # another draw in between
        drawn(function, second, (1, "update", 3))
        np.testing.assert_array_equal(drawn(function, first, (1, "update", 3)), one)
        for other in ((2, "update", 3), (1, "update", 4)):
            assert (drawn(function, first, other) != one).mean() > 0.99
        first.origin, origin = "elsewhere", first.origin
        assert (drawn(function, first, (1, "update", 3)) != one).mean() > 0.99
        first.origin = origin


def test_uniform_draws_fill_the_unit_interval():
    weight, _ = weights()
    found = drawn(draws.uniform, weight, (0,))
    assert found.shape == weight.shape and found.dtype == "float32"
    assert 0 <= found.min() < 0.02 and 0.98 < found.max() < 1
    assert abs(found.mean() - 0.5) < 0.05


def test_new_values_have_the_scale_of_keras_s_own():
    weight, _ = weights()
    found = drawn(draws.glorot_uniform, weight, (0,))
    limit = np.sqrt(6 / sum(weight.shape))
    assert found.shape == weight.shape and 0.9 * limit < abs(found).max() <= limit
