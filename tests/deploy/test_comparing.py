"""Exports of one model before and after it was trained in phases are told the same."""

import keras
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd import deploy
from keras_dsd.deploy import formats
from tests.deploy import test_exporting

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="knows files; one backend makes them",
)


@pytest.mark.parametrize("format", ["saved_model", "litert", "onnx"])
def test_before_and_after(format, tmp_path):
    model = test_exporting.small()
    ending = formats.FORMATS[format].ending
    files = [tmp_path / f"{name}{ending}" for name in ("before", "after", "other")]
    deploy.export(model, files[0], format=format)
    dsd.make_prunable(model)
    model.compile("sgd", "mse")
    x, y = keras.ops.ones((8, 6)), keras.ops.ones((8, 3))
    phases = dsd.phases.dsd(3, sparsity=0.5)
    callback = dsd.DSDCallback(phases, verbose=0)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[callback])
    deploy.export(dsd.strip(model), files[1], format=format)
    other = keras.Sequential([keras.Input((6,)), *model.layers, layers.Dense(2)])
    deploy.export(other, files[2], format=format)

    same = deploy.compare_files(*files[:2])
    assert same.same and not same.differences
    assert "the same signature, operations and shapes" in str(same)
    assert files[0].name in str(same) and "\n" not in str(same)
    different = deploy.compare_files(files[0], files[2])
    assert not different.same
    parts = [line.split(":")[0] for line in different.differences]
    assert parts == ["inputs", "outputs", "operations", "weights"]


def test_bad_input(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no model")
    (tmp_path / "b.tflite").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"must be a SavedModel.*Received: path='no'"):
        deploy.compare_files("no", "nothing")
    with pytest.raises(ValueError, match=r"of onnx, .* of litert"):
        deploy.compare_files(tmp_path / "a.onnx", tmp_path / "b.tflite")
    with pytest.raises(deploy.ExportError, match="can't run the file"):
        deploy.compare_files(tmp_path / "a.onnx", tmp_path / "a.onnx")
    with pytest.raises(TypeError, match="Received: path=3"):
        deploy.compare_files(3, 4)
