"""Two and four devices: the same masks everywhere, and as on one device."""

import os
import pathlib
import subprocess
import sys

import keras
import pytest

ROOT = pathlib.Path(__file__).parents[1]

SCRIPT = """
import contextlib
import sys

import keras
import numpy as np

import keras_dsd as dsd
from keras_dsd import wrapping
from tests import helpers

PLAN = [
    dsd.phases.Dense(1),
    dsd.phases.Sparse(3, sparsity=0.5, regrowth=sys.argv[1], update_every=2),
    dsd.phases.Redense(1),
]


def train(scope, look=lambda model: None):
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
            batch_size=32,
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
    for weight in wrapping.pruned_weights(model):
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

PROGRAMS = {"tensorflow": MIRRORED, "jax": SHARDED}


@pytest.mark.skipif(
    keras.backend.backend() not in PROGRAMS, reason="torch: Keras trains on one device"
)
@pytest.mark.parametrize("method", ["rigl", "snfs", "granet", "set"])
def test_replicas(method):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS[keras.backend.backend()], method],
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
    assert done.stdout.endswith("equal\n")
