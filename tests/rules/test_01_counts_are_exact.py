"""Rule 1: floor(s * n) zeros, s as written; largest stay; on a tie the lower index."""

from fractions import Fraction

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from tests import helpers

pytestmark = pytest.mark.portable


@pytest.mark.parametrize("sparsity", [0.0, 0.29, 0.3, 0.5, 0.57, 0.99])
@pytest.mark.parametrize("kind", ["normal", "equal", "zeros", "two values"])
def test_counts_in_training(sparsity, kind, rng):
    model = helpers.mlp(inputs=10, units=10, outputs=10)
    for layer in model.layers:
        shape = layer.kernel.shape
        layer.kernel.assign(
            {
                "normal": rng.standard_normal(shape),
                "equal": np.full(shape, -0.5),
                "zeros": np.where(rng.random(shape) < 0.8, 0, 1.0),
                "two values": rng.choice([-1.0, 2.0], shape),
            }[kind]
        )
    before = [helpers.values([layer.kernel])[0] for layer in model.layers]
    model = dsd.make_prunable(model)
    model.compile(keras.optimizers.SGD(1e-9), "mse")
    x, y = helpers.data(10, 10, 8)
    phases = [dsd.phases.Sparse(1, sparsity=sparsity)]
    model.fit(x, y, epochs=1, callbacks=[dsd.DSDCallback(phases, verbose=0)], verbose=0)
    zeros = int(Fraction(str(sparsity)) * 100)
    for mask, weight in zip(helpers.masks_of(model), before, strict=True):
        # A stable sort by falling magnitude keeps lower indices first.
        kept = np.argsort(-np.abs(weight).ravel(), kind="stable")[: 100 - zeros]
        expected = np.zeros(100, bool)
        expected[kept] = True
        np.testing.assert_array_equal(mask.ravel(), expected)


def test_sparsity_is_taken_as_written():
    # 0.29 * 100 is 28.999999999999996 in binary.
    mask = dsd.masks.magnitude(np.arange(100.0).reshape(10, 10), 0.29)
    assert np.count_nonzero(~np.asarray(keras.ops.convert_to_numpy(mask))) == 29
