"""The shared numeric cases, as test parameters, arrays and comparisons.

`params(rule)` parametrizes a test; where the file is absent (an installed package, a
bare clone) it gives one skipped parameter. `array` rebuilds what a case writes as a
list or as a recipe; `assert_mask` and `assert_weights` compare with what it expects,
written out or as a sha256.
"""

import functools
import hashlib
import json
import pathlib

import numpy as np
import pytest

PATH = pathlib.Path(__file__).parents[2] / "shared" / "reference_vectors.json"


@functools.cache
def _rules():
    return json.loads(PATH.read_text()) if PATH.exists() else None


def cases(rule):
    """Returns the list of cases of a rule; skips the test where there is no file."""
    if _rules() is None:
        pytest.skip(f"{PATH} is absent")
    return _rules()[rule]


def params(rule):
    """Returns what `pytest.mark.parametrize("case", ...)` takes: one case an entry."""
    if _rules() is None:
        absent = pytest.mark.skip(reason=f"{PATH} is absent")
        return [pytest.param(None, id="absent", marks=absent)]
    return [pytest.param(case, id=case["id"]) for case in cases(rule)]


def array(value, dtype=np.float32):
    """Returns the array that a case writes as nested lists or as a recipe.

    Weights are float32, masks int8 with 1 for a weight that survives. A recipe brings
    its own dtype; its sha256 is compared, so that a change of NumPy's random stream
    does not look like a change of the rule.
    """
    if not isinstance(value, dict):
        return np.array(value, dtype)
    rng = np.random.Generator(np.random.PCG64(value["seed"]))
    shape = value["shape"]
    if value["draw"] == "standard_normal":
        drawn = rng.standard_normal(shape, dtype=np.float32)
    elif value["draw"] == "integers":
        drawn = rng.integers(value["low"], value["high"], size=shape)
        drawn = drawn.astype(np.float32)
    elif value["draw"] == "exact_mask":
        drawn = rng.permutation(int(np.prod(shape))) < value["ones"]
        drawn = drawn.reshape(shape).astype(np.int8)
    else:
        raise ValueError(f"Unknown recipe. Received: draw={value['draw']!r}")
    assert _sha256(drawn) == value["sha256"], "NumPy's random stream has changed"
    return drawn


def mask_sha256(mask):
    """Returns the sha256 of a mask, packed to bits in C order."""
    return _sha256(np.packbits(np.asarray(mask).astype(np.uint8).ravel()))


def weights_sha256(weights):
    """Returns the sha256 of float32 weights; -0.0 counts as 0.0."""
    return _sha256(np.asarray(weights, np.float32) + np.float32(0.0))


def assert_mask(mask, expected):
    """Compares a mask with `expected["mask"]`, or its count and sha256."""
    mask = np.asarray(mask)
    if "mask" in expected:
        np.testing.assert_array_equal(
            mask.astype(np.int8), array(expected["mask"], np.int8)
        )
    else:
        assert mask.size - np.count_nonzero(mask) == expected["zeros"]
        assert mask_sha256(mask) == expected["mask_sha256"]


def assert_weights(weights, expected):
    """Compares new weights, bit for bit, with `expected`; pruned entries must be 0."""
    if "weights" in expected:
        np.testing.assert_array_equal(np.asarray(weights), array(expected["weights"]))
    else:
        assert weights_sha256(weights) == expected["weights_sha256"]


def _sha256(values):
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
