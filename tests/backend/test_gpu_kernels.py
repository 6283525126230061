"""On TensorFlow: all that a run computes could be computed on a GPU, and stays there.

No GPU takes part. What this proves: every operation that training in phases adds to
plain Keras, in compiled functions and one by one, has a kernel for GPUs for the dtypes
it is used with (the wheels for Linux list them, with a GPU or without), in programs of
XLA's a kernel of XLA's for GPUs. None calls Python, handles strings or is pinned to the
CPU. Kernels for GPUs that keep a result in the host's memory, as those for int32 do,
have none of a weight's size. And nothing of that size is read back into Python. What it
can't prove: that kernels give the same bits, or are fast.
"""

import collections
import gc

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from tests import helpers

if keras.backend.backend() != "tensorflow":
    pytest.skip("kernels of TensorFlow's", allow_module_level=True)

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import func_graph, kernels, op_def_registry, ops


@pytest.fixture(autouse=True)
def as_on_gpu(monkeypatch):
    """What NumPy does for small models in the host's memory, programs do."""
    helpers.reckon_as_large_models(monkeypatch)


STRING = tf.string.as_datatype_enum
LARGE = 1000  # entries; weights have more, batches and biases fewer


def model_of(units):
    """Weights for `sample_select` with 2000 units, for `radix_select` with few."""
    return keras.Sequential(
        [
            keras.Input((40,)),
            layers.Dense(300, activation="relu"),
            layers.Dense(units, activation="relu", kernel_regularizer="l2"),
            layers.Dense(4),
        ]
    )


def fit(plan, units, jit_compile=False, seen=None):
    """Returns a trained model; what was traced is noted in `seen` after each epoch,
    for what a phase traces may be gone after it."""
    keras.utils.clear_session(free_memory=False)
    x, y = np.ones((16, 40), "float32"), np.ones((16, 4), "float32")
    model = model_of(units)
    callbacks = []
    if plan:
        dsd.make_prunable(model, track_gradients=True)
        callbacks = [dsd.DSDCallback(plan, verbose=0)]
    model.compile(keras.optimizers.Adam(), "mse", jit_compile=jit_compile)
    if seen is not None:
        note = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: seen.update(functions())
        )
        callbacks.append(note)
    epochs = sum(phase.epochs for phase in plan) or 1
    model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=callbacks)
    return model


def functions():
    """Returns {name: definition} of all that is traced now, single operations too."""
    known = context.context()
    gc.collect()  # what is dead goes now, and not while it is listed
    return {name: known.get_function_def(name) for name in known.list_function_names()}


def types_of(node):
    """Returns {attribute: tuple of dtypes} of a node."""
    found = {}
    for name, value in node.attr.items():
        if value.HasField("type"):
            found[name] = (value.type,)
        elif value.HasField("list") and value.list.type:
            found[name] = tuple(value.list.type)
    return found


def kernels_for(node, devices):
    """Returns the kernels that a node could use on some kinds of devices."""
    types = types_of(node)

    def fits(kernel):
        return kernel.device_type in devices and all(
            set(types.get(rule.name, ())) <= set(rule.allowed_values.list.type)
            for rule in kernel.constraint
        )

    registered = kernels.get_registered_kernels_for_op(node.op).kernel
    return [kernel for kernel in registered if fits(kernel)]


def nodes(traced):
    """Yields (function, whether XLA compiles it, node) of {name: definition}."""
    for name, definition in traced.items():
        for node in definition.node_def:
            yield name, definition.attr["_XlaMustCompile"].b, node


def signature(is_xla, node):
    return is_xla, node.op, tuple(sorted(types_of(node).items()))


def operations():
    """Yields all operations in graphs that are not compiled by XLA, with shapes."""
    compiled = {
        name for name, one in functions().items() if one.attr["_XlaMustCompile"].b
    }

    def is_compiled(graph):
        if not isinstance(graph, func_graph.FuncGraph):
            return False
        start = f"__inference_{graph.name}_"
        is_program = any(name.startswith(start) for name in compiled)
        return is_program or is_compiled(graph.outer_graph)

    for graph in gc.get_objects():
        if isinstance(graph, func_graph.FuncGraph) and not is_compiled(graph):
            yield from graph.get_operations()


PLANS = {
    "magnitude": [
        dsd.phases.Dense(1),
        dsd.phases.Sparse(2, sparsity=0.5, schedule="linear"),
        dsd.phases.Redense(1, restore="rewind"),
        dsd.phases.Sparse(1, sparsity=0.5, distribution="global"),
        dsd.phases.Sparse(1, pattern="2:4"),
    ],
    "rigl": [
        dsd.phases.Sparse(2, sparsity=0.5, regrowth="rigl", update_every=1),
        dsd.phases.Redense(1, restore="random"),
    ],
}


@pytest.mark.parametrize(
    ("units", "jit_compile"), [(2000, False), (32, True)], ids=["large", "small, xla"]
)
@pytest.mark.parametrize("name", PLANS)
def test_every_operation_has_a_kernel_for_gpus(name, units, jit_compile):
    before, seen = functions(), {}
    fit([], units, jit_compile, before)
    plains = {signature(is_xla, node) for _, is_xla, node in nodes(before)}
    # Held, for what `operations` finds lives as long as the model.
    model = fit(PLANS[name], units, jit_compile, seen)
    devices = {one.device_type for one in kernels.get_all_registered_kernels().kernel}
    if not {"GPU", "XLA_GPU_JIT"} <= devices:
        pytest.skip("this build of TensorFlow lists no kernels for GPUs")
    found = collections.Counter()
    wrong = []
    added = {key: seen[key] for key in seen.keys() - before.keys()}
    for function, is_xla, node in nodes(added):
        found[is_xla] += 1
        # Reading data is Keras's part, and begins on the CPU.
        if signature(is_xla, node) in plains or "Dataset" in function + node.op:
            continue
        wanted = {"XLA_GPU_JIT"} if is_xla else {"GPU", "DEFAULT"}
        usable = kernels_for(node, wanted)
        if not usable:
            wrong.append(f"no kernel: {node.op} {types_of(node)} in {function}")
        if "Py" in node.op or any(STRING in types for types in types_of(node).values()):
            wrong.append(f"Python or strings: {node.op} in {function}")
        # A call goes to where its variables lie; an operation of its own is no part
        # of a graph.
        is_placed = node.op == "StatefulPartitionedCall" or "__wrapped__" in function
        if "CPU" in node.device and not is_placed:
            wrong.append(f"pinned: {node.op} to {node.device} in {function}")
    wrong += [
        f"in the host's memory: {operation.type} {operation.name} in {operation.graph}"
        for operation in operations()
        if keeps_large_on_host(operation)
    ]
    assert not wrong
    assert found[True] + found[False] > 300
    assert model.layers


def keeps_large_on_host(operation):
    """Returns whether what is of a weight's size would lie in the host's memory."""
    tensors = [*operation.inputs, *operation.outputs]
    sizes = [tensor.shape.num_elements() or 0 for tensor in tensors]
    if max(sizes, default=0) < LARGE:
        return False
    definition = op_def_registry.get(operation.type)
    names = [
        argument.name
        for argument in (*definition.input_arg, *definition.output_arg)
        for _ in range(length(argument, operation.node_def))
    ]
    return any(
        size >= LARGE and name in kernel.host_memory_arg
        for kernel in kernels_for(operation.node_def, {"GPU", "DEFAULT"})[:1]
        for size, name in zip(sizes, names, strict=True)
    )


def length(argument, node):
    """Returns for how many tensors an argument of an operation stands."""
    if argument.number_attr:
        return node.attr[argument.number_attr].i
    if argument.type_list_attr:
        return len(node.attr[argument.type_list_attr].list.type)
    return 1


@pytest.mark.parametrize("name", PLANS)
def test_no_weight_is_read_into_python(name, monkeypatch):
    """Only single numbers are: whether all is finite, how many are zero."""
    read = []

    def spy(method):
        original = getattr(ops.EagerTensor.__mro__[1], method)

        def wrapper(tensor, *args, **kwargs):
            read.append(int(np.prod(tensor.shape)))
            return original(tensor, *args, **kwargs)

        monkeypatch.setattr(ops.EagerTensor.__mro__[1], method, wrapper)

    for method in ("numpy", "__array__", "_numpy"):
        spy(method)
    model = fit(PLANS[name], 32)
    assert read
    assert max(read) < LARGE
    keras.ops.convert_to_numpy(model.layers[0].kernel)  # would be seen
    assert max(read) >= LARGE
