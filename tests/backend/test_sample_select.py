"""backend.ranking: few passes, whatever the data; TensorFlow's and JAX's search."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_dsd import backend
from keras_dsd.backend import sample_select, tables

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="PyTorch searches in its own way"
)
SIZE = 640_000  # whole rows, too many for `radix_select`
TENSORS = 80  # of 8000 entries: the last block of rows is filled up
MANY = 7  # passes; two keys at random would take dozens


def normal(seed=0):
    return np.random.default_rng(seed).standard_normal(SIZE, dtype="float32")


def pruned():
    weights = normal()
    return np.where(np.abs(weights) > np.median(np.abs(weights)), weights, 0)


def regrown():
    """Pruned, then a fifth of the rest exchanged for entries near zero."""
    rng = np.random.default_rng(1)
    weights, alive = normal(), pruned() != 0
    moved = SIZE // 10
    goes = rng.choice(np.flatnonzero(alive), moved, replace=False)
    comes = rng.choice(np.flatnonzero(~alive), moved, replace=False)
    alive[goes], alive[comes] = False, True
    return np.where(alive, weights, 0)


def two_sizes():
    is_tiny = np.random.default_rng(2).random(SIZE) < 0.5
    return np.where(is_tiny, normal() * np.float32(1e-20), normal())


DATA = {
    "normal": normal,
    "pruned": pruned,
    "regrown": regrown,
    "two sizes": two_sizes,
    "few values": lambda: np.round(normal() * 4) / 4,
    "many values": lambda: np.round(normal() * 64) / 64,
    "three values": lambda: np.random.default_rng(3).choice([1e-30, 1, 1e30], SIZE),
    "equal": lambda: np.ones(SIZE),
    "in order": lambda: np.arange(SIZE),
    "again and again": lambda: np.tile(np.arange(1000), SIZE // 1000),
    "heavy tails": lambda: np.random.default_rng(4).standard_cauchy(SIZE),
    "subnormal": lambda: normal() * np.float32(1e-40),
}


def zeros_of(weights):
    """Numbers of zeros to look at: at and around where equal entries end."""
    sizes = np.sort(np.abs(weights))
    ends = [SIZE // 2, *np.flatnonzero(np.diff(sizes)) + 1]
    middle = min(ends, key=lambda end: abs(end - SIZE // 2 + 1))
    found = {1, SIZE // 2, SIZE * 51 // 100, SIZE * 9 // 10, SIZE - 1}
    return sorted(found | {int(middle) + step for step in (-1, 0, 1, 100)})


@functools.cache
def programs(tensors):
    """The parts of a `Search`, compiled once; functions of the entries and the rest."""
    layout = tables.Layout((SIZE // tensors,) * tensors, tuple(range(tensors)))

    def program(name):
        def part(entries, *args):
            whole = sample_select.Search(entries, layout, backend.bits)
            return getattr(whole, name)(*args)

        return backend.fused(part)

    return [program(name) for name in ("begin", "narrow", "end")]


def search(weights, zeros):
    """Returns the cuts and how many passes were asked for."""
    begin, narrow, end = programs(len(weights))
    entries = tables.table([ops.convert_to_tensor(one) for one in weights])
    zeros = ops.convert_to_tensor([zeros] * len(weights), "int32")
    bracket, is_due, nonfinite = begin(entries, zeros)
    passes = 0
    while is_due:
        bracket, is_due = narrow(entries, zeros, bracket)
        passes += 1
    return end(entries, zeros, bracket, nonfinite), passes


@pytest.mark.parametrize("name", DATA)
def test_few_passes_find_the_cut(name, monkeypatch):
    # No pass hidden in the beginning, so that all are counted.
    monkeypatch.setattr(sample_select, "_PASSES", 0)
    weights = DATA[name]().astype("float32")
    order = np.argsort(np.abs(weights), kind="stable")
    keys = np.abs(weights).view("int32")
    for zeros in zeros_of(weights):
        found, passes = search([weights], zeros)
        assert int(found.key[0]) == keys[order[zeros - 1]]
        stays = (keys > int(found.key[0])) | (
            (keys == int(found.key[0])) & (np.arange(SIZE) < int(found.index[0]))
        )
        assert stays.sum() == SIZE - zeros
        assert passes <= MANY, zeros


@pytest.mark.parametrize("name", DATA)
def test_few_passes_find_the_cuts_of_many_tensors(name, monkeypatch):
    monkeypatch.setattr(sample_select, "_PASSES", 0)
    weights = DATA[name]().astype("float32").reshape(TENSORS, -1)
    keys = np.sort(np.abs(weights).view("int32"), axis=1)
    for zeros in (1, keys.shape[1] // 2, keys.shape[1] * 9 // 10):
        found, passes = search(weights, zeros)
        key, index = map(ops.convert_to_numpy, (found.key, found.index))
        np.testing.assert_array_equal(key, keys[:, zeros - 1])
        for one, its_key, end in zip(weights, key, index, strict=True):
            its_keys = np.abs(one).view("int32")
            goes = (its_keys < its_key) | (
                (its_keys == its_key) & (np.arange(len(one)) >= end)
            )
            assert goes.sum() == zeros
        assert passes <= MANY, zeros
