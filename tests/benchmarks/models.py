"""The models that benchmarks train, for Keras 3 and for Keras 2 alike.

Imports neither: who measures hands in the one that runs.
"""

BATCHES = 10  # in an epoch
NAMES = ("mlp", "mlp128", "cnn", "lstm", "transformer")
MORE = (*NAMES, "gru", "mobilenet", "unet", "bert")
LARGE = ("resnet50", "transformer100m")  # for devices
TINY = "tiny"  # to see that a benchmark runs


def build(keras, name):
    """Returns a model of those named above, with 10 outputs, and its batches' size.

    Args:
        keras: the module `keras` or `tf_keras`.
        name: of the model.
    """
    layers = keras.layers
    if name == TINY:
        inputs = keras.Input((16,))
        return keras.Model(inputs, layers.Dense(10)(layers.Dense(16)(inputs))), 4
    if name in ("mlp", "mlp128"):
        sides = [layers.Dense(side, activation="relu") for side in (2048, 2048)]
        model = keras.Sequential([keras.Input((1024,)), *sides, layers.Dense(10)])
        return model, 128 if name == "mlp128" else 32
    if name == "cnn":
        model = keras.Sequential([keras.Input((32, 32, 3))])
        for channels in (32, 64, 128, 256):
            model.add(layers.Conv2D(channels, 3, padding="same", activation="relu"))
            model.add(layers.MaxPooling2D())
        model.add(layers.Flatten())
        model.add(layers.Dense(10))
        return model, 64
    if name in ("lstm", "gru"):
        kind = layers.LSTM if name == "lstm" else layers.GRU
        inputs = keras.Input((32, 64))
        outputs = layers.Dense(10)(kind(256)(inputs))
        return keras.Model(inputs, outputs), 32
    if name == "mobilenet":
        inputs = keras.Input((64, 64, 3))
        outputs = keras.applications.MobileNetV2(
            input_tensor=inputs, weights=None, classes=10, classifier_activation=None
        )
        return outputs, 16
    if name == "unet":
        return _unet(keras, (24, 48, 96)), 8
    if name == "bert":
        return _bert(keras), 32
    if name == "resnet50":
        inputs = keras.Input((224, 224, 3))
        outputs = keras.applications.ResNet50(
            input_tensor=inputs, weights=None, classes=10, classifier_activation=None
        )
        return outputs, 256
    if name == "transformer100m":
        return _transformer(keras, blocks=14, width=768, heads=12, length=256), 64
    return _transformer(keras, blocks=1, width=256, heads=4, length=64), 32


def _transformer(keras, blocks, width, heads, length):
    layers = keras.layers
    inputs = x = keras.Input((length, width))
    for _ in range(blocks):
        y = layers.MultiHeadAttention(heads, width // heads)(x, x)
        x = layers.LayerNormalization()(layers.Add()([x, y]))
        y = layers.Dense(width)(layers.Dense(4 * width, activation="gelu")(x))
        x = layers.LayerNormalization()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


def _unet(keras, channels):
    """Down and up again by transposed convolutions, all sides joined across."""
    layers = keras.layers

    def twice(x, filters):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return x

    inputs = x = keras.Input((64, 64, 3))
    sides = []
    for filters in channels[:-1]:
        sides.append(twice(x, filters))
        x = layers.MaxPooling2D()(sides[-1])
    x = twice(x, channels[-1])
    for filters in reversed(channels[:-1]):
        x = layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = twice(layers.Concatenate()([sides.pop(), x]), filters)
    x = layers.Conv2D(10, 1)(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def _bert(keras):
    """A backbone of KerasHub's (`pip install keras-hub`), which has no Keras 2."""
    import keras_hub

    inputs = keras.Input((64,))
    tokens = keras.ops.cast(keras.ops.abs(inputs) * 100, "int32")
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=2000,
        num_layers=2,
        num_heads=4,
        hidden_dim=256,
        intermediate_dim=1024,
        max_sequence_length=64,
    )
    outputs = backbone(
        {
            "token_ids": tokens,
            "segment_ids": keras.ops.zeros_like(tokens),
            "padding_mask": keras.ops.ones_like(tokens),
        }
    )
    return keras.Model(inputs, keras.layers.Dense(10)(outputs["pooled_output"]))


def data(model, batch):
    """Returns random inputs and targets of an epoch."""
    import numpy as np

    rng = np.random.default_rng(0)
    shape = (batch * BATCHES, *model.input_shape[1:])
    x = rng.standard_normal(shape, dtype="float32")
    return x, rng.standard_normal((batch * BATCHES, 10), dtype="float32")
