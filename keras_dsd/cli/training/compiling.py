"""Which loss, metrics and optimizer a model is compiled with, and who decided it.

Knows models and the first labels of the data.
"""

import keras
import numpy as np

BY_OUTPUT = ("acc", "accuracy", "ce", "crossentropy")  # chosen by the model's output


def compile(model, train, settings):
    """Compiles a model as the user said, as it was, or by its labels and its output.

    Args:
        model: a `keras.Model`; a compiled one keeps what the user does not name.
        train: (x, y) or a data set.
        settings: dict of the command's arguments.

    Returns:
        List of str: what was decided here.

    Raises:
        ValueError: an unknown name, or a loss has to be named.
    """
    told = []
    loss, metrics = settings["loss"], settings["metrics"]
    if loss is None and model.compiled:
        loss, metrics = model.loss, metrics or ["accuracy"] * _counts(model.loss)
    elif loss is None:
        loss, metrics = _by_labels(model, _labels(train), metrics)
        told.append(f"Loss, by the labels: {_name(loss)}")
    _check_names(loss, metrics)
    steps = settings["epochs"] * _steps(train, settings["batch_size"])
    model.compile(_optimizer(model, settings, steps), loss=loss, metrics=metrics)
    return told


def _check_names(loss, metrics):
    # Keras looks them up in the first step.
    if isinstance(loss, str):
        keras.losses.get(loss)
    for name in metrics or ():
        if isinstance(name, str) and name not in BY_OUTPUT:
            keras.metrics.get(name)


def _optimizer(model, settings, steps):
    name, rate = settings["optimizer"], settings["learning_rate"]
    if name is None and model.compiled:
        optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    else:
        optimizer = keras.optimizers.get(name or "adam")
    config = optimizer.get_config()
    if rate is not None:
        config["learning_rate"] = rate
    if settings["schedule"] == "cosine":
        if not isinstance(config["learning_rate"], float):
            raise ValueError(
                "The model's optimizer has a schedule of its own: give --learning-rate "
                "beside --schedule. Received: --schedule cosine"
            )
        config["learning_rate"] = keras.optimizers.schedules.CosineDecay(
            config["learning_rate"], steps
        )
    return type(optimizer).from_config(config)


def _steps(train, batch_size):
    if isinstance(train, tuple):
        return -(-len(keras.tree.flatten(train[0])[0]) // batch_size)
    return len(train)


def _labels(train):
    y = train[1] if isinstance(train, tuple) else next(iter(train))[1]
    if keras.tree.is_nested(y):
        raise ValueError(
            "Several outputs need a loss: give --loss. Received: --loss None"
        )
    return np.asarray(keras.ops.convert_to_numpy(y))


def _by_labels(model, labels, metrics):
    """Returns the loss for a model with one output, and its metrics."""
    if keras.tree.is_nested(model.output_shape[-1]) or len(model.outputs) != 1:
        raise ValueError(
            "Several outputs need a loss: give --loss. Received: --loss None"
        )
    last = getattr(model.layers[-1], "activation", None)
    units = model.output_shape[-1]
    whole = labels.dtype.kind in "iub"
    if whole and units > 1 and (labels.ndim == 1 or labels.shape[-1] == 1):
        logits = last is not keras.activations.softmax
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    elif labels.ndim > 1 and labels.shape[-1] == units > 1 and _one_hot(labels):
        logits = last is not keras.activations.softmax
        loss = keras.losses.CategoricalCrossentropy(from_logits=logits)
    elif whole and units == 1 and set(np.unique(labels)) <= {0, 1}:
        logits = last is not keras.activations.sigmoid
        loss = keras.losses.BinaryCrossentropy(from_logits=logits)
        threshold = 0.0 if logits else 0.5
        return loss, metrics or [
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)
        ]
    elif labels.dtype.kind == "f":
        return keras.losses.MeanSquaredError(), metrics or ["mae"]
    else:
        raise ValueError(
            "No loss fits these labels and this output: give --loss. Received: labels "
            f"{labels.shape} of {labels.dtype}, outputs {model.output_shape}"
        )
    return loss, metrics or ["accuracy"]


def _one_hot(labels):
    return bool(np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(-1) == 1))


def _counts(loss):
    """Returns whether accuracy goes with a loss: 1 or 0."""
    return int("crossentropy" in _name(loss).lower())


def _name(loss):
    if isinstance(loss, keras.losses.Loss):
        logits = loss.get_config().get("from_logits")
        return f"{loss.name} of logits" if logits else loss.name
    return getattr(loss, "__name__", str(loss))
