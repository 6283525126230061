"""Which layers and weights of a model are made prunable, by rule or by default.

Knows models; knows no phase and no optimizer. Changes nothing.
"""

from typing import Any, NamedTuple

import keras

from keras_dsd._shared import keras_private
from keras_dsd.layers import candidates, eligibility
from keras_dsd.layers.pruning_state import PruningState


class Choice(NamedTuple):
    """What is to be made prunable.

    Args:
        now: list of (layer, indices of its kernels), of layers that are built.
        later: list of layers that are not: theirs are chosen by default, once they are.
    """

    now: list
    later: list


def choose(model, include: Any, exclude: Any, strict):
    """Returns the `Choice` for a model, in which there is something.

    Args:
        model: the model.
        include: an `eligibility.Rule`, or `None`: all but what stays dense by default.
        exclude: an `eligibility.Rule`, or `None`.
        strict: whether a weight that can't be pruned is refused.

    Raises:
        ValueError: as `make_prunable`.
    """
    layers = _plain_layers(model)
    already = any(map(_is_prunable, keras_private.sublayers(model)))
    if not layers and already:
        raise ValueError(f"The model is prunable already. Received: model={model!r}")
    unbuilt = [layer for layer in layers if not _built(layer)]
    if (include or exclude) and unbuilt:
        raise ValueError(
            "`include` and `exclude` look at weights: build the model first, say with "
            "an `Input`. Received: a model in which "
            f"{[layer.name for layer in unbuilt]} are not built"
        )
    found = [one for layer in layers for one in candidates.find(layer)]
    reasons = _reasons(model, [weight for _, weight, _ in found])
    for rule in filter(None, (include, exclude)):
        rule.must_match([weight for _, weight, _ in found], reasons)
    if strict and reasons:
        raise ValueError(
            "`strict=True` and these weights can't be pruned. Received: "
            f"{eligibility.listed(reasons)}"
        )
    now = _choose_weights(layers, include, exclude)
    later = [layer for layer in unbuilt if _may_be_pruned(layer)]
    if not (any(indices for _, indices in now) or later):
        if include or exclude:
            raise ValueError(
                "`include` and `exclude` leave no weight to prune. "
                f"Received: include={include and include.value!r}, "
                f"exclude={exclude and exclude.value!r}"
            )
        why = "The rest of the model stays dense" if already else why_nothing(model)
        raise ValueError(f"{why}. Received: model={model!r}")
    return Choice(now, later)


def weights_by_default(model):
    """Returns which weights of a plain, built model would be pruned by default."""
    owners = eligibility.owners(model)
    return [
        weight
        for weight in model.weights
        if not eligibility.cannot_prune(weight, owners[id(weight)])
        and not eligibility.kept_dense(weight, owners[id(weight)])
    ]


def _plain_layers(model):
    """Returns the layers to be made prunable, each as a whole, if they have weights.

    Descends only into containers that list their layers in their config.
    """
    found, seen = [], set()

    def visit(layer):
        if id(layer) in seen or _is_prunable(layer):
            return
        seen.add(id(layer))
        if eligibility.lists_its_layers(layer):
            children = layer.layers if isinstance(layer, keras.Model) else None
            for child in children or keras_private.children(layer):
                visit(child)
        elif not _built(layer) or candidates.find(layer):
            found.append(layer)

    visit(model)
    return found


def _is_prunable(layer):
    return any(isinstance(one, PruningState) for one in keras_private.children(layer))


def _built(layer):
    return all(sublayer.built for sublayer in keras_private.sublayers(layer))


def _may_be_pruned(layer):
    """Returns whether an unbuilt layer may have a weight that is pruned by default."""
    if eligibility.dense_layer(layer):
        return False
    return candidates.may_have_weights(layer)


def _choose_weights(layers, include, exclude):
    """Returns [(layer, indices of its weights)] of built layers that have some.

    A weight that is tied to another layer's has its mask there; its layer is made
    prunable for it to be read masked, with no index for it.
    """

    def is_chosen(weight, owner):
        if exclude and exclude(weight):
            return False
        if include:
            return include(weight)
        return not eligibility.kept_dense(weight, owner)

    chosen, taken = [], set()
    for layer in filter(_built, layers):
        found = [
            (index, weight)
            for index, weight, owner in candidates.find(layer)
            if is_chosen(weight, owner)
        ]
        if found:
            own = [index for index, weight in found if id(weight) not in taken]
            chosen.append((layer, own))
        taken |= {id(weight) for _, weight in found}
    return chosen


def _reasons(model, weights):
    """Returns {path: why it can't be pruned} of weights of rank 2 or more.

    Args:
        model: the model.
        weights: those that can be pruned; those that have a mask already can, too.
    """
    can = {id(weight) for weight in weights} | candidates.covered(model)
    owners = eligibility.owners(model)
    found = {}
    for weight in model.weights:
        owner = owners[id(weight)]
        if (
            len(weight.shape) >= 2
            and id(weight) not in can
            and not isinstance(owner, PruningState)
        ):
            reason = eligibility.cannot_prune(weight, owner)
            found[weight.path] = reason or eligibility.in_no_layer(owner)
    # Without a reason are weights that a prunable layer left dense.
    return {path: reason for path, reason in found.items() if reason}


def why_nothing(model):
    """Returns why a model holds no prunable layer, or what to do to have some."""
    owners = eligibility.owners(model)
    kept = {
        weight.path: eligibility.kept_dense(weight, owners[id(weight)])
        for weight in model.weights
        if not eligibility.cannot_prune(weight, owners[id(weight)])
        and not eligibility.in_no_layer(owners[id(weight)])
    }
    kept |= {
        layer.name: reason
        for layer in keras_private.sublayers(model)
        if not layer.built and (reason := eligibility.dense_layer(layer))
    }
    if not all(kept.values()) or not (kept or model.weights):
        return (
            "The model holds no `Prunable` layer: call "
            "`model = keras_dsd.make_prunable(model)` before `compile`"
        )
    if not kept:
        return (
            "The model has no weight to prune (floating-point, trainable, rank 2 or "
            "more)"
        )
    return (
        "All weights that could be pruned stay dense unless `include` of "
        f"`make_prunable` names them: {eligibility.listed(kept)}"
    )
