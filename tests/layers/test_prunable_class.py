"""The class of a prunable layer: to whoever asks, it is the plain one."""

import inspect
import pickle

import keras
import numpy as np
import pytest

import keras_dsd
from keras_dsd import phases


@keras.saving.register_keras_serializable("tests")
class Gain(keras.layers.Layer):
    """Has no `get_config`: Keras writes one from the constructor's arguments."""

    def __init__(self, units, gain=1.0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.gain = units, gain

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, inputs, scale=1.0):
        return self.gain * scale * (inputs @ self.kernel)


@keras.saving.register_keras_serializable("tests")
class Bare(keras.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.units = units

    build = Gain.build

    def call(self, inputs):
        return inputs @ self.kernel


@keras.saving.register_keras_serializable("tests")
class Unsavable(Bare):
    def __init__(self, units, function):
        super().__init__(units)
        self.function = function


@keras.saving.register_keras_serializable("tests")
class Variadic(Bare):
    def __init__(self, *units):
        super().__init__(*units)


@keras.saving.register_keras_serializable("tests")
class Own(keras.Model):
    """A registered subclassed model, of which all weights are one unit."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = keras.layers.Dense(units)

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class BiasOnly(keras.layers.Layer):
    def build(self, shape):
        self.bias = self.add_weight(shape=(shape[-1],), name="bias")

    def call(self, inputs):
        return inputs + self.bias


def model_of(layer):
    return keras.Sequential([keras.Input((4,)), layer])


X = np.arange(8, dtype="float32").reshape(2, 4)


def by_file(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def by_clone(model, folder):
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


def by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def by_config(model, folder):
    other = type(model).from_config(model.get_config())
    other.set_weights(model.get_weights())
    return other


@pytest.mark.parametrize("copy", [by_file, by_clone, by_pickle, by_config])
def test_arguments_that_keras_saves_by_itself_come_back(copy, tmp_path):
    model = keras_dsd.make_prunable(model_of(Gain(3, gain=3.0)))
    expected = model.predict(X, verbose=0)
    other = copy(model, tmp_path)
    assert isinstance(other.layers[0], keras_dsd.Prunable)
    assert other.layers[0].units == 3
    np.testing.assert_array_equal(other.predict(X, verbose=0), expected)


@pytest.mark.parametrize(
    "make", [lambda: Unsavable(3, function=np.sin), lambda: Variadic(3)]
)
def test_what_plain_keras_refuses_to_save_is_refused(make, tmp_path):
    plain = model_of(make())
    with pytest.raises(NotImplementedError) as refused:
        plain.save(tmp_path / "plain.keras")
    model = keras_dsd.make_prunable(model_of(make()))
    with pytest.raises(NotImplementedError) as mine:
        model.save(tmp_path / "mine.keras")
    assert str(mine.value) == str(refused.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gain(3),
        lambda: keras.layers.Dense(3),
        lambda: keras.layers.MultiHeadAttention(2, 2),
        lambda: keras.layers.LSTM(3),
    ],
)
def test_signatures_are_the_plain_ones(make):
    plain, layer = make(), keras_dsd.Prunable(make())
    for name in ("call", "__init__", "get_config"):
        expected = inspect.signature(getattr(plain, name))
        assert inspect.signature(getattr(layer, name)) == expected
    assert layer.call.__doc__ == plain.call.__doc__


def test_an_error_of_a_custom_layer_is_told_as_plain_keras_tells_it():
    class Wrong(Gain):
        def call(self, inputs):
            raise RuntimeError("this is what went wrong")

    layer = keras_dsd.Prunable(Wrong(3))
    with pytest.raises(RuntimeError, match="this is what went wrong"):
        layer(X)


@pytest.mark.parametrize(
    "make", [lambda: keras.layers.Dense(3), lambda: Gain(3, gain=2.0)]
)
def test_a_layer_is_pickled(make):
    layer = keras_dsd.Prunable(make(), sparsity=0.5)
    layer(X)
    other = pickle.loads(pickle.dumps(layer))
    assert type(other) is type(layer)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(other(X)), keras.ops.convert_to_numpy(layer(X))
    )
    assert pickle.loads(pickle.dumps(type(layer))) is type(layer)


def test_a_subclassed_model_is_pickled_within_a_sparse_phase():
    model = Own()
    model(X)
    model = keras_dsd.make_prunable(model)
    model.compile("sgd", "mse")
    callback = keras_dsd.DSDCallback([phases.Sparse(1, sparsity=0.5)], verbose=0)
    model.fit(X, np.ones((2, 3)), verbose=0, callbacks=[callback])
    other = pickle.loads(pickle.dumps(model))
    assert isinstance(other, Own)
    assert isinstance(other, keras_dsd.Prunable)
    assert keras_dsd.sparsity_report(other).sparsity == 0.5
    np.testing.assert_array_equal(
        other.predict(X, verbose=0), model.predict(X, verbose=0)
    )


def test_a_layer_that_never_has_weights_is_refused_at_once():
    with pytest.raises(ValueError, match=r"no weight to prune .* Received: layer="):
        keras_dsd.Prunable(keras.layers.Flatten())


def test_a_layer_that_turns_out_to_have_none_is_refused_at_each_call():
    layer = keras_dsd.Prunable(BiasOnly())
    for _ in range(2):
        with pytest.raises(ValueError, match="no weight to prune"):
            layer(X)


def test_the_name_in_files_stays_prunable_s():
    model = Own()
    model.build((None, 4))
    keras_dsd.make_prunable(model)
    assert keras.saving.get_registered_object("keras_dsd>Prunable") is (
        keras_dsd.Prunable
    )
