"""What PyTorch does in its own way."""

import functools

import keras
import torch

from keras_dsd.backend import torch_cuts, torch_pieces
from keras_dsd.backend.tables import KEYS, Cuts

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes


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


def gradient_of(function):
    """See `backend`."""

    def gradient(values, *others):
        values = [value.detach().requires_grad_() for value in values]
        total = function(values, *others)
        return list(torch.autograd.grad(total, values, materialize_grads=True))

    return gradient


def hessian_product_of(function):
    """See `backend`: reverse over reverse mode.

    Attention is computed step by step: its fast kernels have no second derivative.
    """

    def product(values, vectors, *others):
        values = [value.detach().requires_grad_() for value in values]
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            total = function(values, *others)
        found = torch.autograd.grad(
            total, values, create_graph=True, materialize_grads=True
        )
        curved = [pair for pair in zip(found, vectors, strict=True) if _depends(pair)]
        if not curved:
            return [torch.zeros_like(value) for value in values]
        gradients, along = zip(*curved, strict=True)
        return list(
            torch.autograd.grad(gradients, values, along, materialize_grads=True)
        )

    return product


def _depends(pair):
    """Returns whether a gradient depends on the weights; a constant one does not."""
    return pair[0].requires_grad


def workers():
    """Returns 1: Keras trains with one."""
    return 1


def masked(value, mask):
    """Returns `value`, exactly 0 where `mask` is False.

    On a CPU by its bits: choosing by a boolean takes PyTorch some three times as long.
    Bits have no gradient, so not where one is wanted, of a gradient say.
    """
    differentiated = torch.is_grad_enabled() and value.requires_grad
    on_cpu = value.device.type == "cpu"
    if differentiated or not on_cpu or torch.compiler.is_compiling():
        # The zero lies where the value does: PyTorch would copy one from the host, and
        # wait for it, in each step.
        return torch.where(mask, value, value.new_zeros(()))
    integer = _INTEGERS[value.element_size()]
    result = torch.empty(value.shape, dtype=integer)
    tensors = result, value.view(integer), mask.view(torch.int8)
    for kept, given, flags in torch_pieces.of(*tensors):
        kept.copy_(flags).mul_(given)  # integers: all bits, or none
    return result.view(value.dtype)


def masked_gradient(gradient, mask, weight):
    """Returns `gradient`, exactly 0 where `mask` is False."""
    return masked(gradient, mask)


def new_train_function(model):
    """Returns a training step of `model` that will be traced anew, if it is traced."""
    model.make_train_function(force=True)
    return model.train_function


def compiled_update_each(choose, apply, units):
    """See `backend`: op by op, without gradients; written where the values lie."""

    @torch.no_grad()
    def run(*columns):
        # Of a tensor on a device, reading each row would be a wait of its own.
        near = [c if isinstance(c, list) else c.tolist() for c in columns]
        for variables, *args in zip(units, *near, strict=True):
            values = [variable.value for variable in variables]
            chosen = choose(values, *args)
            for new, *olds in torch_pieces.of(chosen, *values):
                for old, value in zip(olds, apply(olds, new), strict=True):
                    old.copy_(value)

    return run


def compiled(function):
    """Returns `function` run without gradients."""
    return torch.no_grad()(function)


def is_near(variable):
    """Returns whether a variable of Keras's lies whole in the host's memory."""
    return variable.value.device.type == "cpu"


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


def elementwise(function):
    """See `backend`: on a CPU, piece by piece."""

    @functools.wraps(function)
    def run(first, *others):
        result, start = first, 0
        for pieces in torch_pieces.of(first, *others):
            part = function(*pieces)
            if part.numel() == first.numel():
                return part
            if start == 0:
                result = torch.empty(first.numel(), dtype=part.dtype)
            result[start : start + part.numel()] = part
            start += part.numel()
        return result.view(first.shape)

    return run


def find_cuts(scores, zeros, groups):
    """See `backend`."""
    cuts: list = [None] * len(scores)
    for indices, lost in zip(groups, torch.as_tensor(zeros).tolist(), strict=True):
        group = [scores[i] for i in indices]
        key, index, largest = torch_cuts.cut(group, lost, bits)
        infinity, _ = KEYS[keras.backend.standardize_dtype(group[0].dtype)]
        for i, top in zip(indices, largest, strict=True):
            cuts[i] = key, index, top < infinity
            index -= scores[i].numel()
    keys, places, finite = map(list, zip(*cuts, strict=True))
    device = finite[0].device
    return Cuts(
        torch.tensor(keys, device=device),
        torch.tensor(places, device=device),
        torch.stack(finite),
    )


def stays(x, key, index):
    """Returns which entries stay, given a key and an index of `tables.Cuts`."""
    key, index = int(key), int(index)
    result = torch.empty(x.shape, dtype=torch.bool, device=x.device)
    for kept, piece in torch_pieces.of(result, x):
        keys = bits(piece).reshape(-1)
        stay = torch_pieces.flags(torch.gt, keys, key)
        if index > 0:
            stay[:index] |= torch_pieces.flags(torch.eq, keys[:index], key)
        kept.view(-1).copy_(stay)
        index -= len(keys)
    return result


def count(mask):
    """Returns how many entries of a mask are True, as an int32 tensor."""
    return torch.count_nonzero(mask).int()
