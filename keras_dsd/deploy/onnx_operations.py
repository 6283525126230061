"""What tf2onnx lacks: an operation of TensorFlow's, and constants of a model.

Operations are added by its own decorator for that, constants to the file that it wrote.
Knows tf2onnx and ONNX files only.
"""

import functools

import numpy as np


@functools.cache
def add():
    """Tells tf2onnx, in this process, of what it lacks: `Erfc`, of the exact GELU."""
    from tf2onnx import utils
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:
        """1 - erf(x)."""

        @classmethod
        def version_9(cls, graph, node, **_):
            """Replaces the operation; ONNX has `Erf` since version 9."""
            (output,) = node.output
            shape, dtype = graph.get_shape(output), graph.get_dtype(output)
            name = utils.make_name(node.name)
            one = graph.make_const(
                name, np.array(1, utils.map_onnx_to_numpy_type(dtype))
            )
            erf = graph.make_node("Erf", node.input, shapes=[shape], dtypes=[dtype])
            graph.remove_node(node.name)
            graph.make_node(
                "Sub",
                [one.output[0], erf.output[0]],
                name=node.name,
                outputs=[output],
                shapes=[shape],
                dtypes=[dtype],
            )


def constants(path, count):
    """Returns the names of what is an input in a file and none of the model's.

    tf2onnx takes arrays that a model holds beside its weights, `Normalization`'s mean
    say, for inputs; they come after the model's own.

    Args:
        path: of an ONNX file.
        count: of the model's own inputs.
    """
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    return [one.name for one in graph.input][count:]


def fill(path, names, values):
    """Writes values into a file in the place of inputs.

    Raises:
        ValueError: there are not as many values as names.
    """
    import onnx

    model = onnx.load(path)
    by_name = dict(zip(names, values, strict=True))
    for one in [one for one in model.graph.input if one.name in by_name]:
        value = onnx.numpy_helper.from_array(by_name[one.name], one.name)
        model.graph.initializer.append(value)
        model.graph.input.remove(one)
    onnx.save(model, path)
