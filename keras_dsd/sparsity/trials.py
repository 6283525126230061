"""Trials: what a model is worth with some of its weights at zero, without training.

Weights are zero for the length of an evaluation, and come back to the bit. Knows
variables and numbers; knows no model, no layer and no phase.
"""

import contextlib
import math
from typing import NamedTuple

from keras import ops

from keras_dsd import backend
from keras_dsd._shared import directions

STEPS = 1000  # sparsities that a search may find lie a thousandth apart
ROUNDING = 2.0**-22  # of a metric, which is a float32; as a share of it


class Trial(NamedTuple):
    """One evaluation.

    Attributes:
        path: of the one weight that was pruned, or `None`: all were, together.
        sparsity: fraction of it, or of all, that was zero.
        value: the metric.
    """

    path: str | None
    sparsity: float
    value: float


class Held:
    """Variables whose values may change within a `with`, and come back to the bit.

    Holds a copy of all of them, not only of those that are pruned: on JAX an evaluation
    that is interrupted leaves a model without values.

    Args:
        variables: list of variables; one that is listed twice is held once.
    """

    def __init__(self, variables):
        self._variables = list({id(one): one for one in variables}.values())
        self._values: dict = {}

    def __enter__(self):
        for one in self._variables:
            self._values[id(one)] = ops.stop_gradient(ops.copy(one.value))
        return self

    def __exit__(self, *error):
        for one in self._variables:
            one.assign(self._values.pop(id(one)))

    def value(self, variable):
        """Returns the value that a variable had, a tensor."""
        return self._values[id(variable)]

    @contextlib.contextmanager
    def masked(self, variables, masks):
        """Within it, variables are zero where their masks are False."""
        for one, mask in zip(variables, masks, strict=True):
            one.assign(backend.masked(self.value(one), mask))
        yield
        for one in variables:
            # A copy: on JAX the next evaluation gives the memory away.
            one.assign(ops.copy(self.value(one)))


def choose_metric(logs, name, mode):
    """Returns (name of a metric, whether more of it is better).

    Args:
        logs: dict of metrics, as `model.evaluate(..., return_dict=True)` returns it.
        name: of one of them, or `None`: the first that is no loss, else the loss.
        mode: "max", "min" or "auto", by its name.

    Raises:
        ValueError: there is no such metric, or its name does not tell.
    """
    if name is None:
        others = [key for key in logs if not key.endswith("loss")]
        name = others[0] if others else "loss"
    if name not in logs:
        raise ValueError(
            f"There is no such metric. Known: {sorted(logs)}. Received: metric={name!r}"
        )
    return name, directions.grows(name, mode)


def is_borne(value, baseline, grows, tolerance):
    """Returns whether a metric falls by no more than a tolerance; NaN never does.

    >>> from keras_dsd.sparsity import trials
    >>> trials.is_borne(0.90, baseline=0.91, grows=True, tolerance=0.01)
    True
    """
    fall = baseline - value if grows else value - baseline
    return fall <= tolerance + ROUNDING * abs(baseline)


def largest(is_borne, end=STEPS):
    """Returns the largest number of steps of 1 / `STEPS` that is borne.

    By bisection: the metric is taken to fall below what is borne once and for all, so
    10 sparsities are tried. 0 is not tried, but taken to be borne.

    Args:
        is_borne: function of a number of steps, from 1 to `end` - 1.
        end: the number of steps that is not tried any more. Defaults to `STEPS`.

    >>> from keras_dsd.sparsity import trials
    >>> trials.largest(lambda steps: steps <= 431)
    431
    """
    low, high = 0, end
    while high - low > 1:
        middle = (low + high) // 2
        if is_borne(middle):
            low = middle
        else:
            high = middle
    return low


def check_baseline(value, name):
    """Returns the metric of a model as it is, if it is finite.

    Raises:
        ValueError: it is not: the data are empty, or training has diverged.
    """
    if not math.isfinite(value):
        raise ValueError(
            "The metric of the model as it is is not finite, so no fall can be "
            f"measured. Received: {name}={value}"
        )
    return value
