"""The parts of the map: which methods meet which data, how often.

What it takes on one core of a server, JAX, one thread a run, in processes that make one
run after another (`pool`):

- regimes: 12 seeds x 27 runs x (6 settings x 3 s + 5 settings x 6 s) = 4.3 h
- language: 4 settings x 9 seeds x 13 runs x 45 s = 5.9 h
- speech: 12 seeds x 18 runs x (6 s + 28 s) = 2.0 h

In all twelve hours of a core, half as many of two.

Knows models and data by their functions.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

from keras_dsd import phases, studies
from keras_dsd.studies.methods import as_dense
from tests.results import digits, language, packs, plans, speech

CONTROLS = ("conventional", "lowered", "restarts", "averaged", "early_stopping")
CORE = ("conventional", "lowered", "averaged")


@dataclasses.dataclass(frozen=True)
class Setting:
    """One model on one kind of data.

    Args:
        name: of the setting; a file is named after it.
        build: function without arguments that returns a compiled model.
        data: function of the folder of the data packs and of a seed that returns
            train, validation and test data. Each seed draws its own.
        narrow: {name of a method: function that builds a dense model with as many
            weights as a sparse one keeps}. Defaults to none.
        needs: names of packs of data. Defaults to none: scikit-learn's digits.
    """

    name: str
    build: Callable
    data: Callable
    narrow: dict = dataclasses.field(default_factory=dict)
    needs: tuple = ()


@dataclasses.dataclass(frozen=True)
class Part:
    """Settings that are compared by the same methods.

    Args:
        name: of the part.
        title: a sentence for the page.
        how: how its models are trained, on what, for the page.
        settings: tuple of `Setting`, the most telling first.
        methods: dict of names and `studies.Method`s, or names of built-in ones.
        core: names of methods that are played first, for all seeds, so that there is
            soon something to read; the others follow.
        epochs: of each run.
        seeds: how many; they are 0, 1, 2 and so on.
        fit: dict of arguments of `fit`.
        metric: what counts.
        mode: "min" or "max".
    """

    name: str
    title: str
    how: str
    settings: tuple
    methods: dict
    core: tuple
    epochs: int
    seeds: int
    fit: dict
    metric: str
    mode: str


SPARSITIES = (0.3, 0.6, 0.95)
NARROW = (0.6, 0.95)
DIGITS_EPOCHS = 21  # of about 30 steps, see `digits.data`
DIGITS_EVERY = 20  # steps between updates of moving masks: 22 of them or more


def _narrow(make, weights, width, sparsities):
    """Returns dense models by name, with as many weights as sparse ones keep."""

    def narrower(sparsity):
        kept = (1 - sparsity) * weights(width)
        return min(range(1, width + 1), key=lambda one: abs(weights(one) - kept))

    return {
        f"narrow-{sparsity}": functools.partial(make, narrower(sparsity))
        for sparsity in sparsities
    }


def _regimes():
    inner = {"exclude": "first|logits"}  # the first and the last layer stay dense
    methods: dict = {name: name for name in CONTROLS}
    methods["early_stopping"] = plans.early_stopping(DIGITS_EPOCHS)
    for sparsity in SPARSITIES:
        for family in ("dsd", "restart"):
            methods[f"{family}-{sparsity}"] = f"{family}-{sparsity}"
        for family in ("static", "set", "rigl"):
            methods[f"{family}-{sparsity}"] = plans.moving(
                DIGITS_EPOCHS, family, sparsity, DIGITS_EVERY
            )
    methods["dsd-0.6-inner"] = studies.Method(
        phases=phases.dsd(DIGITS_EPOCHS, 0.6), wrap=inner
    )
    methods["rigl-0.6-inner"] = plans.moving(
        DIGITS_EPOCHS, "rigl", 0.6, DIGITS_EVERY, wrap=inner
    )
    # Where a large mask helps: the mask, the return or the new draw?
    methods["dsd-0.95-kept"] = studies.Method(
        phases=plans.kept(phases.dsd(DIGITS_EPOCHS, 0.95))
    )
    restart = phases.restart(DIGITS_EPOCHS, 0.95)
    methods["restart-0.95-kept"] = studies.Method(phases=plans.kept(restart))
    methods["restart-0.95-zero"] = studies.Method(phases=plans.from_zero(restart))
    return Part(
        name="regimes",
        title="Perceptrons with two hidden layers, and a small CNN: width, number of "
        "examples, share of wrong labels, sparsity",
        how=f"{DIGITS_EPOCHS} epochs of {digits.AN_EPOCH['digits']} items or more (of "
        f"CIFAR-10 {digits.AN_EPOCH['cifar']}), so that few examples are seen several "
        "times in one; SGD 0.05, momentum 0.9, batches of 32. CIFAR-10 is shrunk to 8 "
        "x 8 pixels, as digits are. Each seed draws its training items and their wrong "
        f"labels, {digits.HELD_OUT} validation items and {digits.TESTED['digits']} "
        f"({digits.TESTED['cifar']}) test items; 1000 examples of digits leave none "
        f"over. Noise is normal, its deviation {digits.NOISE['digits']} "
        f"({digits.NOISE['cifar']}) of the pixels' range",
        settings=(*_perceptrons(), *_cnns()),
        methods=methods,
        core=(*CORE, "dsd-0.3", "dsd-0.6", "static-0.3", "rigl-0.3"),
        epochs=DIGITS_EPOCHS,
        seeds=12,
        fit={"batch_size": 32},
        metric="accuracy",
        mode="max",
    )


def _perceptrons():
    # The first is the setting that was measured before; then its neighbours.
    grid = [
        ("digits", 512, 300, 0.2),
        ("digits", 512, 300, 0.0),
        ("digits", 512, 300, 0.4),
        ("digits", 64, 300, 0.2),
        ("digits", 512, 1000, 0.2),
        ("digits", 64, 1000, 0.0),
        ("cifar", 512, 1000, 0.0),
        ("cifar", 512, 1000, 0.4),
        ("cifar", 64, 1000, 0.0),
    ]
    for pack, width, examples, wrong in grid:
        make = functools.partial(digits.build, pack)
        yield Setting(
            name=f"{pack}-{width}-{examples}-{round(100 * wrong)}",
            build=functools.partial(make, width),
            data=functools.partial(digits.data, pack, examples, wrong),
            narrow=_narrow(
                make, functools.partial(digits.weights, pack), width, NARROW
            ),
            needs=("cifar10_jpeg",) if pack == "cifar" else (),
        )


def _cnns():
    for examples, wrong in ((300, 0.2), (1000, 0.0)):
        yield Setting(
            name=f"cnn-32-{examples}-{round(100 * wrong)}",
            build=functools.partial(digits.build_cnn, 32),
            data=functools.partial(digits.data, "digits", examples, wrong),
            narrow=_narrow(digits.build_cnn, digits.weights_of_cnn, 32, NARROW),
        )


def _language():
    methods: dict = {name: name for name in CONTROLS}
    methods["early_stopping"] = plans.early_stopping(language.EPOCHS)
    for name in ("dsd-0.3", "dsd-0.5", "dsd-0.8", "dsdsd-0.5", "acdc-0.8"):
        methods[name] = name
    methods["restart-0.5"] = "restart-0.5"
    # The control of `dsdsd`: the same two drops of the rate.
    methods["lowered_twice"] = studies.Method(
        phases=as_dense(phases.dsd(language.EPOCHS, cycles=2))
    )
    methods["dsd-0.8-kept"] = studies.Method(
        phases=plans.kept(phases.dsd(language.EPOCHS, 0.8))
    )
    return Part(
        name="language",
        title=f"An LSTM of {language.UNITS} units that predicts the next character of "
        "Shakespeare",
        how=f"{language.EPOCHS} epochs of {language.STEPS} batches of 32 sequences of "
        f"{language.LENGTH} characters; Adam 0.003. Each seed draws which stretch of "
        "the text trains; validation and test text are the same for all",
        settings=tuple(
            Setting(
                name=f"lstm-{characters // 1000}k-dropout{round(100 * dropout)}",
                build=functools.partial(language.build, dropout),
                data=functools.partial(language.data, characters),
                needs=("text_shakespeare",),
            )
            for characters, dropout in (
                (20_000, 0.0),
                (20_000, 0.3),
                (200_000, 0.0),
                (200_000, 0.3),
            )
        ),
        methods=methods,
        core=(*CORE, "dsd-0.3", "dsd-0.8", "acdc-0.8", "restart-0.5"),
        epochs=language.EPOCHS,
        seeds=9,
        fit={"batch_size": 32},
        metric="bits",
        mode="min",
    )


def _speech():
    methods: dict = {name: name for name in CONTROLS}
    sparsities = (0.3, 0.5, 0.7)
    for sparsity in sparsities:
        methods[f"dsd-{sparsity}"] = f"dsd-{sparsity}"
        for family in ("static", "rigl"):
            methods[f"{family}-{sparsity}"] = plans.moving(
                speech.EPOCHS, family, sparsity, 50
            )
    methods["dsd-0.5-inner"] = studies.Method(
        phases=phases.dsd(speech.EPOCHS, 0.5), wrap={"exclude": "first|logits"}
    )
    return Part(
        name="speech",
        title="A 1-D CNN of 64 channels, and a bidirectional GRU of two layers of 48 "
        "units, on spoken digits: 400 of five speakers train, "
        "the sixth, unheard, tests; each seed holds out the next speaker",
        how=f"{speech.EPOCHS} epochs of {speech.TRAINED} recordings, batches of 32; "
        "the CNN by SGD 0.05, momentum 0.9, the GRU by Adam 0.002. Each seed draws "
        f"training recordings and {speech.HELD_OUT} to validate, and tests on all of "
        f"one speaker's: there are {speech.SPEAKERS}, so seeds share them. Noise is "
        f"white, its deviation {speech.NOISE} of a recording's",
        settings=(
            Setting(
                name="cnn-400",
                build=functools.partial(speech.build, 64),
                data=speech.data,
                narrow=_narrow(speech.build, speech.weights, 64, sparsities),
                needs=("speech_fsdd",),
            ),
            Setting(
                name="gru-400",
                build=functools.partial(speech.build_gru, 48),
                data=speech.data,
                narrow=_narrow(speech.build_gru, speech.weights_of_gru, 48, sparsities),
                needs=("speech_fsdd",),
            ),
        ),
        methods=methods,
        core=(*CORE, "dsd-0.5", "static-0.3", "rigl-0.3"),
        epochs=speech.EPOCHS,
        seeds=12,
        fit={"batch_size": 32},
        metric="accuracy",
        mode="max",
    )


def all_parts():
    """Returns {name: `Part`}."""
    return {part.name: part for part in (_regimes(), _language(), _speech())}


def missing_packs(part, data, only=""):
    """Returns the files that a part needs and a folder of data lacks."""
    wanted = {
        file
        for setting in part.settings
        if only in setting.name
        for pack in setting.needs
        for file in packs.files(pack)
    }
    return sorted(file for file in wanted if not (pathlib.Path(data) / file).exists())
