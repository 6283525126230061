"""Every architecture of `keras.applications`, found at run time.

A few of them always, the others with `-m large`.
"""

import inspect

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from keras_dsd.sparsity import counts
from tests import helpers
from tests.coverage import guarantees

SPARSITY = 0.5
# The families, by the module of Keras that defines them, and the member that is tried
# in every run of the tests, one for each way to build. A family that is not here is
# tried as a whole.
FAMILIES = {
    "convnext": None,
    "densenet": None,
    "efficientnet": None,
    "efficientnet_v2": "EfficientNetV2B0",
    "inception_resnet_v2": None,
    "inception_v3": None,
    "mobilenet": "MobileNet",
    "mobilenet_v2": None,
    "mobilenet_v3": None,
    "nasnet": None,
    "resnet": None,
    "resnet_v2": "ResNet50V2",
    "vgg16": "VGG16",
    "vgg19": None,
    "xception": None,
}
QUICK_ON_JAX = ("MobileNet",)  # the others take JAX up to a minute each to compile


def architectures():
    """Yields the names, those that take long marked."""
    for name, value in sorted(vars(keras.applications).items()):
        if not inspect.isfunction(value):
            continue
        family = value.__module__.rsplit(".", 1)[-1]
        is_large = FAMILIES.get(family, name) != name
        if keras.backend.backend() == "jax" and family in FAMILIES:
            is_large = name not in QUICK_ON_JAX
        yield pytest.param(name, marks=[pytest.mark.large] if is_large else [])


def smallest(name):
    """Returns the model with the smallest pictures that it takes, and such pictures."""
    make = getattr(keras.applications, name)
    for size in (32, 48, 64, 71, 75, 96, 128, 224):
        try:
            keras.utils.clear_session(free_memory=False)
            model = make(
                weights=None,
                include_top=False,
                pooling="avg",
                input_shape=(size, size, 3),
            )
        except ValueError as error:  # too small
            if "not available with" in str(error):  # NASNetMobile on PyTorch
                pytest.skip(str(error))
            continue
        rng = np.random.default_rng(0)
        return model, rng.uniform(0, 255, (2, size, size, 3)).astype("float32")
    raise AssertionError(f"{name} takes no picture")


@pytest.mark.parametrize("name", list(architectures()))
def test_wrapped_trained_and_stripped(name):
    model, x = smallest(name)
    before, outputs = guarantees.outside(model), guarantees.predict(model, x)
    dsd.make_prunable(model)
    guarantees.assert_equal(guarantees.predict(model, x), outputs)
    # One step takes less time than its trace, but not where each operation is traced.
    eager = keras.backend.backend() != "jax"
    model.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=eager)
    watch = helpers.Watch()
    model.fit(
        x,
        np.zeros_like(outputs[0]),
        callbacks=[
            dsd.DSDCallback([dsd.phases.Sparse(1, sparsity=SPARSITY)], verbose=0),
            watch,
        ],
        verbose=0,
    )
    assert watch.batches and (watch.moved, watch.stale) == (0, 0)
    pruned = conversion.pruned_weights(model)
    for weight, mask in zip(pruned, helpers.masks_of(model), strict=True):
        assert np.count_nonzero(~mask) == counts.zeros(mask.size, SPARSITY), weight.path
    dense = [row.reason for row in dsd.sparsity_report(model).rows if row.reason]
    others = [reason for reason in dense if reason != "depthwise convolution"]
    assert 0 < len(others) < 5
    assert all(reason.startswith("convolution of the picture") for reason in others)
    outputs = guarantees.predict(model, x)
    assert dsd.strip(model) is model
    assert guarantees.outside(model) == before
    guarantees.assert_equal(guarantees.predict(model, x), outputs)
