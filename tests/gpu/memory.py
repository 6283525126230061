"""The most memory that training holds on the device, against plain training.

Each kind in a process of its own: what JAX held before can't be forgotten. JAX must not
take all memory at once there, for the process that asks holds most of it.
"""

import functools
import json
import os
import subprocess
import sys

from tests.benchmarks import memory

KINDS = ("plain", "sparse", "tracked", "dense")


def items(tiny, data):
    """Returns [(kind, function that returns its bytes)]."""
    kinds, side = (("sparse",), 64) if tiny else (KINDS, 8192)
    return [(kind, functools.partial(measured, kind, side)) for kind in kinds]


def measured(kind, side):
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.memory", kind, str(side)],
        capture_output=True,
        text=True,
        env={**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main():
    from tests.gpu import device

    kind, side = sys.argv[1], int(sys.argv[2])
    memory.SIDES = (side,) * 3
    weights, variables = memory.train(kind)
    found = {"weights": weights, "variables": variables, "peak": device.peak_bytes()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
