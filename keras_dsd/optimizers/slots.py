"""An optimizer's per-weight state, and what it holds for a weight it has not yet met.

When a weight is pruned its slots (momenta, accumulators, moving average) must become
those of a new weight, and new is not always zero: Adagrad and Ftrl start at 0.1, and
ScheduleFreeAdamW with the weight itself. So a small twin of the optimizer is built on
one-element weights of the same paths, and asked. Knows optimizers; knows no masks.
"""

import collections
import contextlib
import dataclasses
from typing import Any

import keras
import numpy as np

from keras_dsd._shared import keras_private, scopes

# What the twin's weights hold. A slot that starts like this starts as the weight. It is
# exact in bfloat16, and no optimizer's constant.
_WEIGHT = 0.6171875

# A weight that is 0 stays exactly that under these, if it gets no gradient and its
# slots are fresh: each entry has a step of its own, that has no noise and is 0 then.
# Classes derived from them may differ, and what Keras will add is not known.
_KEEP_ZEROS = (
    keras.optimizers.Adadelta,
    keras.optimizers.Adagrad,
    keras.optimizers.Adam,
    keras.optimizers.Adamax,
    keras.optimizers.AdamW,
    keras.optimizers.Ftrl,
    keras.optimizers.Lamb,
    keras.optimizers.Lion,
    keras.optimizers.Nadam,
    keras.optimizers.RMSprop,
    keras.optimizers.SGD,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Slot:
    """One variable of an optimizer, of the shape of one weight.

    Args:
        variable: the optimizer's variable.
        fresh: its value in a new optimizer, or `None` where it starts as the weight.
        is_average: whether it is the moving average of the weight (`use_ema`).
        name: what the optimizer calls it, such as "momentum".
    """

    variable: keras.Variable
    fresh: float | None
    is_average: bool
    name: str


def leaves(optimizer):
    """Returns the optimizers that own slots.

    That is the optimizer itself, or those within a `LossScaleOptimizer` or a
    `MultiOptimizer`. Here and below, `optimizer` may be a list of them.
    """
    if isinstance(optimizer, (list, tuple)):
        return [leaf for one in optimizer for leaf in leaves(one)]
    if hasattr(optimizer, "inner_optimizer"):
        return leaves(optimizer.inner_optimizer)
    if hasattr(optimizer, "optimizers"):
        return [leaf for inner in optimizer.optimizers for leaf in leaves(inner)]
    return [optimizer]


def accumulation(optimizer):
    """Returns over how many batches the optimizer gathers gradients for one step."""
    return max(leaf.gradient_accumulation_steps or 1 for leaf in leaves(optimizer))


def trains(optimizer, variable):
    """Returns whether a built optimizer trains a variable."""
    return any(
        variable is trained
        for leaf in leaves(optimizer)
        for trained in keras_private.trained_by(leaf)
    )


def keeps_zeros(optimizer):
    """Returns the ids of the weights that stay 0 by themselves when they are pruned.

    That is, without a gradient and with fresh slots. Not of weights that averages
    overwrite, nor of any while it is not known what another optimizer will train.
    """
    kept: set = set()
    others: set = set()
    for leaf in leaves(optimizer):
        keeps = keras_private.optimizer_class(leaf) in _KEEP_ZEROS and not leaf.use_ema
        if not keeps and not leaf.built:
            return set()
        (kept if keeps else others).update(map(id, keras_private.trained_by(leaf)))
    return kept - others


def momentum_coefficient(optimizer):
    """Returns how much of its momentum an optimizer keeps in a step, or `None`.

    `None` if it, or one of the optimizers within, keeps no momentum. Of a list, that
    of the first that does.
    """
    if isinstance(optimizer, (list, tuple)):
        all_found = map(momentum_coefficient, optimizer)
        return next((one for one in all_found if one is not None), None)
    found: list[Any] = [
        getattr(leaf, "momentum", None) or getattr(leaf, "beta_1", None)
        for leaf in leaves(optimizer)
    ]
    return float(found[0]) if all(found) else None


def class_names(optimizer):
    """Returns the names of the optimizer's class, or of those of a list, as text."""
    some = optimizer if isinstance(optimizer, (list, tuple)) else [optimizer]
    return ", ".join(type(one).__name__ for one in some)


def loss_scales(optimizers, weights):
    """Returns, for each weight, by how much its optimizer has the loss multiplied.

    Args:
        optimizers: list of optimizers.
        weights: list of variables. What none of them trains has 1.
    """
    scales = [one.scale_loss(keras.ops.convert_to_tensor(1.0)) for one in optimizers]
    scale_of: dict = {}
    for optimizer, scale in zip(optimizers, scales, strict=True):
        for leaf in leaves(optimizer):
            for weight in keras_private.trained_by(leaf):
                scale_of.setdefault(id(weight), scale)
    return [scale_of.get(id(weight), 1.0) for weight in weights]


def momenta(optimizer, weights):
    """Returns, for each weight, [momentum] or [momentum, velocity] variables.

    Raises:
        ValueError: the optimizer keeps no momentum of some weight.
    """
    result = []
    for weight, slots in zip(weights, find(optimizer, weights), strict=True):
        named = {slot.name: slot for slot in slots if slot.fresh == 0}
        if "momentum" not in named:
            raise ValueError(
                "SNFS reads the optimizer's momentum: use one that keeps it, say "
                "`SGD(momentum=0.9)` or `Adam()`. Received: "
                f"optimizer={class_names(optimizer)}, without momentum of "
                f"{weight.path}"
            )
        names = ("momentum", "velocity")
        result.append([named[name].variable for name in names if name in named])
    return result


def find(optimizer, weights):
    """Returns, for each weight, the list of its `Slot`s.

    Statistics that are not per weight (Adafactor's rows and columns) are not slots:
    setting them back would change the step of the weights that survive.

    Args:
        optimizer: a built `keras.optimizers.Optimizer`.
        weights: list of variables it trains.

    Raises:
        ValueError: the optimizer can't be made anew from its own config.
    """
    slots: list[list[Slot]] = [[] for _ in weights]
    index_of = {id(weight): index for index, weight in enumerate(weights)}
    for leaf in leaves(optimizer):
        by_name = collections.defaultdict(list)
        for variable in leaf.variables:
            by_name[variable.name].append(variable)
        # Two weights may share a path, and then their slots a name, in the optimizer's
        # order. Only then do the slots of weights that nobody asked for matter.
        is_unique = all(len(variables) == 1 for variables in by_name.values())
        twins: dict[tuple, dict] = {}
        for weight in keras_private.trained_by(leaf):
            index = index_of.get(id(weight))
            if index is None and is_unique:
                continue
            named = _named_after(weight, by_name)
            if not named:
                continue
            # Weights whose slots have the same names have the same kinds of slots.
            kind = (frozenset(named), weight.dtype, len(weight.shape))
            if kind not in twins:
                twins[kind] = _fresh_values(leaf, weight)
            for name, fresh in twins[kind].items():
                variable = named[name].pop(0)
                if index is not None:
                    slots[index].append(Slot(variable, fresh, name == "average", name))
    return slots


def _named_after(weight, by_name):
    """Returns {slot name: [variables]} of those named after `weight`, of its shape."""
    prefix = weight.path.replace("/", "_") + "_"
    return {
        name.removeprefix(prefix): variables
        for name, variables in by_name.items()
        if name.startswith(prefix)
        and variables
        and tuple(variables[0].shape) == tuple(weight.shape)
    }


def _fresh_values(leaf, weight):
    """Returns {slot name: fresh value} of a new `leaf` for a weight like `weight`."""
    try:
        config = _config_without_rate(leaf)
        if "learning_rate" in config:  # a function would not come back from a config
            config["learning_rate"] = 0.001
        twin = type(leaf).from_config(config)
    except Exception as error:
        raise ValueError(
            "Pruning sets the optimizer's slots of a pruned weight back, and learns "
            "from a second optimizer, made by `from_config(get_config())`, what they "
            f"start with; that failed ({error}). Received: optimizer={leaf!r}"
        ) from error
    with _on_one_device():
        twin.build([_one_element_like(weight)])
    prefix = weight.path.replace("/", "_") + "_"
    fresh = {}
    for variable in twin.variables:
        if variable.name.startswith(prefix) and variable.shape == (1,) * len(
            weight.shape
        ):
            value = float(np.ravel(keras.ops.convert_to_numpy(variable))[0])
            name = variable.name.removeprefix(prefix)
            fresh[name] = None if value == _WEIGHT else value
    return fresh


def _config_without_rate(leaf):
    """Returns the config, even where the learning rate has none of its own."""
    rate = keras_private.learning_rate_source(leaf)
    if isinstance(rate, keras.Variable) or not callable(rate):
        return dict(leaf.get_config())
    leaf.learning_rate = keras.optimizers.schedules.ExponentialDecay(0.001, 1, 1.0)
    try:
        return dict(leaf.get_config())
    finally:
        leaf.learning_rate = rate


@contextlib.contextmanager
def _on_one_device():
    """A scope without `keras.distribution`: one element can't be cut in pieces."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        yield
        return
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def _one_element_like(weight):
    path, _, name = weight.path.rpartition("/")
    with scopes.of(path):
        return keras.Variable(
            np.full((1,) * len(weight.shape), _WEIGHT), dtype=weight.dtype, name=name
        )
