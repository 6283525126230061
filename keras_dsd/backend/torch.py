"""What PyTorch does in its own way."""

import keras
import numpy as np
import torch

from keras_dsd.backend.tables import KEYS, Cuts

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes
_SAMPLE = 1 << 14  # sampled entries of a large tensor


def gradients_wanted():
    """Returns whether the call may be differentiated."""
    return torch.is_grad_enabled()


def replicas():
    """Returns how many replicas sum their gradients in a step."""
    return 1


def in_place_of(old, new):
    """Returns `new`: a variable takes it over whatever it held."""
    return new


def input_gradient(model, preprocess, loss):
    """See `backend`."""

    def gradient(x, y):
        x = x.detach().requires_grad_()
        total = loss(y, model(preprocess(x), training=False))
        return torch.autograd.grad(total, x)[0]

    return gradient


def workers():
    """Returns 1: Keras trains with one."""
    return 1


def masked(value, mask):
    """Returns `value`, exactly 0 where `mask` is False.

    On a CPU by its bits: choosing by a boolean takes PyTorch some three times as long.
    Bits have no gradient, so not where one is wanted, of a gradient say.
    """
    differentiated = torch.is_grad_enabled() and value.requires_grad
    if differentiated or value.device.type != "cpu":
        return torch.where(mask, value, torch.zeros((), dtype=value.dtype))
    integer = _INTEGERS[value.element_size()]
    ones = mask.view(torch.int8).neg().to(integer)  # all bits, or none
    return ones.bitwise_and_(value.view(integer)).view(value.dtype)


def masked_gradient(gradient, mask, weight):
    """Returns `gradient`, exactly 0 where `mask` is False."""
    return masked(gradient, mask)


def new_train_function(model):
    """Returns a training step of `model` that will be traced anew, if it is traced."""
    model.make_train_function(force=True)
    return model.train_function


def compiled_update_each(function, units):
    """See `backend`: op by op, without gradients."""

    @torch.no_grad()
    def run(*columns):
        for variables, *args in zip(units, *columns, strict=True):
            values = function([variable.value for variable in variables], *args)
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    return run


def compiled(function):
    """Returns `function` run without gradients."""
    return torch.no_grad()(function)


def is_traced(x):
    """Returns whether `x` stands for a value to come; in PyTorch none does."""
    return False


def bits(x):
    """Returns |x| as integers that sort like it: int64 for float64, else int32."""
    integer = _INTEGERS[x.element_size()]
    found = x.abs().view(integer)
    return found.int() if integer == torch.int16 else found


def from_bits(keys, dtype):
    """Returns the floats whose `bits` are `keys`."""
    dtype = getattr(torch, keras.backend.standardize_dtype(dtype))
    return keys.to(_INTEGERS[dtype.itemsize]).view(dtype)


def fused(function):
    """Returns `function`: run op by op."""
    return function


def find_cuts(scores, zeros, groups):
    """See `backend`.

    Shapes may depend on data here, so a bracket from a sample is gathered at once.
    """
    cuts = [None] * len(scores)
    for group, lost in zip(groups, zeros, strict=True):
        pieces = [bits(scores[i]).reshape(-1) for i in group]
        keys = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        key, index = _cut(keys, int(lost))
        start = 0
        for i, piece in zip(group, pieces, strict=True):
            infinity, _ = KEYS[keras.backend.standardize_dtype(scores[i].dtype)]
            cuts[i] = key.long(), (index - start).long(), piece.max() < infinity
            start += piece.numel()
    return Cuts(*map(torch.stack, zip(*cuts, strict=True)))


def _cut(keys, lost):
    if lost == 0:
        return keys.new_tensor(-1), keys.new_tensor(0)
    places, below = None, 0  # of the members of the bracket; None means all
    if len(keys) > 4 * _SAMPLE:
        lo, hi = _bracket(keys, lost)
        below = int(torch.count_nonzero(keys < lo))
        places = torch.nonzero((keys >= lo) & (keys <= hi)).reshape(-1)
        if not below < lost <= below + len(places):  # the sample misled
            places, below = None, 0
    members = keys if places is None else keys[places]
    key = members.kthvalue(lost - below).values
    ties = torch.nonzero(members == key).reshape(-1)
    staying = below + int(torch.count_nonzero(members <= key)) - lost
    first_that_goes = ties[staying]
    return key, first_that_goes if places is None else places[first_that_goes]


def _bracket(keys, lost):
    """Returns two keys, between which the one of rank `lost` probably lies."""
    size, share = len(keys), lost / len(keys)
    # Drawn by NumPy, so that the user's random state is left alone.
    places = np.arange(_SAMPLE) + np.random.default_rng(0).random(_SAMPLE)
    places = torch.from_numpy((places * size / _SAMPLE).astype("int64"))
    sample = keys[places.to(keys.device)].sort().values
    reach = 4 * (_SAMPLE * share * (1 - share)) ** 0.5 + 4
    lo, hi = int(_SAMPLE * share - reach), int(_SAMPLE * share + reach)
    least = sample[lo] if lo >= 0 else keys.new_tensor(0)
    largest = torch.iinfo(keys.dtype).max
    return least, sample[hi] if hi < _SAMPLE else keys.new_tensor(largest)
