"""What leaves does what the model does, in its own runtime, or is not there."""

import dataclasses
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd import deploy
from keras_dsd.deploy import formats
from tests import processes, zoo

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="other backends convert in a process: seconds each"
)
needs_saved_model = pytest.mark.skipif(
    BACKEND == "torch", reason="Keras writes no SavedModel there"
)


def several():
    """Dicts in and out, of which the order of names is not that of the layers."""
    keras.utils.set_random_seed(0)
    inputs = {"b": keras.Input((6,), name="b"), "a": keras.Input((4,), name="a")}
    one, two = layers.Dense(5)(inputs["b"]), layers.Dense(5)(inputs["a"])
    outputs = {"z": layers.Dense(3)(one), "y": layers.Dense(3)(one + two)}
    return keras.Model(inputs, outputs)


def small():
    """Kernels of 70 weights. Converters drop biases of zeros and merge equal ones."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, activation="relu"),
            layers.Dense(5),
            layers.Dense(3),
        ]
    )
    for layer in model.layers:
        layer.bias.assign(keras.random.normal(layer.bias.shape))
    return model


def path_of(folder, format):
    return folder / f"a model [{format}]{formats.FORMATS[format].ending}"


@pytest.mark.parametrize("format", formats.FORMATS)
def test_every_format(format, tmp_path):
    model, path = several(), path_of(tmp_path, format)
    if BACKEND not in formats.FORMATS[format].backends:
        with pytest.raises(ValueError, match=f"on the {BACKEND} backend"):
            deploy.export(model, path, format=format)
        assert not list(tmp_path.iterdir())
        return
    found = deploy.export(model, path, format=format)
    assert list(tmp_path.iterdir()) == [path]
    assert found.max_difference <= found.tolerance
    assert found.items == 4
    assert found.weights == model.count_params()
    assert found.zeros == 16  # biases
    size = sum(p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file())
    assert found.bytes == size
    assert found.gzipped_bytes > 0
    if formats.FORMATS[format].runtime:
        assert found.inputs.keys() == {"a", "b"}
        assert found.outputs.keys() == {"y", "z"}
    if format in ("saved_model", "keras", "weights"):
        assert found.weights_equal
    assert json.loads(found.to_json()) == json.loads(json.dumps(found.to_dict()))
    assert found.runtime in str(found) and str(path) in str(found)


@on_tensorflow
@pytest.mark.parametrize("format", ["saved_model", "litert", "onnx"])
@pytest.mark.parametrize("name", ["subclassed", "attention"])
def test_models_of_many_shapes(name, format, tmp_path):
    model, x = zoo.MODELS[name]()
    found = deploy.export(model, path_of(tmp_path, format), format=format, inputs=x)
    assert found.max_difference <= found.tolerance


@on_tensorflow
def test_what_tf2onnx_lacks(tmp_path):
    """A model's constants are in the file, no inputs of it; so is the exact GELU."""
    keras.utils.set_random_seed(0)
    normalize = layers.Normalization(mean=[0.4, 0.5, -2.0], variance=[0.1, 0.2, 4.0])
    head = layers.Dense(4, activation="gelu")
    model = keras.Sequential([keras.Input((3,)), normalize, head])
    found = deploy.export(model, tmp_path / "m.onnx", format="onnx")
    assert len(found.inputs) == 1
    assert found.max_difference <= found.tolerance


@on_tensorflow
def test_half_precision_in_litert(tmp_path):
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Conv2D(2, 3, dtype="mixed_float16")]
    )
    with pytest.raises(deploy.ExportError, match=r"Conv2D.* float32"):
        deploy.export(model, tmp_path / "m.tflite", format="litert")
    assert not list(tmp_path.iterdir())


@on_tensorflow
def test_what_litert_has_no_operations_for(tmp_path):
    model, x = zoo.MODELS["recurrent"]()
    with pytest.raises(deploy.ExportError, match="unroll=True"):
        deploy.export(model, tmp_path / "m.tflite", format="litert", inputs=x)
    assert not list(tmp_path.iterdir())


@on_tensorflow
def test_half_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy("float32")
    found = deploy.export(model, tmp_path / "m")
    assert found.max_difference <= found.tolerance


def permuted(model, path, options, batch):
    head = model.layers[-1]
    head.kernel.assign(keras.ops.flip(head.kernel, axis=1))
    try:
        right(model, path, options, batch)
    finally:
        head.kernel.assign(keras.ops.flip(head.kernel, axis=1))


def rounded(model, path, options, batch):
    values = model.get_weights()
    model.set_weights([values[0].astype("float16"), *values[1:]])
    try:
        right(model, path, options, batch)
    finally:
        model.set_weights(values)


def layer_dropped(model, path, options, batch):
    short = keras.Sequential([keras.Input((6,)), model.layers[0], model.layers[-1]])
    short(batch.flat()[0])
    right(short, path, options, batch)


def unreadable(model, path, options, batch):
    path.write_bytes(b"nothing that anything reads")


right = None


@pytest.mark.parametrize(
    "wrong, format",
    [
        *((wrong, "keras") for wrong in (permuted, rounded, layer_dropped, unreadable)),
        *((wrong, "onnx") for wrong in (permuted, rounded, layer_dropped, unreadable)),
        (rounded, "litert"),
        (permuted, "saved_model"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_wrong_converter_is_found_out(wrong, format, monkeypatch, tmp_path):
    if BACKEND != "tensorflow" and format != "keras":
        pytest.skip("seconds each; proved with TensorFlow")
    chosen = formats.FORMATS[format]
    monkeypatch.setitem(globals(), "right", chosen.write)
    changed = dataclasses.replace(chosen, write=wrong)
    monkeypatch.setitem(formats.FORMATS, format, changed)
    path = path_of(tmp_path, format)
    message = "can't" if wrong is unreadable else "something else|shapes|other weights"
    with pytest.raises(deploy.ExportError, match=message):
        deploy.export(small(), path, format=format)
    assert not list(tmp_path.iterdir())


def sparse_model(*more):
    model = dsd.make_prunable(small())
    model.compile("sgd", "mse")
    phases = [dsd.phases.Sparse(1, sparsity=0.5), *more]
    x, y = np.ones((8, 6), "float32"), np.ones((8, 3), "float32")
    callback = dsd.DSDCallback(phases, verbose=0)
    model.fit(x, y, epochs=len(phases), verbose=0, callbacks=[callback])
    return model


def test_masks_in_force_are_refused_unless_asked_for(tmp_path):
    model, path = sparse_model(), tmp_path / "m.keras"
    with pytest.raises(ValueError, match=r"Masks are in force.*Received: 3 layers"):
        deploy.export(model, path, format="keras")
    assert not path.exists()
    found = deploy.export(model, path, format="keras", sparse=True)
    assert found.zeros == 15 + 12 + 7
    report = dsd.sparsity_report(model)
    assert report.masked == 15 + 12 + 7  # still prunable, still in force


def test_a_prunable_model_is_copied(tmp_path):
    model = sparse_model(dsd.phases.Redense(1))
    deploy.export(model, tmp_path / "m.keras", format="keras")
    assert isinstance(model.layers[0], dsd.Prunable)
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert type(loaded.layers[0]) is layers.Dense


@on_tensorflow
def test_blocks_of_zeros_are_stored_as_such(tmp_path):
    """LiteRT keeps blocks of four consecutive inputs, and runs them where it can."""
    model = keras.Sequential([keras.Input((256,)), layers.Dense(256)])
    kernel = model.layers[0].kernel
    dsd.make_prunable(model)
    model.compile("sgd", "mse")
    phases = dsd.recipe("litert-blocks", epochs=4)
    x, y = np.ones((8, 256), "float32"), np.ones((8, 256), "float32")
    callback = dsd.DSDCallback(phases, verbose=0)
    model.fit(x, y, epochs=4, verbose=0, callbacks=[callback])
    blocks = np.asarray(kernel).reshape(64, 4, 256).any(axis=1)
    assert np.sum(~blocks) == 14_745  # floor(0.9 * 16,384)
    found = deploy.export(model, tmp_path / "m.tflite", format="litert", sparse=True)
    assert found.bytes < 0.3 * 4 * kernel.shape[0] * kernel.shape[1]


def test_a_weight_that_is_not_finite(tmp_path):
    model = small()
    values = model.get_weights()
    values[2][0, 0] = np.nan
    model.set_weights(values)
    with pytest.raises(ValueError, match=r"finite.*Received: weight .*/kernel"):
        deploy.export(model, tmp_path / "m.keras", format="keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"format": "coreml"}, ValueError, "Known: .*onnx.*Received: format='coreml'"),
        ({"path": "m.h5"}, ValueError, "must end in '.keras'.*Received: path='m.h5'"),
        ({"path": "no/m.keras"}, ValueError, "Received: path='no/m.keras'"),
        ({"path": "there.keras"}, ValueError, "overwrite=True.*Received"),
        ({"path": 3}, TypeError, "Received: path=3"),
        ({"tolerance": -1}, ValueError, "Received: tolerance=-1"),
        ({"sparse": 1}, TypeError, "Received: sparse=1"),
        ({"inputs": np.ones((4, 7))}, ValueError, r"Received: arrays with .*7\)"),
        ({"inputs": np.ones((0, 6))}, ValueError, r"Received: inputs with \[0\] items"),
        ({"inputs": object()}, TypeError, "Received: <object"),
        ({"model": "model"}, TypeError, "Received: model='model'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.keras").write_text("old")
    fine = {"model": small(), "path": "m.keras", "format": "keras"}
    with pytest.raises(error, match=f"(?s){message}"):
        deploy.export(**fine | arguments)
    assert [p.name for p in tmp_path.iterdir()] == ["there.keras"]
    assert (tmp_path / "there.keras").read_text() == "old"


def test_what_tells_nothing_of_its_inputs_needs_some(tmp_path):
    model, x = zoo.MODELS["subclassed"]()
    with pytest.raises(ValueError, match="Give `inputs`"):
        deploy.export(model, tmp_path / "m.weights.h5", format="weights")
    deploy.export(model, tmp_path / "m.weights.h5", format="weights", inputs=x)


@pytest.mark.one_backend
def test_what_to_install(monkeypatch, tmp_path):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "onnxruntime" else find(name),
    )
    with pytest.raises(ImportError, match="pip install onnxruntime"):
        deploy.export(small(), tmp_path / "m.onnx", format="onnx")


@pytest.mark.parametrize("format", ["keras", "saved_model"])
def test_killed_while_it_is_proved(format, tmp_path):
    """There is no half file: the old one is there until the new one takes its place."""
    if BACKEND not in formats.FORMATS[format].backends or (
        BACKEND != "tensorflow" and format != "keras"
    ):
        pytest.skip("proved with TensorFlow")
    path = path_of(tmp_path, format)
    found = deploy.export(small(), path, format=format)
    program = (
        "import os, signal\n"
        "from keras_dsd import deploy\n"
        "from keras_dsd.deploy import proof\n"
        "from tests.deploy.test_exporting import small\n"
        "proof.prove = lambda *args: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"model = small()\n"
        f"model.set_weights([w + 1 for w in model.get_weights()])\n"
        f"deploy.export(model, {str(path)!r}, format={format!r}, overwrite=True)\n"
    )
    assert processes.run(program, check=False).returncode == -signal.SIGKILL
    sizes = [p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file()]
    assert sum(sizes) == found.bytes
    again = deploy.export(small(), path, format=format, overwrite=True)
    assert again.equal
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format", formats.FORMATS)
def test_no_room_on_the_disk(format, tmp_path):
    """The error says so, and the old file is as it was."""
    if BACKEND != "tensorflow" and format != "keras":
        pytest.skip("proved with TensorFlow")
    path = path_of(tmp_path, format)
    if formats.FORMATS[format].ending:
        path.write_text("old")
    else:
        path.mkdir()
        (path / "saved_model.pb").write_text("old")
    model = keras.Sequential([keras.Input((64,)), layers.Dense(300)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as found:
            deploy.export(model, path, format=format, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == [path]
    old = path if path.is_file() else path / "saved_model.pb"
    assert old.read_text() == "old"


@on_tensorflow
def test_served_to_many_at_once(tmp_path):
    """The signature that servers call gives the same bits under concurrent calls."""
    import tensorflow as tf

    model = sparse_model(dsd.phases.Redense(1))
    dsd.strip(model).export(tmp_path / "m", verbose=False)
    serve = tf.saved_model.load(tmp_path / "m").signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    batches = np.random.default_rng(0).normal(size=(8, 16, 6)).astype("float32")
    expected = [keras.ops.convert_to_numpy(model(batch)) for batch in batches]
    wrong = []

    def call(batch, right):
        for _ in range(20):
            (output,) = serve(**{name: tf.constant(batch)}).values()
            if not np.array_equal(output, right):
                wrong.append(output)

    threads = [
        threading.Thread(target=call, args=pair)
        for pair in zip(batches, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_saved_model
def test_nothing_of_the_package_is_needed(tmp_path):
    """A SavedModel runs where neither Keras nor the package can be imported."""
    deploy.export(small(), tmp_path / "m")
    program = (
        "import sys; sys.modules.update(keras=None, keras_dsd=None)\n"
        "import tensorflow as tf; model = tf.saved_model.load(sys.argv[1])\n"
        "print(model.serve(tf.ones((2, 6))).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(tmp_path / "m")],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "(2, 3)", done.stderr
