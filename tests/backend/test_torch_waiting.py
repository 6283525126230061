"""PyTorch: what a GPU would have to wait for the host for, seen without one."""

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd import backend
from keras_dsd.layers import conversion
from keras_dsd.training.mask_updates import MaskUpdates
from keras_dsd.training.zero_counts import Targets

if keras.backend.backend() != "torch":
    pytest.skip("written with torch", allow_module_level=True)

import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class Seen(TorchDispatchMode):
    """Notes the operations that are run, and on which devices their tensors lie."""

    def __init__(self):
        super().__init__()
        self.operations = []
        self.devices = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [x for x in pytree.tree_leaves((args, kwargs)) if torch.is_tensor(x)]
        self.operations.append(func.overloadpacket.__name__)
        self.devices |= {tensor.device.type for tensor in tensors}
        return func(*args, **(kwargs or {}))


def test_masking_takes_nothing_from_the_host():
    value = torch.empty(8, device="meta")
    with Seen() as seen:
        backend.masked(value, torch.empty(8, dtype=torch.bool, device="meta"))
    assert "where" in seen.operations
    assert seen.devices == {"meta"}


def numbers_read(layers):
    """Returns how many numbers an update of a model's masks reads back."""
    model = keras.Sequential([keras.Input((100,))])
    for _ in range(layers):
        model.add(keras.layers.Dense(100))
    weights = conversion.pruned_weights(dsd.make_prunable(model))
    updates = MaskUpdates(weights, [])
    targets = Targets(dsd.phases.Sparse(1, sparsity=0.5), weights)
    with Seen() as seen:
        updates.prune(targets, 0.5)
    assert not np.any([w.variable.numpy()[~w.mask.numpy()] for w in weights])
    return seen.operations.count("_local_scalar_dense")


def test_each_weight_is_waited_for_a_few_times():
    assert numbers_read(6) - numbers_read(5) <= 8
