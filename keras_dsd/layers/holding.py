"""`hold_zeros(model)`: zeros that came with the weights alone get their masks back.

Knows prunable models; knows no phase and no optimizer.
"""

from keras_dsd.layers import conversion


def hold_zeros(model):
    """Makes every weight that is zero now stay zero while a prunable model trains.

    Masks travel with `.keras` and `.weights.h5` files, not with the arrays of
    `set_weights`, of `clone_model` or of a legacy `.h5` file: those hold weights alone,
    as they hold no optimizer's state either. This reads masks off the zeros of the
    prunable weights and puts them in force, as they are in a sparse phase: also in a
    `fit` without a callback, and until a dense phase takes them off. Layers without a
    zero stay plain. Compiled functions are traced anew.

    Args:
        model: a `keras.Model` (or a layer) that holds `Prunable` layers, built.

    Returns:
        The same object.

    Raises:
        TypeError: `model` is not a Keras model or layer.
        ValueError: nothing in `model` is prunable, or it is not built.

    Example:

    >>> import keras, keras_dsd, numpy as np
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> model = keras_dsd.make_prunable(model)
    >>> sparse = np.array([[0, 1], [2, 0], [0, 3], [4, 0]])
    >>> model.set_weights([sparse, np.zeros(2)])
    >>> model = keras_dsd.hold_zeros(model)
    >>> model.compile("adam", "mse")
    >>> history = model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    >>> keras_dsd.sparsity_report(model).sparsity
    0.5
    """
    for state in conversion.built_states(model):
        state.follow_zeros()
    conversion.forget_traces(model)
    return model
