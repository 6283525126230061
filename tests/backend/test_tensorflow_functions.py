"""Functions of TensorFlow's: told by themselves, and made anew where its context is."""

import logging

import keras
import numpy as np
import pytest

from tests import processes

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow traces", allow_module_level=True)


import tensorflow as tf

from keras_dsd import backend

MANY = 8  # TensorFlow warns of five traces in a row


class Messages(logging.Handler):
    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


@pytest.fixture
def messages():
    handler = Messages()
    tf.get_logger().addHandler(handler)
    yield handler.texts
    tf.get_logger().removeHandler(handler)


def test_each_model_has_functions_of_its_own(messages):
    """Those of many models, made in one line, are traced once each."""
    for _ in range(MANY):
        assert int(backend.compiled(lambda x: x + 1)(tf.constant(1))) == 2
        assert int(backend.fused(lambda x: x + 2)(tf.constant(1))) == 3
    assert not messages


def test_so_have_updates(messages):
    for _ in range(MANY):
        variable = keras.Variable(np.zeros(2, "float32"))
        run = backend.compiled_update_each(
            lambda values, new: new, lambda values, new: [new], [[variable]]
        )
        run([tf.ones(2)])
        assert keras.ops.convert_to_numpy(variable).tolist() == [1, 1]
    assert not messages


def test_what_is_traced_often_is_told_still(messages):
    function = backend.compiled(lambda x: x + 1)
    for size in range(MANY):
        function(tf.zeros(size))
    assert "triggered tf.function retracing" in messages[0]


RESET = """
import keras, numpy as np, keras_dsd as dsd
from tensorflow.python.eager import context

def fitted():
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    dsd.make_prunable(model).compile("sgd", "mse")
    callback = dsd.DSDCallback([dsd.phases.Sparse(1, sparsity=0.5)], verbose=0)
    x, y = np.ones((8, 8)), np.ones((8, 4))
    fit = model.fit(x, y, callbacks=[callback], verbose=0)
    return fit.history["sparsity"]

for _ in range(2):
    assert fitted() == [0.5]
    context._reset_context()
"""


def test_traces_end_with_their_context():
    processes.run(RESET)
