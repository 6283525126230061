"""Models as users have them leave in every format for other programs, as they are."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_dsd as dsd
from keras_dsd import deploy
from keras_dsd.deploy import formats
from tests import zoo

pytestmark = [
    pytest.mark.large,
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="the converters are TensorFlow's, whatever the backend",
    ),
]


def _application(name, **options):
    build = getattr(keras.applications, name)
    return build(weights=None, input_shape=(32, 32, 3), classes=5, **options)


def mobilenet():
    return _application("MobileNetV2", alpha=0.35)


def efficientnet():
    return _application("EfficientNetV2B0")


def resnet():
    return _application("ResNet50V2")


def _recurrent(layer, **options):
    inputs = keras.Input((7, 5))
    x = layers.Bidirectional(layer(6, return_sequences=True, **options))(inputs)
    return keras.Model(inputs, layers.Dense(3)(layer(4, **options)(x)))


def lstm():
    return _recurrent(layers.LSTM, unroll=True)


def lstm_in_a_loop():
    return _recurrent(layers.LSTM)


def gru():
    return _recurrent(layers.GRU, unroll=True)


def gru_in_a_loop():
    return _recurrent(layers.GRU)


def unet():
    inputs = keras.Input((16, 16, 3))
    down = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D()(down)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(6, 2, strides=2)(x)
    x = layers.Concatenate()([x, down])
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x))


def several_outputs():
    inputs = keras.Input((6,))
    x = layers.Dense(8, activation="gelu")(inputs)
    return keras.Model(inputs, [layers.Dense(3)(x), layers.Dense(2)(x), x])


def dict_inputs():
    inputs = {"b": keras.Input((6,), name="b"), "a": keras.Input((4,), name="a")}
    one, two = layers.Dense(5)(inputs["b"]), layers.Dense(5)(inputs["a"])
    outputs = {"z": layers.Dense(3)(one), "y": layers.Dense(3)(one + two)}
    return keras.Model(inputs, outputs)


def subclassed():
    return zoo.subclassed()[0]


def half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu")(inputs)
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(4, dtype="float32")(x))


def transformer():
    inputs = keras.Input((9,), dtype="int32")
    x = layers.Embedding(20, 8)(inputs) + layers.Embedding(9, 8)(ops.arange(9))
    for _ in range(2):
        y = layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)
        x = layers.LayerNormalization()(x + y)
        y = layers.Dense(8)(layers.Dense(16, activation="gelu")(x))
        x = layers.LayerNormalization()(x + y)
    return keras.Model(inputs, layers.Dense(20)(x))


def one_dimension():
    inputs = keras.Input((40, 2))
    x = layers.Conv1D(6, 5, dilation_rate=2, padding="causal")(inputs)
    x = layers.SeparableConv1D(8, 3, activation="swish")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalMaxPooling1D()(x)))


def embedding():
    inputs = keras.Input((7,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(20, 6)(inputs))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def keras_hub():
    hub = pytest.importorskip("keras_hub")
    return hub.models.BertBackbone(
        vocabulary_size=50,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=12,
    )


ARCHITECTURES = [
    lstm,
    lstm_in_a_loop,
    gru,
    gru_in_a_loop,
    unet,
    several_outputs,
    dict_inputs,
    subclassed,
    half_precision,
    transformer,
    one_dimension,
    embedding,
    keras_hub,
    mobilenet,
    efficientnet,
    resnet,
]
CANNOT = {
    ("lstm_in_a_loop", "litert"): "unroll=True",
    ("gru_in_a_loop", "litert"): "unroll=True",
    ("half_precision", "litert"): "no operations for TensorFlow's .*Conv2D.*float32",
}


@pytest.mark.parametrize("format", ["saved_model", "litert", "onnx"])
@pytest.mark.parametrize("build", ARCHITECTURES, ids=lambda build: build.__name__)
def test_leaves_as_it_is(build, format, tmp_path):
    model = build()
    x = zoo.subclassed()[1] if build is subclassed else None
    path = tmp_path / f"m{formats.FORMATS[format].ending}"
    model = dsd.strip(dsd.make_prunable(model))
    if (build.__name__, format) in CANNOT:
        with pytest.raises(deploy.ExportError, match=CANNOT[build.__name__, format]):
            deploy.export(model, path, format=format, inputs=x)
        assert not list(tmp_path.iterdir())
        return
    found = deploy.export(model, path, format=format, inputs=x)
    assert found.max_difference <= found.tolerance
    assert np.isfinite(found.max_difference) and found.items >= 1
