"""`make_prunable(model)` and `strip(model)`: whole models, prunable and plain again.

Decides which layers become prunable; how one does is `prunable`'s business. Knows
models; knows no phase and no optimizer.
"""

import keras

from keras_dsd._shared import checks, keras_private
from keras_dsd.layers import eligibility, model_choice, prunable
from keras_dsd.layers.prunable import Prunable
from keras_dsd.optimizers import model_optimizers
from keras_dsd.optimizers.learning_rates import Rates


def make_prunable(
    model,
    *,
    include=None,
    exclude=None,
    sparsity=None,
    track_gradients=False,
    strict=False,
):
    """Makes every layer with a weight to prune `Prunable`, in place.

    A weight can be pruned if it is floating-point, trainable and of rank 2 or more.
    Some stay dense unless `include` names them: 2-D and 3-D convolutions that read a
    raw picture (at most 4 input channels), which Han et al. keep dense; depthwise
    convolutions, as in RigL; and weights of embeddings, normalizations, `PReLU` and
    `STFTSpectrogram`. Predictions, weights, names and files stay as they are; the
    model's optimizer keeps its state. Call it before `compile`, or after: then the
    compiled functions are traced anew.

    Of a model with layers that are prunable already, it takes the others: say those
    that were frozen before. What a rule left out then is left out only if the rule is
    given again.

    Args:
        model: a `keras.Model`. It is changed in place. One that is not built yet is
            fine unless `include` or `exclude` is given: those look at weights.
        include: which weights to prune: a regular expression searched in the weight's
            path, a list of them, or a callable that takes the weight and returns a
            bool. Defaults to `None`: all but those that stay dense by default.
        exclude: which weights to leave dense, as `include`; it has the last word.
        sparsity: target of the layers made prunable here, a fraction of weights in
            [0, 1). Defaults to `None`: follow the phase.
        track_gradients: keep the gradient of the dense weights in each step of a
            sparse phase, for methods of `regrowth` that grow by it. Costs memory of
            one copy of the weights and a little time; the optimizer must be built
            afterwards, so compile after this call. Defaults to `False`.
        strict: raise if some weight of rank 2 or more, other than those that stay dense
            by default or by `exclude`, can't be pruned. Defaults to `False`: skip it;
            `sparsity_report` says why.

    Returns:
        The same model.

    Raises:
        TypeError: `model` is not a Keras model, or a rule is of the wrong type.
        ValueError: nothing to prune, or all of it prunable already; a regular
            expression that matches no weight; a model not built while a rule is given.

    Example:

    >>> import keras, keras_dsd
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = keras_dsd.make_prunable(model)
    >>> print(type(model.layers[0]).__name__, isinstance(model.layers[0],
    ...     keras_dsd.Prunable))
    Dense True
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a `keras.Model`. Received: "
            f"model={model!r} (of type {type(model).__module__}.{type(model).__name__})"
        )
    if sparsity is not None:
        checks.sparsity(sparsity)
    checks.boolean(track_gradients, "track_gradients")
    checks.boolean(strict, "strict")
    include = eligibility.rule(include, "include")
    exclude = eligibility.rule(exclude, "exclude")
    choice = model_choice.choose(model, include, exclude, strict)
    options = {"sparsity": sparsity, "track_gradients": track_gradients}
    for layer, indices in choice.now:
        prunable.convert(layer, weights=indices, **options)
    for layer in choice.later:
        prunable.convert(layer, by_default=True, **options)
    keras_private.refresh_all(model)
    forget_traces(model)
    return model


def strip(model):
    """Gives back the model as it was: same object, classes, names, paths and files.

    Weights keep their values: those that are zero because a sparse phase came last
    stay zero, but nothing keeps them so any longer.

    Args:
        model: a `keras.Model` (or a layer) that holds `Prunable` layers.

    Returns:
        The same object.

    Raises:
        TypeError: `model` is not a Keras model or layer.
        ValueError: nothing in `model` is prunable.

    Example:

    >>> import keras, keras_dsd
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model = keras_dsd.strip(keras_dsd.make_prunable(model))
    >>> type(model.layers[0]) is keras.layers.Dense
    True
    """
    layers = prunable_layers(model)
    if not layers:
        raise ValueError(
            f"The model holds no `Prunable` layer to strip. Received: model={model!r}"
        )
    tracked = [weight.gradient for weight in pruned_weights(model)]
    positions = [state.position for state in states(model) if state.built]
    for layer in layers:
        prunable.revert(layer)
    keras_private.refresh_all(model)
    forget_traces(model)
    optimizers = list(model_optimizers.of(model).values())
    rates = Rates(optimizers)  # loaded from within a run, they hold the run's
    rates.unwrap()
    for position in positions[:1]:
        rates.recover(position.rates, position.factor)
    for optimizer in optimizers:
        keras_private.forget(optimizer, [v for v in tracked if v is not None])
    return model


def prunable_layers(model):
    """Returns the `Prunable` layers of a model (or a layer), each once, in order."""
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(
            "`model` must be a `keras.Model` or a layer. Received: "
            f"model={model!r} (of type {type(model).__module__}.{type(model).__name__})"
        )
    return [
        layer for layer in keras_private.sublayers(model) if isinstance(layer, Prunable)
    ]


def pruned_weights(model):
    """Returns the `PrunedWeight`s of a model, in the order of its layers."""
    return [
        weight
        for layer in prunable_layers(model)
        for weight in getattr(layer, prunable.STATE).pruned
    ]


def states(model):
    """Returns the `PruningState` of each prunable layer, in the order of the layers."""
    return [getattr(layer, prunable.STATE) for layer in prunable_layers(model)]


def built_states(model):
    """Returns the `PruningState`s of a model's layers, at least one and all built.

    Raises:
        ValueError: there is none, or one is not built.
    """
    found = states(model)
    if not found:
        raise ValueError(
            f"{model_choice.why_nothing(model)}. Received: model={model!r}"
        )
    unbuilt = [state for state in found if not state.built]
    if unbuilt:
        raise ValueError(
            "Build the model before, say by calling it on a batch: masks need weights. "
            f"Received: {len(unbuilt)} layers that are not built"
        )
    return found


def forget_traces(model):
    """Lets a model, and any within it, trace its functions anew.

    What a model has traced holds the variables and the masks that it had then.
    """
    for layer in keras_private.sublayers(model):
        for function in ("train_function", "test_function", "predict_function"):
            if getattr(layer, function, None) is not None:
                setattr(layer, function, None)
