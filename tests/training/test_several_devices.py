"""Two and four devices: the same masks everywhere, and as on one device."""

import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]

SCRIPT = """
import contextlib
import sys

import keras
import numpy as np

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers

PLAN = [
    dsd.phases.Dense(1),
    dsd.phases.Sparse(3, sparsity=0.5, regrowth=sys.argv[1], update_every=2),
    dsd.phases.Redense(1),
]


def train(scope, look=lambda model: None, batch_size=32):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(3)
    x, y = helpers.data(samples=128)
    masks = []

    def at_epoch_end(epoch, logs):
        look(model)
        masks.extend(helpers.masks_of(model))

    with scope:
        model = dsd.make_prunable(helpers.mlp(units=24), track_gradients=True)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse")
        model.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=5,
            shuffle=False,
            verbose=0,
            callbacks=[
                dsd.DSDCallback(PLAN, verbose=0),
                keras.callbacks.LambdaCallback(on_epoch_end=at_epoch_end),
            ],
        )
    return masks, helpers.values(dsd.strip(model).weights)


def compare(one, many):
    for mask, other in zip(one[0], many[0], strict=True):
        np.testing.assert_array_equal(mask, other)
    for weight, other in zip(one[1], many[1], strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-4, atol=1e-6)
    assert any(not mask.all() for mask in one[0])
    print("equal")
"""

MIRRORED = (
    """
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
"""
    + SCRIPT
    + """
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
copies = []


def look(model):
    for weight in conversion.pruned_weights(model):
        one, two = (value.numpy() for value in weight.mask.value.values)
        np.testing.assert_array_equal(one, two)
        copies.append(one)


compare(train(contextlib.nullcontext()), train(strategy.scope(), look))
assert len(copies) == 10
"""
)

SHARDED = (
    SCRIPT
    + """
one = train(contextlib.nullcontext())
devices = keras.distribution.list_devices()
assert len(devices) == 4
distribution = keras.distribution.DataParallel(devices=devices)


def look(model):
    assert len(model.layers[0].kernel.value.sharding.device_set) == 4


compare(one, train(distribution.scope(), look))
"""
)

# One axis of devices that share each kernel, first its columns, then its rows; then two
# axes, by which a kernel is cut into blocks while batches are split. (An axis that the
# devices do not divide is refused by JAX itself.)
MODEL_PARALLEL = (
    SCRIPT
    + """
import jax

LAYOUTS = {
    ("model",): {"dense/kernel": (None, "model"), "dense_1/kernel": ("model", None)},
    ("data", "model"): {
        "dense/kernel": ("data", "model"),
        "dense/bias": ("model",),
        "dense_1/kernel": ("model", None),
    },
}


def distribution(names, layouts):
    distribution = keras.distribution
    mesh = distribution.DeviceMesh(
        (4,) if len(names) == 1 else (2, 2), names, distribution.list_devices()
    )
    layout_map = distribution.LayoutMap(mesh)
    for path, axes in layouts.items():
        layout_map[f".*/{path}$"] = axes
    return distribution.ModelParallel(
        layout_map=layout_map, batch_dim_name=names[0] if len(names) > 1 else None
    )


def look(model):
    slots = {variable.path: variable for variable in model.optimizer.variables}
    for weight in conversion.pruned_weights(model):
        sharding = weight.variable.value.sharding
        assert not sharding.is_fully_replicated
        beside = [weight.mask, weight.gradient, weight.explored]
        name = weight.path.replace("/", "_") + "_momentum"
        beside.append(next(v for v in model.optimizer.variables if v.name == name))
        for variable in beside:
            there = variable.value.sharding
            assert there.is_equivalent_to(sharding, 2), variable.path
        looked.append(weight.path)


one = train(contextlib.nullcontext())
for names, layouts in LAYOUTS.items():
    looked = []
    compare(one, train(distribution(names, layouts).scope(), look))
    assert len(looked) == 10
print("equal")
"""
)

# One of two processes: each trains on its half of every batch.
PROCESS = (
    """
import sys

import jax

jax.config.update("jax_cpu_collectives_implementation", "gloo")
"""
    + SCRIPT
    + """
method, rank, port, file = sys.argv[1:]
rank, half = int(rank), 16
keras.utils.set_random_seed(3)
keras.distribution.initialize(f"127.0.0.1:{port}", 2, rank)
assert jax.process_count() == 2
devices = keras.distribution.list_devices()
assert len(devices) == 2
whole = helpers.data


def data(**options):
    return [a.reshape(-1, 2, half, a.shape[1])[:, rank].reshape(-1, a.shape[1])
            for a in whole(**options)]


helpers.data = data
distribution = keras.distribution.DataParallel(
    devices=devices, auto_shard_dataset=False
)
masks, weights = train(distribution.scope(), batch_size=half)
np.savez(file, *masks, *weights)
"""
)

ALONE = (
    SCRIPT
    + """
masks, weights = train(contextlib.nullcontext())
np.savez(sys.argv[2], *masks, *weights)
"""
)

PROGRAMS = {"tensorflow": MIRRORED, "jax": SHARDED}


def ends_with(program, words, *arguments):
    """Runs a program with four CPU devices on JAX; its output must end as said."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith(words)


@pytest.mark.skipif(
    keras.backend.backend() not in PROGRAMS, reason="torch: Keras trains on one device"
)
@pytest.mark.parametrize("method", ["rigl", "snfs", "granet", "set"])
def test_replicas(method):
    ends_with(PROGRAMS[keras.backend.backend()], "equal\n", method)


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="`ModelParallel` is for JAX"
)
def test_weights_in_pieces():
    """Masks lie where their weights do, and are those of one device."""
    ends_with(MODEL_PARALLEL, "equal\n", "rigl")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Keras has several processes on JAX only"
)
def test_two_processes(tmp_path):
    """They talk to each other; both have the masks of one that has all the data."""
    files = [tmp_path / f"{name}.npz" for name in ("first", "second", "alone")]
    port = free_port()
    commands = [(PROCESS, "rigl", str(rank), str(port), files[rank]) for rank in (0, 1)]
    commands.append((ALONE, "rigl", files[2]))
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", *command],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | flags | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        for command in commands
    ]
    try:
        for process in running:
            errors = process.communicate(timeout=500)[1]
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in running:
            process.kill()
    first, second, alone = (list(np.load(file).values()) for file in files)
    assert len(first) == len(alone) == 14
    for one, two, known in zip(first, second, alone, strict=True):
        np.testing.assert_array_equal(one, two)
        if one.dtype == bool:
            np.testing.assert_array_equal(one, known)
        np.testing.assert_allclose(one, known, rtol=1e-4, atol=1e-6)
    zeros = [int(np.count_nonzero(~mask)) for mask in first[:10]]
    assert zeros == [0, 0, *3 * [144, 48], 0, 0]


WORKER = """
import json
import os
import sys

rank, *ports = sys.argv[1:]
addresses = [f"127.0.0.1:{port}" for port in ports]
os.environ["TF_CONFIG"] = json.dumps(
    {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": int(rank)}}
)
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
import keras

import keras_dsd as dsd
from tests import helpers

assert strategy.num_replicas_in_sync == 2
x, y = helpers.data()
with strategy.scope():
    model = helpers.mlp()
    model.compile("sgd", "mse")
    try:
        dsd.make_prunable(model)
    except ValueError as error:
        print(error)
try:
    model.fit(x, y, verbose=0)
except ValueError as error:
    assert "PerReplica" in str(error)
    print("not plain either")
"""


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow's"
)
def test_several_workers_of_tensorflow_are_refused():
    """Keras's own `fit` fails in them, in words that name no alternative."""
    ports = [str(free_port()), str(free_port())]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), *ports],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        for rank in (0, 1)
    ]
    try:
        for process in running:
            output, errors = process.communicate(timeout=500)
            assert process.returncode == 0, errors[-3000:]
            first, last = output.splitlines()
            assert first.endswith("Received: a strategy with 2 workers")
            assert "MirroredStrategy" in first
            assert last == "not plain either"
    finally:
        for process in running:
            process.kill()
