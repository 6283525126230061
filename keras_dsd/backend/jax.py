"""What JAX does in its own way."""

import functools

import jax
import jax.numpy as jnp
import keras

from keras_dsd.backend import radix_select, sample_select, tables

_INTEGERS = {2: jnp.int16, 4: jnp.int32, 8: jnp.int64}  # by bytes


def gradients_wanted():
    """Returns whether the call may be differentiated; under tracing nobody can tell."""
    return True


def replicas():
    """Returns how many replicas sum their gradients: JAX has one program for all."""
    return 1


def in_place_of(old, new):
    """Returns `new`, from a program that has `old` too.

    JAX drops an argument that nothing depends on, and gives the result the memory of
    another one, a momentum of the same shape say; then both have to be copied. XLA
    makes nothing of writing over all of `old`; a barrier keeps the two as well, but
    holds up what else could run meanwhile.
    """
    return jax.lax.dynamic_update_slice(old, new, (0,) * new.ndim)


def input_gradient(model, preprocess, loss):
    """See `backend`: the weights are arguments, so that they are not compiled in."""

    @jax.jit
    def gradient(values, x, y):
        def total(x):
            # As `model(...)` elsewhere: `stateless_call` skips the cast to the compute
            # dtype, and asks for a `training` that not every `call` has.
            held = zip(model.variables, values, strict=True)
            with keras.StatelessScope(state_mapping=list(held)):
                return loss(y, model(preprocess(x), training=False))

        return jax.grad(total)(x)

    def run(x, y):
        return gradient([variable.value for variable in model.variables], x, y)

    return run


def gradient_of(function):
    """See `backend`."""
    return jax.jit(jax.grad(function))


def hessian_product_of(function):
    """See `backend`: forward over reverse mode."""

    @jax.jit
    def product(values, vectors, *others):
        def gradient(values):
            return jax.grad(function)(values, *others)

        return jax.jvp(gradient, (values,), (vectors,))[1]

    return product


def workers():
    """Returns 1: JAX runs one program in all of them."""
    return 1


def masked(value, mask):
    """Returns `value`, exactly 0 where `mask` is False."""
    return jnp.where(mask, value, jnp.zeros((), value.dtype))


def masked_gradient(gradient, mask, weight):
    """Returns `gradient`, exactly 0 where `mask` is False."""
    return masked(gradient, mask)


def new_train_function(model):
    """Returns a training step of `model` that will be traced anew.

    `jax.jit` finds an old trace again if the function compares equal, and bound
    methods of one model do. So Keras is handed another function object, for as long as
    it builds the step; the model is left as it was.
    """
    step = type(model).train_step
    model.train_step = lambda *args, **kwargs: step(model, *args, **kwargs)
    try:
        model.make_train_function(force=True)
    finally:
        del model.train_step
    return model.train_function


def compiled_update_each(choose, apply, units):
    """See `backend`.

    The variables' arrays are donated: two variables must not share one.
    """

    @functools.partial(jax.jit, donate_argnums=0)
    def one_unit(values, *args):
        return apply(values, choose(values, *args))

    def run(*columns):
        # Of an array on the device, taking each row would be a program call.
        near = [c if isinstance(c, list) else jax.device_get(c) for c in columns]
        for variables, *args in zip(units, *near, strict=True):
            values = one_unit([variable.value for variable in variables], *args)
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    return run


def is_near(variable):
    """Returns whether a variable of Keras's lies whole in the host's memory."""
    devices = variable.value.sharding.device_set
    return len(devices) == 1 and next(iter(devices)).platform == "cpu"


def is_traced(x):
    """Returns whether `x` stands for a value that a trace will have later."""
    return isinstance(x, jax.core.Tracer)


def bits(x):
    """Returns |x| as integers that sort like it: int64 for float64, else int32."""
    integer = _INTEGERS[x.dtype.itemsize]
    found = jax.lax.bitcast_convert_type(jnp.abs(x), integer)
    return found.astype(jnp.int32) if integer == jnp.int16 else found


def from_bits(keys, dtype):
    """Returns the floats whose `bits` are `keys`."""
    dtype = jnp.dtype(dtype)
    keys = keys.astype(_INTEGERS[dtype.itemsize])
    return jax.lax.bitcast_convert_type(keys, dtype)


def fused(function):
    """Returns `function`, of arrays only, as one program: what it computes on the way
    is not written out.
    """
    return jax.jit(function)


@fused
def count(mask):
    """Returns how many entries of a mask are True, as an int32 tensor."""
    return tables.count(mask)


def elementwise(function):
    """See `backend`: one program writes out no more than the result."""
    return fused(function)


def stays(x, key, index):
    """Returns which entries stay, given a key and an index of `tables.Cuts`."""
    return tables.stays(bits(x), key, index)


def find_cuts(scores, zeros, groups):
    """See `backend`.

    The cuts are of NumPy numbers, unless under a trace, because hundreds of arrays of
    one number each are slow to hand around.
    """
    scores, zeros = list(map(jnp.asarray, scores)), jnp.asarray(zeros, "int32")
    found = tables.cut_all(scores, zeros, groups, _cut)
    is_known = not any(map(is_traced, found))
    return jax.device_get(found) if is_known else found


def _cut(arrays, lost, layout):
    if len(arrays) == 1 and not layout.filling.any():
        table = arrays[0]  # as it is: a program would copy it
    else:
        table = _table(arrays, lost)
    if layout.is_small:
        return _cut_small(table, lost, layout)
    bracket, is_due, nonfinite = _begin(table, lost, layout)
    if is_traced(is_due):
        bracket, _ = jax.lax.while_loop(
            lambda state: state[1],
            lambda state: _narrow(table, lost, state[0], layout),
            (bracket, is_due),
        )
    else:
        while is_due:
            bracket, is_due = _narrow(table, lost, bracket, layout)
    return _end(table, lost, bracket, nonfinite, layout)


@jax.jit
def _table(arrays, lost):
    table = tables.table(arrays)
    # Within a program, a branch that is never taken makes XLA write the table out; else
    # it would look up each entry among all arrays, and need a minute to compile that.
    return jax.lax.cond(lost[0] < 0, jnp.negative, lambda table: table, table)


@functools.partial(jax.jit, static_argnums=2)
def _cut_small(table, lost, layout):
    return radix_select.cut(table, layout, lost, bits)


@functools.partial(jax.jit, static_argnums=2)
def _begin(table, lost, layout):
    return sample_select.Search(table, layout, bits).begin(lost)


@functools.partial(jax.jit, static_argnums=3)
def _narrow(table, lost, bracket, layout):
    return sample_select.Search(table, layout, bits).narrow(lost, bracket)


@functools.partial(jax.jit, static_argnums=4)
def _end(table, lost, bracket, nonfinite, layout):
    return sample_select.Search(table, layout, bits).end(lost, bracket, nonfinite)


def compiled(function):
    """Returns `function`, which is pure and does its heavy work in compiled parts.

    One program of it all would take long to compile with hundreds of weights.
    """
    return function
