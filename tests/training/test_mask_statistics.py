"""What masks are in numbers, against counts by hand."""

import numpy as np

import keras_dsd as dsd
from keras_dsd.layers import conversion
from keras_dsd.training.mask_statistics import MaskStatistics
from tests import helpers


def test_counts_by_hand():
    model = dsd.make_prunable(helpers.mlp())
    for state in conversion.states(model):
        state.keep_explored()
    weights = conversion.pruned_weights(model)
    statistics = MaskStatistics(weights)
    rng = np.random.default_rng(0)
    old, new = ([rng.random(w.shape) < 0.5 for w in weights] for _ in range(2))

    def assign(masks):
        for weight, mask in zip(weights, masks, strict=True):
            weight.mask.assign(mask)
            weight.variable.assign(np.array(mask, "float32"))

    def total(masks):
        return sum(int(np.count_nonzero(mask)) for mask in masks)

    size = sum(weight.size for weight in weights)
    assert statistics.sparsity() == 0.0
    assign(old)
    statistics.forget_explored()
    before = statistics.masks()
    assert statistics.explored() == total(old) / size
    assert statistics.churn(before) == 0.0
    assign(new)
    assert statistics.sparsity() == (size - total(new)) / size
    weights[0].variable.assign(np.ones(weights[0].shape))  # whatever the mask says
    held = weights[1].size - np.count_nonzero(new[1])
    assert statistics.sparsity() == held / size
    grown = [n & ~o for n, o in zip(new, old, strict=True)]
    assert statistics.churn(before) == total(grown) / total(new)
    assert statistics.explored() == total(old) / size  # updates add to it
    assert statistics.paths == [weight.path for weight in weights]
