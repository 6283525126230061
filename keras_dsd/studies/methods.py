"""Methods: what a study compares, as data. The built-in ones and their controls.

A control is what a reviewer asks for: the same training without masks, in all that is
not the masks. Knows phases and arguments; knows no model.
"""

import dataclasses
import re
from typing import Any

import keras

from keras_dsd._shared import checks
from keras_dsd._shared.config import Config
from keras_dsd.training import phases

AVERAGE = 0.99  # momentum of the averaged weights, Keras's default
PATIENCE = 10  # epochs, of `early_stopping`


@dataclasses.dataclass(frozen=True)
class Method(Config):
    """One way to train, all else being equal.

    Args:
        phases: list of phases for `DSDCallback`, or `None`: plain `fit`. Defaults to
            `None`.
        track_gradients: as for `make_prunable`, for RigL and others that ask for dense
            gradients. Defaults to False.
        wrap: dict of other arguments of `make_prunable`, say `{"exclude": "logits"}`.
            Defaults to none.
        average: momentum of an exponential moving average of the weights, which is
            what is evaluated and kept; `None`: the weights themselves. Defaults to
            `None`.
        callbacks: "module:function" (or a function) that returns a list of Keras
            callbacks, made anew for each run. Defaults to `None`.

    Raises:
        TypeError, ValueError: an argument is not as said.

    >>> from keras_dsd import phases, studies
    >>> method = studies.Method(phases=phases.dsd(9, sparsity=0.5))
    >>> studies.Method.from_config(method.get_config()) == method
    True
    """

    phases: Any = None
    track_gradients: bool = False
    wrap: Any = None
    average: float | None = None
    callbacks: Any = None

    def __post_init__(self):
        if self.phases is not None:
            listed = checks.listed(self.phases, "phases", "phases")
            if not listed or not all(isinstance(p, phases.Phase) for p in listed):
                raise TypeError(
                    "`phases` must be a list of phases, or None. "
                    f"Received: phases={self.phases!r}"
                )
            object.__setattr__(self, "phases", tuple(listed))
        checks.boolean(self.track_gradients, "track_gradients")
        if self.wrap is not None and not isinstance(self.wrap, dict):
            raise TypeError(
                "`wrap` must be a dict of arguments of `make_prunable`. "
                f"Received: wrap={self.wrap!r}"
            )
        if self.phases is None and (self.wrap or self.track_gradients):
            raise ValueError(
                "A method without phases has nothing to make prunable. "
                f"Received: wrap={self.wrap!r}, track_gradients={self.track_gradients}"
            )
        if self.average is not None:
            checks.share(self.average, "average")
        if self.callbacks is not None and not isinstance(self.callbacks, str):
            checks.function(self.callbacks, "callbacks", "no arguments")

    @property
    def epochs(self):
        """How many epochs the phases have, `None` without phases."""
        return sum(p.epochs for p in self.phases) if self.phases else None

    @classmethod
    def from_config(cls, config):
        """Makes one from what `get_config` returned."""
        return cls(**keras.saving.deserialize_keras_object(config))


def as_dense(plan):
    """Returns phases with the same lengths and rates, and no mask: their control.

    >>> from keras_dsd import phases
    >>> from keras_dsd.studies import methods
    >>> [phase.lr_factor for phase in methods.as_dense(phases.dsd(9))]
    [None, None, 0.1]
    """
    return [
        phases.Dense(phase.epochs, lr_factor=phase.lr_factor, until=phase.until)
        for phase in plan
    ]


def needs_gradients(plan):
    """Returns whether phases need `track_gradients=True`.

    >>> from keras_dsd import phases
    >>> from keras_dsd.studies import methods
    >>> methods.needs_gradients(phases.dst(9, "rigl"))
    True
    """
    moving = [getattr(phase, "regrowth", None) for phase in plan]
    each = [
        method
        for found in moving
        for method in (found.values() if isinstance(found, dict) else [found])
    ]
    return any("gradient" in method.needs for method in each if method is not None)


def _dense(make):
    return lambda epochs, sparsity: Method(phases=make(epochs, sparsity))


def _control_of(make):
    return lambda epochs, sparsity: Method(phases=as_dense(make(epochs, sparsity)))


def _moving(name):
    def build(epochs, sparsity):
        plan = phases.dst(epochs, method=name, sparsity=sparsity)
        return Method(phases=plan, track_gradients=needs_gradients(plan))

    return build


# name: (sparsity unless the name ends in one; None: it has none, how to make it)
_BUILT_IN: dict[str, tuple[float | None, Any]] = {
    "conventional": (None, lambda epochs, sparsity: Method()),
    "lowered": (None, _control_of(lambda epochs, _: phases.dsd(epochs))),
    "restarts": (None, _control_of(lambda epochs, _: phases.restart(epochs))),
    "averaged": (None, lambda epochs, sparsity: Method(average=AVERAGE)),
    "early_stopping": (
        None,
        lambda epochs, sparsity: Method(
            phases=[phases.Dense(epochs, until=phases.Plateau(patience=PATIENCE))]
        ),
    ),
    "dsd": (0.3, _dense(lambda epochs, s: phases.dsd(epochs, s))),
    "dsdsd": (0.3, _dense(lambda epochs, s: phases.dsd(epochs, s, cycles=2))),
    "acdc": (0.8, _dense(lambda epochs, s: phases.acdc(epochs, s, end="dense"))),
    "restart": (0.5, _dense(lambda epochs, s: phases.restart(epochs, s))),
    **{
        name: (0.5, _moving(name))
        for name in ("static", "set", "rigl", "mest", "granet", "snfs")
    },
}


def names():
    """Returns the names of the built-in methods."""
    return sorted(_BUILT_IN)


def get(name, epochs):
    """Returns a built-in method for a number of epochs.

    Args:
        name: one of `names()`; those that prune may end in their sparsity, say
            `"rigl-0.9"`, or in `"-auto"`, for `phases.Sparse(sparsity="auto")`.
        epochs: of each run.

    Returns:
        A `Method`.

    Raises:
        TypeError, ValueError: there is no such method, it has no sparsity, or `epochs`
            are too few for its phases.

    >>> from keras_dsd.studies import methods
    >>> methods.get("dsd-0.5", epochs=9).phases[1].sparsity
    0.5
    """
    if not isinstance(name, str):
        raise TypeError(f"A method's name is a string. Received: {name!r}")
    found = re.fullmatch(r"(\w+?)(?:-(auto|\d*\.?\d+))?", name)
    key = found[1] if found else name
    default, make = checks.known(key, "method", _BUILT_IN)
    given = found[2] if found else None
    if given is not None and default is None:
        raise ValueError(f"{key!r} has no sparsity. Received: method={name!r}")
    try:
        return make(epochs, default if given is None else _sparsity(given))
    except ValueError as error:
        raise ValueError(f"Method {name!r}: {error}") from error


def _sparsity(text):
    return text if text == "auto" else float(text)


def resolve(wanted, epochs):
    """Returns {name: `Method`} of what a user gave as `methods`.

    Args:
        wanted: list of names, or dict of names and `Method`s (or names).
        epochs: of each run.

    Raises:
        TypeError, ValueError: a method is unknown, listed twice, or its phases have
            more epochs than a run, or fewer.
    """
    if not isinstance(wanted, dict):
        listed = checks.listed(wanted, "methods", "names of methods")
        if len({str(name) for name in listed}) < len(listed):
            raise ValueError(f"A method is listed twice. Received: methods={wanted!r}")
        wanted = {name: name for name in listed}
    if not wanted:
        raise ValueError(f"Give at least one method. Received: methods={wanted!r}")
    resolved = {}
    for name, method in wanted.items():
        if not isinstance(name, str) or not re.fullmatch(r"[\w.+-]+", name):
            raise ValueError(
                "A method's name has letters, digits, '.', '_', '+' and '-' only, for "
                f"files are named after it. Received: method={name!r}"
            )
        if not isinstance(method, Method):
            method = get(method, epochs)
        if method.epochs not in (None, epochs):
            raise ValueError(
                f"All methods train for {epochs} epochs; the phases of {name!r} have "
                f"{method.epochs}. Received: phases={list(method.phases)!r}"
            )
        resolved[name] = method
    return resolved
