"""What only a device can show, in minutes: `python -m tests.gpu --out gpu.json`.

In one process, in order of worth: whether the promises hold there (`promises`), what a
training step costs (`steps`), a mask update (`updates`), what masks do to a convolution
network's accuracy (`effect`), memory (`memory`). Each part prints as it ends and is
written at once. `--dry-run` does all of it with tiny sizes, also without a device.

To a machine without a network, which has Python 3.11 or newer and JAX or PyTorch for
its device, bring this checkout and the wheels of keras, wrapt and h5py, with what Keras
needs: absl-py, ml-dtypes, namex, numpy, optree, packaging and rich with its own.
TensorFlow is not needed there. In the checkout:

    pip install --no-index --no-deps wheels/*.whl
    KERAS_BACKEND=jax python -m tests.gpu --out jax.json
    KERAS_BACKEND=torch python -m tests.gpu --out torch.json
"""

import argparse
import json
import pathlib
import time
import traceback

from tests.gpu import device, effect, memory, promises, steps, updates

PARTS = {
    "promises": promises.run,
    "steps": steps.run,
    "updates": updates.run,
    "effect": effect.run,
    "memory": memory.run,
}


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", metavar="FILE", help="write the numbers there, as JSON"
    )
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes")
    parser.add_argument(
        "--minutes", type=float, default=8, help="begin no part after (default: 8)"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()

    start = time.monotonic()
    found = {"device": device.about()}
    print(found["device"], flush=True)
    failed = False
    for name in options.parts:
        left = 60 * options.minutes - (time.monotonic() - start)
        if left <= 0:
            print(f"{name}: no time left", flush=True)
            continue
        began = time.monotonic()
        try:
            found[name] = PARTS[name](tiny=options.dry_run, seconds=left)
        except Exception:  # the next part may work
            failed = True
            found[name] = {"error": traceback.format_exc()}
            print(found[name]["error"], flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        if options.out:
            pathlib.Path(options.out).write_text(json.dumps(found, indent=1))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
