"""Files run where their runtime and NumPy alone are installed, by a few lines."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_dsd import deploy
from keras_dsd.deploy import formats
from tests.deploy import test_exporting

pytestmark = [
    pytest.mark.large,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="the converters are TensorFlow's, whatever the backend",
    ),
]

NOTHING_ELSE = """
import importlib.util, sys
import numpy as np
for name in ("keras", "keras_dsd", "tensorflow", "onnx"):
    assert importlib.util.find_spec(name) is None, name
x = np.load(sys.argv[2])
"""
LITERT = """
from ai_edge_litert.interpreter import Interpreter
runner = Interpreter(sys.argv[1]).get_signature_runner()
(name,) = runner.get_input_details()
(y,) = runner(**{name: x}).values()
np.save(sys.argv[3], y)
"""
ONNX = """
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
(y,) = session.run(None, {session.get_inputs()[0].name: x})
np.save(sys.argv[3], y)
"""


@pytest.mark.parametrize(
    "format, package, program",
    [("litert", "ai-edge-litert", LITERT), ("onnx", "onnxruntime", ONNX)],
)
def test_runtime_alone(format, package, program, tmp_path):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "numpy", package]
    subprocess.run(install, check=True)
    model = test_exporting.small()
    file = tmp_path / f"model{formats.FORMATS[format].ending}"
    found = deploy.export(model, file, format=format)
    x = np.random.default_rng(0).normal(size=(3, 6)).astype("float32")
    given, got = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(given, x)
    command = [python, "-I", "-c", NOTHING_ELSE + program, file, given, got]
    subprocess.run(command, check=True, cwd=tmp_path)
    expected = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(np.load(got), expected, atol=found.tolerance)
