"""Converts a `.keras` file with TensorFlow's converters, in a process of its own.

A program, `python -m` with FILE PATH FORMAT OPTIONS MODULES SAMPLE, run with the
TensorFlow backend. OPTIONS and MODULES are JSON: modules are imported
before FILE, a `.keras` file, is loaded, for they register the model's own classes.
SAMPLE is what the model is called with, as `runtime` reads it: what was never called
can't be exported. Knows Keras and files; no masks.
"""

import importlib
import json
import sys

from keras_dsd.deploy import onnx_operations, runtime

if __name__ == "__main__":
    file, path, name, options, modules, sample = sys.argv[1:]
    for module in json.loads(modules):
        importlib.import_module(module)
    import keras

    options = json.loads(options)
    if options.pop("blocks", False):
        import tensorflow as tf

        options["optimizations"] = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    if name == "onnx":
        onnx_operations.add()
    model = keras.models.load_model(file, compile=False)
    structure, (batch,) = runtime.load(sample)
    arguments = runtime.packed(structure["arguments"], batch)
    model(*arguments, training=False)
    model.export(path, format=name, verbose=False, **options)
    lost = onnx_operations.constants(path, len(batch)) if name == "onnx" else []
    if lost:
        import tensorflow as tf

        traced = tf.function(lambda *given: model(*given, training=False))
        traced = traced.get_concrete_function(
            *tf.nest.map_structure(tf.convert_to_tensor, arguments)
        )
        # Those that are no variables, in the order in which the file lacks them.
        held = [one for one in traced.captured_inputs if one.dtype != tf.resource]
        onnx_operations.fill(path, lost, [one.numpy() for one in held])
