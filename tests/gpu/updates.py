"""What a mask update costs on the device, against the bytes that it has to move."""

import itertools
import math

from tests.benchmarks import mask_update

# Sides of square kernels of 26 million, 100 million and 1 billion weights.
SIZES = {
    "26 M": (5_100, 5_100),
    "100 M": (4_096, 4_096, 4_096, 4_096, 4_096, 4_096, 4_096),
    "1 G": (16_384, 16_384, 16_384, 16_384, 16_384),
}
TINY = {"tiny": (60, 60)}
# A weight is read once to be ranked and once to be masked, and written; so is its mask
# (one byte), and two slots of Adam.
BYTES = 4 + (4 + 4) + 1 + 2 * (4 + 4)


def run(tiny, seconds):
    """Returns {size: times, and bytes moved by the fastest update a second}."""
    found = {}
    for title, sides in (TINY if tiny else SIZES).items():
        result = mask_update.compare(title, sides, 1 if tiny else 5)
        size = sum(math.prod(pair) for pair in itertools.pairwise(sides))
        result["gigabytes_a_second"] = size * BYTES / result["update_ms"] / 1e6
        print(f"  {result['gigabytes_a_second']:.0f} GB/s in the update", flush=True)
        found[title] = result
    return found
