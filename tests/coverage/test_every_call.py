"""Layers called in every way: more inputs, masks, states, structures, twice, nested."""

import keras
import pytest
from keras import layers, ops

from tests.coverage import guarantees
from tests.coverage.cases import floats, numbers


def attention_scores():
    query, value = keras.Input((4, 6)), keras.Input((5, 6))
    found = layers.MultiHeadAttention(2, 3)(query, value, return_attention_scores=True)
    return keras.Model([query, value], found), [floats(8, 4, 6), floats(8, 5, 6)]


def attention_masks():
    query, value = keras.Input((4, 6)), keras.Input((5, 6))
    known = keras.Input((5,), dtype="bool")
    allowed = keras.Input((4, 5), dtype="bool")
    found = layers.MultiHeadAttention(2, 3)(
        query, value, value_mask=known, attention_mask=allowed, use_causal_mask=True
    )
    x = [floats(8, 4, 6), floats(8, 5, 6), floats(8, 5) > -1, floats(8, 4, 5) > -1]
    x[3][:, :, 0] = True
    return keras.Model([query, value, known, allowed], found), x


def grouped_attention():
    query, value = keras.Input((4, 6)), keras.Input((4, 6))
    found = layers.GroupQueryAttention(3, 4, 2)(query, value, use_causal_mask=True)
    return keras.Model([query, value], found), [floats(8, 4, 6), floats(8, 4, 6) + 1]


def states_of_an_encoder():
    source, target = keras.Input((4, 5)), keras.Input((3, 5))
    _, *states = layers.LSTM(4, return_sequences=True, return_state=True)(source)
    found = layers.LSTM(4, return_sequences=True)(target, initial_state=states)
    return keras.Model([source, target], found), [floats(8, 4, 5), floats(8, 3, 5)]


def states_of_both_directions():
    inputs = keras.Input((4, 5))
    layer = layers.Bidirectional(
        layers.GRU(3, return_sequences=True, return_state=True), merge_mode="sum"
    )
    return keras.Model(inputs, layer(inputs)), [floats(8, 4, 5)]


def backwards_and_unrolled():
    inputs = keras.Input((4, 5))
    x = layers.SimpleRNN(4, go_backwards=True, unroll=True, return_state=True)(inputs)
    return keras.Model(inputs, x), [floats(8, 4, 5)]


def masked_steps():
    inputs = keras.Input((6, 4))
    x = layers.Masking()(inputs)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    x = layers.TimeDistributed(layers.Dense(4))(x)
    steps = floats(8, 6, 4)
    steps[:, 4:] = 0.0
    return keras.Model(inputs, layers.GRU(3)(x)), [steps]


def masked_words():
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(inputs)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    return keras.Model(inputs, layers.LSTM(3)(x)), [numbers(9, 8, 6)]


def embedding_there_and_back(tie_weights=True):
    inputs = keras.Input((6,), dtype="int32")
    embedding = layers.ReversibleEmbedding(9, 4, tie_weights=tie_weights)
    x = layers.Dense(4)(embedding(inputs))
    return keras.Model(inputs, embedding(x, reverse=True)), [numbers(9, 8, 6)]


def embedding_there_and_back_untied():
    return embedding_there_and_back(tie_weights=False)


@keras.saving.register_keras_serializable("coverage")
class Structured(layers.Layer):
    """Takes a dictionary and an optional argument, returns a dictionary."""

    def build(self, inputs_shape, scale_shape=None):
        self.kernel = self.add_weight((inputs_shape["a"][-1], 3), name="kernel")

    def call(self, inputs, scale=None):
        a = ops.matmul(inputs["a"], self.kernel)
        return {"sum": a + inputs["b"], "scaled": a if scale is None else a * scale}


def dictionaries():
    inputs = {"a": keras.Input((4,), name="a"), "b": keras.Input((3,), name="b")}
    first = Structured()(inputs)
    second = Structured()({"a": first["sum"], "b": first["scaled"]}, scale=inputs["b"])
    x = {"a": floats(8, 4), "b": floats(8, 3)}
    return keras.Model(inputs, [second["sum"], second["scaled"]]), x


def models_within_models():
    inner = keras.Sequential([keras.Input((3, 5)), layers.Dense(5)], name="inner")
    frame = keras.Input((3, 5))
    x = layers.Conv1D(5, 2)(inner(frame))
    middle = keras.Model(frame, layers.LSTM(4)(x), name="middle")
    inputs = keras.Input((4, 3, 5))
    return keras.Model(inputs, layers.TimeDistributed(middle)(inputs)), [
        floats(8, 4, 3, 5)
    ]


CALLS = {
    function.__name__: function
    for function in (
        attention_scores,
        attention_masks,
        grouped_attention,
        states_of_an_encoder,
        states_of_both_directions,
        backwards_and_unrolled,
        masked_steps,
        masked_words,
        embedding_there_and_back,
        embedding_there_and_back_untied,
        dictionaries,
        models_within_models,
    )
}


@pytest.mark.parametrize("name", CALLS)
def test_called_so(name):
    model, x = CALLS[name]()
    guarantees.check(model, x)
