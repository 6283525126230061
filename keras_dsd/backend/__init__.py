"""The one backend that runs: all that differs between TensorFlow, JAX and PyTorch.

Nothing else in the package imports any of the three, and this imports one of them only.
Each has the same functions:

bits(x)
    |x| as integers that sort like it: int64 for float64, else int32.
from_bits(keys, dtype)
    The floats whose `bits` are `keys`.
fused(function)
    `function`, of tensors only, as one program where the backend can.
compiled(function)
    `function`, of nested structures of tensors and numbers, compiled where that helps;
    what in it needs XLA compiles itself. It may read variables, and changes nothing.
    Hundreds of variables that it reads cost less than hundreds of arguments.
compiled_update_each(choose, apply, units)
    Returns `run(*columns)`, which gives variables their new values:
    `apply(values, new)`, where `new` is `choose(values, *args)`. Both are pure, and
    `apply` is elementwise: it may be given pieces, and the variables of a unit have one
    shape. `values` are those of one unit's variables. `units` is a list of lists of
    Keras variables, no variable twice. A column has an argument for each unit: it is a
    list, or a tensor of which they are the rows, which is much faster to hand over.
    Units whose shapes and dtypes agree share a program.
count(mask)
    How many entries of a mask are True, as an int32 tensor.
elementwise(function)
    As `fused`, of a function whose tensors have one shape, or none, and that returns
    one such: it may be given pieces.
find_cuts(scores, zeros, groups)
    Where the smallest |entries| of each tensor of `scores` end, as `tables.Cuts`.
    `zeros` (groups,) says how many entries each group loses; `groups` is a list of
    lists of indices into `scores`, ranked together and, on a tie, in this order; each
    index once.
gradient_of(function)
    Returns `gradient(values, *others)`: of `function(values, *others)`, a number, by
    each tensor of the list `values`; zeros by those that it does not depend on.
hessian_product_of(function)
    Returns `product(values, vectors, *others)`: the Hessian of `function` by all of
    `values` together, times `vectors`, a list of tensors of their shapes. It is exact
    up to rounding, and no Hessian is ever formed.
in_place_of(old, new)
    `new`, as what overwrites a variable whose value is `old`.
input_gradient(model, preprocess, loss)
    Returns `gradient(x, y)`: of `loss(y, model(preprocess(x)))`, a number, by `x`; the
    model as it predicts.
gradients_wanted()
    Whether a call may be differentiated; True where nobody can tell.
is_near(variable)
    Whether a variable of Keras's lies whole in the host's memory.
is_traced(x)
    Whether `x` stands for a value that a trace will have later.
masked(value, mask)
    `value`, exactly 0 where `mask` is False.
masked_gradient(gradient, mask, weight)
    `gradient`, exactly 0 where `mask` is False, for `weight` is 0 there too.
new_train_function(model)
    A training step of `model` that will be traced anew.
replicas()
    How many replicas sum their gradients in a step.
stays(x, key, index)
    Which entries stay, given a key and an index of `tables.Cuts`.
workers()
    How many processes a strategy of TensorFlow's trains with.
"""

import importlib

import keras

__all__ = [
    "bits",
    "compiled",
    "compiled_update_each",
    "count",
    "elementwise",
    "find_cuts",
    "from_bits",
    "fused",
    "gradient_of",
    "gradients_wanted",
    "hessian_product_of",
    "in_place_of",
    "input_gradient",
    "is_near",
    "is_traced",
    "masked",
    "masked_gradient",
    "new_train_function",
    "replicas",
    "stays",
    "tables",
    "workers",
]

_RUNNING = keras.backend.backend()

if _RUNNING not in ("jax", "tensorflow", "torch"):
    raise ImportError(
        "keras_dsd trains on the TensorFlow, JAX and PyTorch backends of Keras. "
        f"Received: KERAS_BACKEND={_RUNNING!r}"
    )
_module = importlib.import_module(f"{__name__}.{_RUNNING}")


def __getattr__(name):
    """Returns the function of that name of the backend that runs."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_module, name)
