"""The history of speed: its ratios, and the line that a new one is set against."""

import json

import pytest

from tests.benchmarks import history

pytestmark = pytest.mark.one_backend


def test_ratios_of_what_benchmarks_write():
    kinds = {kind: [1.0, 1.1, 1.2] for kind in ("dense", "sparse", "tracked")}
    runs = {
        method: [{"seconds": [seconds, 9, seconds / 2]}, {"seconds": [9, 9, 9]}]
        for method, seconds in (("plain", 2), ("dsd", 3), ("rigl", 4))
    }
    found = history.ratios(
        {"about": {}, "mlp sgd": {"plain_ms": 3, **kinds}},
        {
            "about": {},
            "sparsity": 0.5,
            "4 M": {"update_passes": 4, "rigl_over_update": 2},
        },
        runs,
    )
    assert found == {
        "mlp sgd step, dense": 1.1,
        "mlp sgd step, sparse": 1.1,
        "mlp sgd step, tracked": 1.1,
        "4 M, passes": 4,
        "4 M, RigL": 2,
        "first small run, dsd": 1.5,
        "third small run, dsd": 1.5,
        "first small run, rigl": 2.0,
        "third small run, rigl": 2.0,
    }


def test_a_line_is_set_against_the_last_of_its_kind():
    line = {"backend": "jax", "processor": "x"}
    lines = [
        line | {"version": "1"},
        line | {"version": "2"},
        line | {"backend": "torch"},
    ]
    assert history.last(lines, line)["version"] == "2"
    assert history.last(lines[2:], line) is None


def test_the_lines_that_are_kept_can_be_read():
    for line in history.FILE.read_text().splitlines():
        assert json.loads(line)["ratios"]
