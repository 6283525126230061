"""Masks by NumPy are those of `topk`, whatever the numbers are like."""

import keras
import numpy as np
import pytest

from keras_dsd.sparsity import patterns, topk, topk_numpy

SHAPES = [(7, 5), (64,), (3, 4, 5), (1, 1)]
KINDS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "ties": lambda rng, shape: rng.integers(-2, 3, shape),
    "zeros": lambda rng, shape: rng.choice([0.0, -0.0, 1e-30], shape),
    "extreme": lambda rng, shape: rng.choice([1e38, -3.4e38, 1e-38, -1.0], shape),
    "infinite": lambda rng, shape: rng.choice([np.inf, -np.inf, 1.0, -2.0], shape),
    "nan": lambda rng, shape: rng.choice([np.nan, 1.0, -2.0], shape),
}


def arrays_of(kind, rng):
    with np.errstate(over="ignore"):
        return [KINDS[kind](rng, shape).astype("float32") for shape in SHAPES]


def same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, keras.ops.convert_to_numpy(other))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_decide(kind, shared):
    rng = np.random.default_rng(3)
    arrays = arrays_of(kind, rng)
    sizes = [array.size for array in arrays]
    free, is_shared = [patterns.Unstructured()] * len(arrays), [shared] * len(arrays)
    for share in (0.0, 0.3, 0.5, 1.0):
        zeros = [int(share * size) for size in sizes]
        zeros[0] = int(share * sum(sizes)) if shared else zeros[0]
        tensors = list(map(keras.ops.convert_to_tensor, arrays))
        wanted, finite = topk.choose(tensors, free, zeros, is_shared)
        found = topk_numpy.decide(arrays, free, zeros, is_shared)
        same([found.finite], [finite])
        if found.finite.all():
            same(found.masks, wanted)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_best(kind, added, signed):
    rng = np.random.default_rng(4)
    scores = arrays_of(kind, rng)
    masks = [rng.random(score.shape) < 0.6 for score in scores]
    among = [~mask if added else mask for mask in masks]
    for share in (0.0, 0.4, 1.0):
        picks = [int(share * some.sum()) for some in among]

        def chosen(by, arrays, subsets, given, picks=picks):
            triples = zip(arrays, subsets, picks, strict=True)
            ranks = [
                by.signed_rank(*one) if signed else by.rank(*one[:2]) for one in triples
            ]
            return by.best(ranks, given, picks, added=added)

        found, finite = chosen(topk_numpy, scores, among, masks)
        tensors = (
            [keras.ops.convert_to_tensor(array) for array in some]
            for some in (scores, among, masks)
        )
        wanted, wanted_finite = chosen(topk, *tensors)
        same([finite], [wanted_finite])
        if finite.all():
            same(found, wanted)
