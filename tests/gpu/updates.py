"""What a mask update costs on the device, against the bytes that it has to move."""

import functools
import itertools
import math
import statistics

from tests.benchmarks import mask_update
from tests.gpu import device, launches

# Sides of layers with 26 million, 100 million and 1 billion weights.
SIZES = {
    "26 M in one tensor": [5_100, 5_100],
    "100 M in one tensor": [10_000, 10_000],
    "26 M in 520 tensors": [224] * 521,
    "1 G in one tensor": [32_000, 32_000],
    "100 M in 100 tensors": [1_000] * 101,
    "1 G in 60 tensors": [4_096] * 61,
}
TINY = {"tiny": [20, 20, 20]}
# The least that an update has to move: a weight is read once to be ranked and once to
# be masked, and written; so are two slots of Adam; its mask is written, and what has
# lived (a byte each) is read and written.
BYTES = 4 + (4 + 4) + 2 * (4 + 4) + 1 + 2
# A copy of fewer entries would show the caches.
COPIED = 2**28


def items(tiny, data):
    """Returns [(size, function that measures updates of it)]."""
    rounds, copied = (2, 1000) if tiny else (7, COPIED)
    return [
        (title, functools.partial(measured, sides, rounds, copied))
        for title, sides in (TINY if tiny else SIZES).items()
    ]


def measured(sides, rounds, copied):
    """Returns quartiles of milliseconds, shares of the bandwidth, and launches."""
    copied_a_second = device.copied_a_second(copied)
    weights = mask_update.Pruned(sides)
    size = sum(math.prod(pair) for pair in itertools.pairwise(sides))
    steps = {
        "pass": weights.one_pass,
        "update": weights.update,
        "again": weights.again,
        "RigL": weights.rigl,
    }
    weights.update()
    weights.reset()
    weights.rigl()
    seconds = mask_update.measure(steps, weights.reset, rounds)
    found = {"entries": size, "copy_gigabytes_a_second": copied_a_second / 1e9}
    for name, values in seconds.items():
        quartiles = statistics.quantiles(values, n=4, method="inclusive")
        found[f"{name}_ms"] = [1e3 * quartile for quartile in quartiles]
    moved = size * BYTES / statistics.median(seconds["update"])
    found["update_share_of_copy"] = moved / copied_a_second
    for name in ("update", "RigL"):
        weights.reset()
        found[f"{name}_launches"] = launches.of(steps[name])
    return found
