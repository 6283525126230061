"""PyTorch: the search finds the cut, or says that it isn't in the bracket."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_dsd import backend

if keras.backend.backend() != "torch":
    pytest.skip("written with torch", allow_module_level=True)

import torch

from keras_dsd.backend import torch_cuts

values = st.integers(0, 5)  # as floats: many ties


@given(
    arrays=st.lists(st.lists(values, min_size=1, max_size=6), min_size=1, max_size=3),
    ends=st.tuples(values, values),
    lost=st.integers(1, 18),
)
def test_every_bracket(arrays, ends, lost):
    tensors = [torch.tensor(array, dtype=torch.float32) for array in arrays]
    flat = np.concatenate(arrays)
    lost = min(lost, len(flat))
    bracket = [int(backend.bits(torch.tensor(float(end)))) for end in sorted(ends)]
    found = torch_cuts._Search(tensors, backend.bits).between(bracket, lost)
    wanted = np.sort(flat)[lost - 1]
    if not min(ends) <= wanted <= max(ends):
        assert found is None
        return
    key, index, largest = found
    assert backend.from_bits(torch.tensor(key), "float32") == wanted
    places = np.flatnonzero(flat == wanted)
    staying = np.count_nonzero(flat <= wanted) - lost
    assert index == places[staying]
    assert largest.tolist() == [backend.bits(tensor.amax()) for tensor in tensors]


def test_a_sample_that_misleads(monkeypatch):
    monkeypatch.setattr(torch_cuts._Search, "sampled", lambda search, lost: (7, 8))
    rng = np.random.default_rng(0)
    tensor = torch.from_numpy(rng.standard_normal(10_000, dtype="float32"))
    key, _, _ = torch_cuts.cut([tensor], 5000, backend.bits)
    assert backend.from_bits(torch.tensor(key), "float32") == tensor.abs().median()
