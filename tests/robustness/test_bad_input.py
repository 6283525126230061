"""Rule 12 for robustness: whatever is given, it returns or says what it got.

As `tests/rules/test_12_every_public_name.py`, with arguments that are right for these
names. Paths are left alone, for files would be written there.
"""

import inspect

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_dsd import robustness
from tests.rules.test_12_every_public_name import ANY

SKIPPED = {
    "RobustnessReport": "what `evaluate` makes",
    "STANDARD": "no function",
    "command": "for the command line, which has tests of its own",
}
PATHS = ("path", "paths", "folder", "data_dir")


def images():
    return np.linspace(0, 255, 2 * 8 * 8).reshape(2, 8, 8, 1).astype("uint8")


def network():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def measured():
    return {
        "model": network(),
        "x": images(),
        "y": np.array([0, 1]),
        "metric": "accuracy",
        "preprocess": None,
        "batch_size": 2,
        "progress": False,
    }


def attacked():
    return {
        "model": network(),
        "x": images(),
        "y": np.array([0, 1]),
        "epsilon": 0.1,
        "loss": None,
        "preprocess": None,
    }


VALID = {
    "contact_sheet": lambda: {
        "image": images()[0],
        "names": ["fog"],
        "severities": [1],
        "seed": 0,
    },
    "corrupt": lambda: {
        "images": images(),
        "name": "fog",
        "severity": 3,
        "seed": 0,
        "constants": "cifar",
        "first_index": 0,
    },
    "evaluate": lambda: {
        **measured(),
        "corruptions": ["fog"],
        "severities": [1],
        "mode": "auto",
        "baseline": None,
        "seed": 0,
        "constants": "auto",
    },
    "fgsm": attacked,
    "fourier_sensitivity": lambda: {**measured(), "norm": 1.0, "reach": 1, "seed": 0},
    "names": lambda: {"family": "noise"},
    "npy_set": lambda: {"clean": (images(), [0, 1])},
    "pgd": lambda: {**attacked(), "steps": 2, "seed": 0, "first_index": 0},
    "plot_fourier_sensitivity": lambda: {"sensitivity": np.zeros((3, 3))},
    "plot_gain": lambda: {"gain": {"fog": 0.1}},
    "plot_radius_accuracy": lambda: {"curves": {"a": {0: 0.1, 1: 0.2}}},
    "published_set": lambda: {"name": "mnist_corrupted", "clean": None},
    "radius_accuracy": lambda: {**measured(), "radii": [1], "keep": "low"},
    "register": lambda: {
        "name": "one's own",
        "function": lambda image, severity, rng: image,
        "family": "custom",
    },
    "use_frost_photos": lambda: {"paths": None},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("set")
    np.save(made / "fog.npy", np.zeros((10, 8, 8, 1), "uint8"))
    np.save(made / "labels.npy", np.zeros(10))
    return made


def call(name, arguments, folder):
    if name == "npy_set":
        arguments = {"folder": folder} | arguments
    return getattr(robustness, name)(**arguments)


def test_the_table_has_every_name_and_every_argument():
    assert set(robustness.__all__) == VALID.keys() | SKIPPED.keys()
    for name, make in VALID.items():
        arguments = inspect.signature(getattr(robustness, name)).parameters
        assert set(arguments) - set(PATHS) == set(make()) - set(PATHS), name


@pytest.mark.parametrize("name", VALID)
def test_what_is_right_is_taken(name, folder):
    call(name, VALID[name](), folder)


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", [n for n in VALID if n != "use_frost_photos"])
def test_anything_else_is_taken_or_refused(name, folder, data):
    arguments = VALID[name]()
    chosen = st.lists(st.sampled_from(sorted(arguments)), min_size=1, max_size=2)
    drawn = {key: data.draw(ANY) for key in sorted(set(data.draw(chosen)))}
    drawn = {key: one() if callable(one) else one for key, one in drawn.items()}
    arguments |= drawn
    if name in ("fourier_sensitivity", "radius_accuracy", "evaluate"):
        arguments["progress"] = False  # or the bar would be shown
    try:
        call(name, arguments, folder)
    except (TypeError, ValueError) as error:
        # Of a function that it was given, its own errors pass through.
        assert "Received: " in str(error) or any(map(callable, drawn.values()))
