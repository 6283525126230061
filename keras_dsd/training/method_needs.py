"""What methods of regrowth need of a model and its optimizer, checked before training.

Knows pruned weights, methods and optimizers; knows no phase and no training loop.
"""

import keras

from keras_dsd.optimizers import slots as optimizer_slots


def check(targets, weights, optimizers):
    """Raises if a method lacks what it needs, before anything changes.

    Args:
        targets: the phase's `Targets`.
        weights: list of `PrunedWeight`, all.
        optimizers: list of the optimizers that train them. Of one that is not built it
            is not known what it trains; it is checked again when it is.

    Raises:
        ValueError: gradients that are not tracked, that the optimizer does not know or
            gathers over batches, momentum that it does not keep, or averages that Keras
            can't make.
    """
    if any(weight.gradient is not None for weight in weights):
        _check_average(optimizers)
    moving = [
        (target.method, weight)
        for target, weight in zip(targets.each, weights, strict=True)
        if target.method is not None
    ]
    for method, weight in moving:
        if "gradient" in method.needs:
            _check_gradient(type(method).__name__, weight, optimizers)
    # Asked at once, for each call builds a second optimizer.
    carried = [w.variable for method, w in moving if "momentum" in method.needs]
    if carried:
        _check_built(optimizers)
        optimizer_slots.momenta(optimizers, carried)


def _check_built(optimizers):
    unbuilt = [optimizer for optimizer in optimizers if not optimizer.built]
    if unbuilt:
        raise ValueError(
            "The phases read momenta: build each optimizer before training, with the "
            "variables that it trains, or name those that train the model by "
            "`optimizers=[...]`. Received: "
            f"{optimizer_slots.class_names(unbuilt)}, not built"
        )


def _check_average(optimizers):
    # There Keras takes it that every trainable variable has an average.
    options = {"tensorflow": "use_ema", "jax": "ema_overwrite_frequency"}
    option = options.get(keras.backend.backend(), "")
    for leaf in optimizer_slots.leaves(optimizers):
        if leaf.use_ema and getattr(leaf, option, None):
            raise ValueError(
                "On this backend Keras can't average weights while it tracks "
                f"gradients. Leave `{option}` out, or use a method that grows at "
                "random, without `track_gradients`. Received: "
                f"{option}={getattr(leaf, option)!r} in {type(leaf).__name__}, "
                f"KERAS_BACKEND={keras.backend.backend()!r}"
            )


def _check_gradient(name, weight, optimizers):
    if weight.gradient is None:
        raise ValueError(
            f"{name} reads gradients of weights that are not active: pass "
            "`track_gradients=True` to `make_prunable` (or `Prunable`). Received: "
            f"track_gradients=False for {weight.path}"
        )
    steps = optimizer_slots.accumulation(optimizers)
    if steps > 1:
        raise ValueError(
            f"{name} reads gradients, and Keras does not keep the mean of gradients "
            "that it accumulates. Use larger batches, or a method that grows at "
            f"random. Received: gradient_accumulation_steps={steps}"
        )
    if not all(optimizer.built for optimizer in optimizers):
        return
    if not optimizer_slots.trains(optimizers, weight.gradient):
        raise ValueError(
            "The optimizer was built before gradients were tracked: compile after "
            "`make_prunable`. Received: "
            f"optimizer={optimizer_slots.class_names(optimizers)}, which "
            f"does not know {weight.gradient.path}"
        )
