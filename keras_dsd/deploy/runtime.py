"""Runs an exported file with the program that is made for it, and with nothing else.

A program of its own: `python runtime.py KIND FILE INPUTS OUTPUTS`. Neither Keras nor
this package can be imported in its process, for TensorFlow imports Keras where it finds
it, so that it is not needed must be enforced. Knows NumPy and one runtime; no model.

INPUTS and OUTPUTS are `.npz` files of arrays "batch/index", say "0/1" for the second
input of the first batch; the inputs' "structure" says where in the arguments of the
call each stands, and their names. OUTPUTS has a "report" beside, in JSON.
"""

import collections
import importlib.metadata
import json
import os
import re
import statistics
import sys
import time
import zlib

import numpy as np

CALLS = 20  # timed, after one that is not


class SavedModel:
    """A folder, read by plain TensorFlow."""

    def __init__(self, path, structure):
        import tensorflow as tf

        self.tf, self.structure = tf, structure
        # From within, for TensorFlow takes [] and * in a path for patterns.
        os.chdir(path)
        self.model = tf.saved_model.load(".")
        self.function = self.model.signatures["serving_default"]
        self.runtime = f"TensorFlow {tf.__version__}"

    def run(self, arrays):
        """Returns the outputs of one batch, flat."""
        tensors = [self.tf.constant(array) for array in arrays]
        found = self.model.serve(*packed(self.structure["arguments"], tensors))
        # Files hold no bfloat16.
        return [
            self.tf.cast(tensor, "float32").numpy()
            if tensor.dtype == self.tf.bfloat16
            else tensor.numpy()
            for tensor in self.tf.nest.flatten(found)
        ]

    def describe(self):
        """Returns signature, operations and weights."""
        _, inputs = self.function.structured_input_signature
        outputs = self.function.structured_outputs
        graph = self.function.graph.as_graph_def()
        nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
        return {
            "inputs": {k: shape_and_type(v.shape, v.dtype) for k, v in inputs.items()},
            "outputs": {
                k: shape_and_type(v.shape, v.dtype) for k, v in outputs.items()
            },
            "operations": collections.Counter(node.op for node in nodes),
            "weights": sorted(
                [*shape_and_type(v.shape, v.dtype), checksum(v.numpy())]
                for v in self.model.variables
            ),
        }


class LiteRT:
    """A file, read by the LiteRT interpreter."""

    def __init__(self, path, structure):
        from ai_edge_litert.interpreter import Interpreter

        with open(path, "rb") as file:
            self.content = file.read()
        self.runtime = f"LiteRT {importlib.metadata.version('ai-edge-litert')}"
        self.check_operations()
        self.interpreter = Interpreter(model_content=self.content, num_threads=1)
        ((self.key, names),) = self.interpreter.get_signature_list().items()
        self.inputs = in_order(names["inputs"], structure["names"])
        self.outputs = natural(names["outputs"])
        self.runner = self.interpreter.get_signature_runner(self.key)

    def check_operations(self):
        """Raises an error where operations were left to TensorFlow, by their names."""
        found = sorted(set(re.findall(rb"Flex([A-Z]\w+)", self.content)))
        lost = ", ".join(map(bytes.decode, found))
        if "TensorList" in lost:
            raise RuntimeError(
                "the model loops over time with operations of TensorFlow's that LiteRT "
                "does not have: build its recurrent layers with unroll=True"
            )
        if lost:
            raise RuntimeError(
                f"LiteRT has no operations for TensorFlow's {lost}. It has hardly any "
                "in half precision: build such a model in float32 and set its weights"
            )

    def run(self, arrays):
        """Returns the outputs of one batch, flat."""
        found = self.runner(**dict(zip(self.inputs, arrays, strict=True)))
        return [found[name] for name in self.outputs]

    def describe(self):
        """Returns signature, operations and the shapes of constants."""
        from ai_edge_litert import schema_py_generated as schema

        model = schema.ModelT.InitFromPackedBuf(self.content, 0)
        codes = {v: k for k, v in vars(schema.BuiltinOperator).items()}
        graphs = model.subgraphs
        operations = [
            model.operatorCodes[operator.opcodeIndex]
            for graph in graphs
            for operator in graph.operators
        ]
        constants = [
            [text(tensor.shape if tensor.shape is not None else []), tensor.type]
            for graph in graphs
            for tensor in graph.tensors
            if model.buffers[tensor.buffer].data is not None
        ]
        details = self.runner.get_input_details(), self.runner.get_output_details()
        inputs, outputs = (
            {
                name: shape_and_type(one["shape_signature"], one["dtype"].__name__)
                for name, one in found.items()
            }
            for found in details
        )
        return {
            "inputs": inputs,
            "outputs": outputs,
            "operations": collections.Counter(
                text(code.customCode) if code.customCode else codes[code.builtinCode]
                for code in operations
            ),
            "constants": sorted(constants),
        }


class Onnx:
    """A file, read by ONNX Runtime."""

    def __init__(self, path, structure):
        import onnxruntime

        self.path = path
        self.runtime = f"ONNX Runtime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options)
        names = [one.name for one in self.session.get_inputs()]
        self.inputs = in_order(names, structure["names"], sort=False)

    def run(self, arrays):
        """Returns the outputs of one batch, flat."""
        return self.session.run(None, dict(zip(self.inputs, arrays, strict=True)))

    def describe(self):
        """Returns signature, operations and the shapes of constants."""
        import onnx

        graph = onnx.load(self.path).graph
        return {
            "inputs": {
                one.name: shape_and_type(one.shape, one.type)
                for one in self.session.get_inputs()
            },
            "outputs": {
                one.name: shape_and_type(one.shape, one.type)
                for one in self.session.get_outputs()
            },
            "operations": collections.Counter(node.op_type for node in graph.node),
            "constants": sorted(
                [text(list(one.dims)), one.data_type] for one in graph.initializer
            ),
        }


RUNTIMES: dict = {"saved_model": SavedModel, "litert": LiteRT, "onnx": Onnx}


def packed(structure, leaves):
    """Returns lists and dicts in which numbers stand for leaves, with the leaves."""
    if isinstance(structure, dict):
        return {key: packed(value, leaves) for key, value in structure.items()}
    if isinstance(structure, list):
        return [packed(value, leaves) for value in structure]
    return leaves[structure]


def natural(names):
    """Returns names sorted as people count: output_2 comes before output_10."""
    return sorted(
        names,
        key=lambda name: [
            int(x) if x.isdigit() else x for x in re.split(r"(\d+)", name)
        ],
    )


def in_order(names, wanted, sort=True):
    """Returns the names of a file's inputs in the order of those that are `wanted`."""
    if set(names) == set(wanted):
        return wanted
    return natural(names) if sort else names


def shape_and_type(shape, dtype):
    """Returns both as text; a side without a number is None, whatever its name is."""
    sides = [
        side if isinstance(side, int) and side >= 0 else None
        for side in map(plain, shape)
    ]
    return [text(sides), getattr(dtype, "name", dtype)]


def plain(side):
    """Returns a side of a shape as Python has it."""
    return side.item() if hasattr(side, "item") else side


def text(value):
    """Returns a list, or bytes, as text."""
    if isinstance(value, bytes):
        return value.decode()
    return str([plain(side) for side in value])


def checksum(array):
    """Returns a checksum of an array's bits."""
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def milliseconds(run, arrays):
    """Returns the median time of a call."""
    run(arrays)
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        run(arrays)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def load(path):
    """Returns the structure of the inputs, and all batches, each a list of arrays."""
    with np.load(path) as stored:
        arrays = dict(stored)
    structure = json.loads(str(arrays.pop("structure")))
    batches: dict = collections.defaultdict(dict)
    for key, value in arrays.items():
        batch, index = map(int, key.split("/"))
        batches[batch][index] = value
    return structure, [
        [leaves[index] for index in sorted(leaves)]
        for _, leaves in sorted(batches.items())
    ]


def main(kind, path, inputs_file, outputs_file):
    """Runs all batches, and writes what came out."""
    structure, batches = load(inputs_file)
    program = RUNTIMES[kind](path, structure)
    outputs = {
        f"{batch}/{index}": value
        for batch, arrays in enumerate(batches)
        for index, value in enumerate(program.run(arrays))
    }
    report = {"runtime": program.runtime, **program.describe()}
    if batches:
        report["milliseconds"] = milliseconds(program.run, batches[0])
    np.savez(outputs_file, report=json.dumps(report), **outputs)


if __name__ == "__main__":
    sys.modules.update(dict.fromkeys(("keras", "keras_dsd")))  # type: ignore
    main(*sys.argv[1:])
