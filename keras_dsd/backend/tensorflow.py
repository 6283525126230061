"""What TensorFlow does in its own way."""

import functools
import weakref
from typing import Any

import tensorflow as tf

# Private, for nothing public tells the context that traced functions belong to.
from tensorflow.python.eager.context import context as context_now

# Private, for nothing public tells whether XLA will compile the graph being traced.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from keras_dsd.backend import radix_select, sample_select, tables

_INTEGERS = {2: tf.int16, 4: tf.int32, 8: tf.int64}  # by bytes


def gradients_wanted():
    """Returns whether the call may be differentiated; TensorFlow can't tell."""
    return True


def replicas():
    """Returns how many replicas compute each step together."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def in_place_of(old, new):
    """Returns `new`: a variable takes it over whatever it held."""
    return new


def input_gradient(model, preprocess, loss):
    """See `backend`: a graph, without XLA, which not all that models do is made for."""

    @functools.partial(tf.function, autograph=False, reduce_retracing=True)
    def gradient(x, y):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            total = loss(y, model(preprocess(x), training=False))
        return tape.gradient(total, x)

    return gradient


def gradient_of(function):
    """See `backend`."""
    return _function(functools.partial(_gradient, function), reduce_retracing=True)


def _gradient(function, values, *others):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        total = function(values, *others)
    return _dense(tape.gradient(total, values, unconnected_gradients="zero"))


def _dense(gradients):
    return list(map(tf.convert_to_tensor, gradients))  # that of a look-up is sparse


def hessian_product_of(function):
    """See `backend`: reverse over reverse mode, for not all operations have another."""

    def product(values, vectors, *others):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            found = _gradient(function, values, *others)
        along = {"output_gradients": vectors, "unconnected_gradients": "zero"}
        return _dense(tape.gradient(found, values, **along))

    return _function(product, reduce_retracing=True)


def workers():
    """Returns how many processes the strategy in scope trains with."""
    strategy = tf.distribute.get_strategy()
    kinds = (
        tf.distribute.MultiWorkerMirroredStrategy,
        tf.distribute.ParameterServerStrategy,
    )
    if not isinstance(strategy, kinds) or strategy.cluster_resolver is None:
        return 1
    cluster = strategy.cluster_resolver.cluster_spec().as_dict()
    return max(len(cluster.get("worker", ())), 1)


def masked(value, mask):
    """Returns `value`, exactly 0 where `mask` is False."""
    return tf.where(mask, value, tf.zeros((), value.dtype))


def masked_gradient(gradient, mask, weight):
    """Returns `gradient`, exactly 0 where `mask` is False, as `weight` is.

    Of tensors of one shape TensorFlow chooses in place; zeros of that shape would have
    to be made, and the weight is there. XLA makes zeros on the way, and would read the
    weight.
    """
    gradient = tf.convert_to_tensor(gradient)
    if GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return masked(gradient, mask)
    return tf.raw_ops.Select(condition=mask, x=gradient, y=tf.stop_gradient(weight))


def new_train_function(model):
    """Returns a training step of `model` that will be traced anew."""
    model.make_train_function(force=True)
    return model.train_function


def compiled_update_each(choose, apply, units):
    """See `backend`: a program for each shape, called from one graph.

    The programs are given the variables, and write where their values lie.
    """

    @functools.partial(_function, jit_compile=True)
    def one_unit(variables, args):
        values = [variable.read_value() for variable in variables]
        new = apply(values, choose(values, *args))
        for variable, value in zip(variables, new, strict=True):
            variable.assign(value)

    @_function
    def run_all(columns):
        lists = [c if isinstance(c, list) else tf.unstack(c) for c in columns]
        for variables, *args in zip(units, *lists, strict=True):
            for copies in zip(*map(_copies, variables), strict=True):
                with tf.device(copies[0].device):
                    one_unit(copies, args)

    return lambda *columns: run_all(_as_tensors(columns))


def _copies(variable):
    """Returns the variables of TensorFlow's behind one of Keras's: one a replica."""
    value = variable.value
    mirrored = isinstance(value, tf.distribute.DistributedValues)
    return value.values if mirrored else (value,)


def is_near(variable):
    """Returns whether a variable of Keras's lies whole in the host's memory."""
    copies = _copies(variable)
    return len(copies) == 1 and "CPU:0" in copies[0].device


def is_traced(x):
    """Returns whether `x` stands for a value that a graph will have later."""
    return tf.is_symbolic_tensor(x)


def bits(x):
    """Returns |x| as integers that sort like it: int64 for float64, else int32."""
    integer = _INTEGERS[x.dtype.size]
    found = tf.bitcast(tf.abs(x), integer)
    return tf.cast(found, tf.int32) if integer == tf.int16 else found


def from_bits(keys, dtype):
    """Returns the floats whose `bits` are `keys`."""
    dtype = tf.as_dtype(dtype)
    return tf.bitcast(tf.cast(keys, _INTEGERS[dtype.size]), dtype)


def _function(function, **options):
    """Returns `function` as a `tf.function`.

    TensorFlow warns of a function that is traced often, and tells functions by their
    line in the source. A partial is told by itself: what is traced once for each of
    many models is not traced often, and one that is will be warned of.
    """
    return tf.function(functools.partial(function), autograph=False, **options)


def _lasting(function, **options):
    """Returns `function` as a `tf.function` that may be kept for a whole process.

    Traces belong to TensorFlow's context. If that is reset, they begin anew.
    """
    made: Any = weakref.WeakKeyDictionary()  # {context: function}

    @functools.wraps(function)
    def run(*args):
        context = context_now()
        if context not in made:
            made[context] = _function(function, **options)
        return made[context](*args)

    return run


def _traced(function, **options):
    traced = _lasting(function, **options)
    return functools.wraps(function)(lambda *args: traced(*_as_tensors(args)))


def _as_tensors(args):
    # A Python number in the arguments of a tf.function would be a trace of its own.
    return tf.nest.map_structure(tf.convert_to_tensor, args)


def fused(function):
    """Returns `function`, of tensors only, as one program: what it computes on the way
    is not written out.

    A variable is read before: a trace that was given one itself is found again for the
    next model's, and fails, for it remembers the first, which may be gone.
    """
    return _traced(function, jit_compile=True)


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
    """See `backend`. The tables are put together in the plain graph.

    A large one is searched by XLA programs, so that hundreds of small tensors are
    traced and compiled as one; a small one in the graph.
    """
    scores, zeros = list(map(tf.convert_to_tensor, scores)), tf.cast(zeros, tf.int32)

    def cut_table(tensors, lost, layout):
        search = _cut_small if layout.is_small else _cut
        return search(tables.table(tensors), lost, layout)

    return tables.cut_all(scores, zeros, groups, cut_table)


def _cut_small(table, lost, layout):
    # In 64 bits: on a GPU TensorFlow takes int32 for numbers that steer the program,
    # and would copy them to the host and back.
    def wide(x):
        return tf.cast(bits(x), tf.int64)

    key, index, finite = radix_select.cut(table, layout, lost, wide)
    narrow = tf.int64 if table.dtype == tf.float64 else tf.int32
    return tables.Cuts(tf.cast(key, narrow), tf.cast(index, tf.int32), finite)


def _cut(table, lost, layout):
    bracket, is_due, nonfinite = _begin(table, lost, layout)
    bracket, _ = tf.while_loop(
        lambda bracket, is_due: is_due,
        lambda bracket, is_due: _narrow(table, lost, bracket, layout),
        (bracket, is_due),
    )
    return _end(table, lost, bracket, nonfinite, layout)


@functools.partial(_lasting, jit_compile=True)
def _begin(table, lost, layout):
    return sample_select.Search(table, layout, bits).begin(lost)


@functools.partial(_lasting, jit_compile=True)
def _narrow(table, lost, bracket, layout):
    return sample_select.Search(table, layout, bits).narrow(lost, bracket)


@functools.partial(_lasting, jit_compile=True)
def _end(table, lost, bracket, nonfinite, layout):
    return sample_select.Search(table, layout, bits).end(lost, bracket, nonfinite)


def compiled(function):
    """See `backend`: traced once for all tensors of the same shapes."""
    return _traced(function)
