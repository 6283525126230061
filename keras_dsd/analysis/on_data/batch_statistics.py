"""Moving statistics of batch normalization, estimated anew for the weights as they are.

Knows models and data.
"""

import keras

from keras_dsd._shared import keras_private
from keras_dsd.analysis._shared import evaluation


def reestimate(model, data, batch_size):
    """Sets moving means and variances to the means of those of the batches of `data`.

    In one pass, as for averaged weights
    ([Izmailov et al. 2018](https://arxiv.org/abs/1803.05407)), with the model called as
    in training: the n-th batch counts 1/n. Layers that are frozen do not move in
    training, and stay.
    """
    layers = [layer for layer in keras_private.sublayers(model) if _moves(layer)]
    momenta = [layer.momentum for layer in layers]
    try:
        for count, (x, *_) in enumerate(evaluation.batches(data, batch_size)):
            for layer in layers:
                layer.momentum = count / (count + 1)
            model(x, training=True)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def _moves(layer):
    return isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
