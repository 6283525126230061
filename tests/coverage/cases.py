"""One way to make each layer of `keras.layers` that has something to prune.

`CASES` is looked up by the names that `keras.layers` has at run time; which of them
need an entry, `found_by_trial` finds out. Knows Keras only.
"""

import inspect

import keras
import numpy as np
from keras import layers, ops


def floats(*shape):
    return np.random.default_rng(3).standard_normal(shape).astype("float32")


def numbers(below, *shape):
    """Returns integers; all of them occur, so each row of an embedding is trained."""
    return (np.arange(np.prod(shape)) % below).reshape(shape).astype("int32")


def linear(params, inputs):
    """A pure function of JAX, for `JaxLayer`."""
    return inputs @ params["kernel"] + params["bias"]


def linear_start(rng, inputs):
    import jax

    return {
        "kernel": jax.random.normal(rng, (inputs.shape[-1], 5)) * 0.3,
        "bias": jax.numpy.zeros((5,)),
    }


keras.saving.register_keras_serializable("coverage")(linear)
keras.saving.register_keras_serializable("coverage")(linear_start)

# Name of the class: a function that makes the layer, and the inputs of one call. Inputs
# are the positional arguments of that call.
CASES = {
    "Bidirectional": (lambda: layers.Bidirectional(layers.GRU(3)), [floats(8, 4, 5)]),
    "Conv1D": (lambda: layers.Conv1D(4, 3), [floats(8, 6, 3)]),
    "Conv1DTranspose": (lambda: layers.Conv1DTranspose(4, 3), [floats(8, 6, 3)]),
    "Conv2D": (lambda: layers.Conv2D(4, 3, groups=2), [floats(8, 5, 5, 6)]),
    "Conv2DTranspose": (lambda: layers.Conv2DTranspose(4, 3), [floats(8, 4, 4, 6)]),
    "Conv3D": (lambda: layers.Conv3D(4, 2), [floats(8, 3, 3, 3, 5)]),
    "Conv3DTranspose": (lambda: layers.Conv3DTranspose(4, 2), [floats(8, 3, 3, 3, 5)]),
    "ConvLSTM1D": (lambda: layers.ConvLSTM1D(3, 2), [floats(8, 3, 4, 2)]),
    "ConvLSTM2D": (lambda: layers.ConvLSTM2D(3, 2), [floats(8, 3, 4, 4, 2)]),
    "ConvLSTM3D": (lambda: layers.ConvLSTM3D(3, 2), [floats(8, 2, 3, 3, 3, 2)]),
    "Dense": (lambda: layers.Dense(5, activation="tanh"), [floats(8, 6)]),
    "DepthwiseConv1D": (lambda: layers.DepthwiseConv1D(3), [floats(8, 6, 3)]),
    "DepthwiseConv2D": (
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
        [floats(8, 5, 5, 3)],
    ),
    "EinsumDense": (
        lambda: layers.EinsumDense("btf,fhg->bthg", (None, 2, 3), bias_axes="hg"),
        [floats(8, 4, 6)],
    ),
    "Embedding": (lambda: layers.Embedding(9, 4), [numbers(9, 8, 5)]),
    "GRU": (lambda: layers.GRU(3), [floats(8, 4, 5)]),
    "GRUCell": (lambda: layers.RNN(layers.GRUCell(3)), [floats(8, 4, 5)]),
    "GroupQueryAttention": (
        lambda: layers.GroupQueryAttention(3, 4, 2),
        [floats(8, 4, 6), floats(8, 5, 6)],
    ),
    "JaxLayer": (lambda: layers.JaxLayer(linear, linear_start), [floats(8, 6)]),
    "LSTM": (lambda: layers.LSTM(3), [floats(8, 4, 5)]),
    "LSTMCell": (lambda: layers.RNN(layers.LSTMCell(3)), [floats(8, 4, 5)]),
    "LayerNormalization": (
        lambda: layers.LayerNormalization(axis=(1, 2)),
        [floats(8, 4, 5)],
    ),
    "MultiHeadAttention": (
        lambda: layers.MultiHeadAttention(2, 3),
        [floats(8, 4, 6), floats(8, 5, 6), floats(8, 5, 6) + 1],
    ),
    "PReLU": (lambda: layers.PReLU(shared_axes=(1,)), [floats(8, 4, 5)]),
    "RMSNormalization": (
        lambda: layers.RMSNormalization(axis=(1, 2)),
        [floats(8, 4, 5)],
    ),
    "RNN": (
        lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)]),
        [floats(8, 4, 5)],
    ),
    "ReversibleEmbedding": (
        lambda: layers.ReversibleEmbedding(9, 4),
        [numbers(9, 8, 5)],
    ),
    "STFTSpectrogram": (
        lambda: layers.STFTSpectrogram(frame_length=8, frame_step=4),
        [floats(8, 20, 1)],
    ),
    "SeparableConv1D": (lambda: layers.SeparableConv1D(4, 3), [floats(8, 6, 3)]),
    "SeparableConv2D": (lambda: layers.SeparableConv2D(4, 3), [floats(8, 5, 5, 3)]),
    "SimpleRNN": (lambda: layers.SimpleRNN(4), [floats(8, 4, 5)]),
    "SimpleRNNCell": (lambda: layers.RNN(layers.SimpleRNNCell(4)), [floats(8, 4, 5)]),
    "SpectralNormalization": (
        lambda: layers.SpectralNormalization(layers.Dense(5)),
        [floats(8, 6)],
    ),
    "StackedRNNCells": (
        lambda: layers.RNN(
            layers.StackedRNNCells([layers.SimpleRNNCell(3), layers.LSTMCell(3)])
        ),
        [floats(8, 4, 5)],
    ),
    "TimeDistributed": (
        lambda: layers.TimeDistributed(layers.Conv1D(4, 2)),
        [floats(8, 3, 4, 5)],
    ),
}

# Tried by hand elsewhere, or nothing by themselves.
ELSEWHERE = {
    "Layer": "the base class",
    "Wrapper": "a base class",
    "FlaxLayer": "a JaxLayer, and needs Flax",
    "TFSMLayer": "reads a SavedModel: tests/coverage/test_special_layers.py",
    "TorchModuleWrapper": "holds PyTorch's own: tests/coverage/test_special_layers.py",
}

# What arguments without a default are given, by name.
ARGUMENTS = {
    "activation": lambda: "relu",
    "axes": lambda: 1,
    "cell": lambda: layers.SimpleRNNCell(2),
    "cells": lambda: [layers.SimpleRNNCell(2)],
    "dims": lambda: (1,),
    "equation": lambda: "ab,bc->ac",
    "factor": lambda: 0.1,
    "filters": lambda: 2,
    "function": lambda: ops.tanh,
    "head_dim": lambda: 2,
    "height": lambda: 2,
    "height_factor": lambda: 0.1,
    "input_dim": lambda: 4,
    "kernel_size": lambda: 2,
    "key_dim": lambda: 2,
    "layer": lambda: layers.Dense(2),
    "layers": lambda: [layers.Identity()],
    "max_number": lambda: 2,
    "n": lambda: 2,
    "num_bins": lambda: 3,
    "num_heads": lambda: 2,
    "num_key_value_heads": lambda: 1,
    "num_query_heads": lambda: 2,
    "output_dim": lambda: 3,
    "output_shape": lambda: (2,),
    "output_size": lambda: 1,
    "pool_size": lambda: 2,
    "rate": lambda: 0.5,
    "scale": lambda: 0.5,
    "stddev": lambda: 0.1,
    "target_shape": lambda: (-1,),
    "units": lambda: 2,
    "width": lambda: 2,
    "width_factor": lambda: 0.1,
}
# And the options that one needs though they have a default.
OPTIONS = {
    "CategoryEncoding": {"num_tokens": 3},
    "Discretization": {"num_bins": 3},
    "GroupNormalization": {"groups": 1},
    "InputLayer": {"shape": (4,)},
    "RandomPosterization": {"factor": 4},
}
SHAPES = [(2, 6), (2, 5, 6), (2, 6, 6, 4), (2, 4, 4, 4, 3)]


def classes():
    """Returns {name: class} of all layers that Keras has, each once."""
    found = {}
    for name, value in sorted(vars(layers).items()):
        if isinstance(value, type) and issubclass(value, layers.Layer):
            found.setdefault(value, name)  # later names are other ones for the same
    return {name: value for value, name in found.items()}


def found_by_trial(cls):
    """Returns shapes of weights like kernels that `cls` makes, from guessed arguments.

    Raises:
        TypeError, ValueError: no guess made one.
    """
    found = set()
    errors = []
    for shape in [*SHAPES, *([shape] * 2 for shape in SHAPES)]:
        try:
            layer = cls(**_arguments(cls))
            if not layer.built:
                layer.build(shape)
        except Exception as error:  # this layer does not take such inputs
            errors.append(error)
            continue
        found |= {
            tuple(weight.shape)
            for weight in layer.trainable_weights
            if len(weight.shape) >= 2
            and "float" in keras.backend.standardize_dtype(weight.dtype)
            and weight.name != "bias"
        }
        if layer.built and type(layer).build is layers.Layer.build:
            return found  # its weights do not depend on the inputs
    if len(errors) == 2 * len(SHAPES):
        raise ValueError(f"{cls.__name__} can't be made by guessing: {errors[0]}")
    return found


def _arguments(cls):
    needed = [
        parameter.name
        for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return {
        **{name: ARGUMENTS[name]() for name in needed},
        **OPTIONS.get(cls.__name__, {}),
    }
