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

from keras_dsd.deploy import runtime

if __name__ == "__main__":
    file, path, name, options, modules, sample = sys.argv[1:]
    for module in json.loads(modules):
        importlib.import_module(module)
    import keras

    options = json.loads(options)
    if options.pop("blocks", False):
        import tensorflow as tf

        options["optimizations"] = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    model = keras.models.load_model(file, compile=False)
    structure, (batch,) = runtime.load(sample)
    model(*runtime.packed(structure["arguments"], batch), training=False)
    model.export(path, format=name, verbose=False, **options)
