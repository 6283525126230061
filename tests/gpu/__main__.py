"""What only a device can show, in minutes: `python -m tests.gpu --out gpu.json`.

In one process, in order of worth: whether the promises hold there (`promises`), what a
training step costs (`steps`), a mask update (`updates`), what masks do to a convolution
network's accuracy (`effect`), memory (`memory`). Each part has its share of the time
and leaves the next what it does not need. Each line is printed and written at once, so
a process that is killed leaves all that it has measured; what fails or takes too long
takes nothing with it. `--dry-run` does all with tiny sizes, however long it takes, also
without a device.

A machine without a network needs Python 3.12 with JAX or PyTorch for its device. Where
there is a network, in the checkout, which then travels with the folder `wheels`:

    pip download -d wheels --python-version 3.12 --only-binary :all: --no-deps \\
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \\
        --platform manylinux2014_x86_64 --platform manylinux1_x86_64 \\
        keras h5py wrapt absl-py ml-dtypes namex numpy optree packaging rich \\
        pygments markdown-it-py mdurl typing-extensions pillow

And there, where TensorFlow is not needed:

    pip install --no-index --no-deps wheels/*.whl
    KERAS_BACKEND=jax python -m tests.gpu --out jax.json --data FOLDER
    KERAS_BACKEND=torch python -m tests.gpu --out torch.json --data FOLDER

`--data` names a folder with `cifar10_jpeg.npz` and `load_cifar10.py`; without it
pictures are drawn. Leave out the wheels of packages that the machine has: JAX and
PyTorch may want the versions that are there. Where time is short:
`--parts promises steps --minutes 4`.
"""

import argparse
import contextlib
import faulthandler
import json
import os
import pathlib
import signal
import time
import traceback

from tests.gpu import device, effect, memory, promises, steps, updates

PARTS = {
    "promises": promises,
    "steps": steps,
    "updates": updates,
    "effect": effect,
    "memory": memory,
}
SHARES = {"promises": 2, "steps": 2.5, "updates": 1.25, "effect": 1.5, "memory": 0.75}
GRACE = 60  # seconds, after which a process that hangs is ended


class OutOfTime(BaseException):
    """A part's share of the time is over; no `except Exception` keeps it."""


@contextlib.contextmanager
def at_most(seconds):
    """Raises `OutOfTime` after some seconds, as soon as Python is asked again."""

    def stop(*_):
        raise OutOfTime(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tried(function, seconds):
    """Returns what a function returns, a dict, or how it failed, and its seconds."""
    begun = time.monotonic()
    try:
        with at_most(seconds):
            found = function()
    except OutOfTime as error:
        found = {"late": str(error)}
    except Exception:  # what comes next may work
        found = {"error": traceback.format_exc()}
    device.clear()
    return {**found, "took_s": round(time.monotonic() - begun, 1)}


def play(parts, minutes, tell):
    """Does all items of all parts, as long as there is time.

    Args:
        parts: {name: list of (title, function that returns a dict)}.
        minutes: for all.
        tell: called with part, title and what was found.

    Returns:
        Whether none has failed.
    """
    begun, worked, used = time.monotonic(), True, 0.0
    total = sum(SHARES[name] for name in parts)
    for name, items in parts.items():
        used += SHARES[name]
        end = begun + 60 * minutes * used / total
        for number, (title, function) in enumerate(items):
            left = end - time.monotonic()
            if left < 1:
                tell(
                    name, "no time left for", {"items": [t for t, _ in items[number:]]}
                )
                break
            found = tried(function, left)
            worked = worked and "error" not in found
            tell(name, title, found)
    return worked


class Report:
    """Prints what is found, and writes it to a file each time.

    Args:
        file: its path, or `None`.
    """

    def __init__(self, file):
        self._file = pathlib.Path(file) if file else None
        self._found = {"device": device.about()}
        print(json.dumps(self._found["device"]), flush=True)

    def __call__(self, part, title, found):
        self._found.setdefault(part, {})[title] = found
        text = found.get("error") or json.dumps(_rounded(found))
        print(f"{part}: {title}: {text}", flush=True)
        if self._file:
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(self._found, indent=1))
            os.replace(new, self._file)


def _rounded(found):
    if isinstance(found, float):
        return float(f"{found:.4g}")
    if isinstance(found, dict):
        return {key: _rounded(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_rounded(value) for value in found]
    return found


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", metavar="FILE", help="write the numbers there, as JSON"
    )
    parser.add_argument("--dry-run", action="store_true", help="tiny sizes")
    parser.add_argument("--minutes", type=float, default=8, help="for all (default: 8)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--data", metavar="FOLDER", help="where CIFAR-10 lies")
    options = parser.parse_args()

    minutes = 60 if options.dry_run else options.minutes
    faulthandler.dump_traceback_later(60 * minutes + GRACE, exit=True)
    report = Report(options.out)
    parts = {
        name: PARTS[name].items(options.dry_run, options.data) for name in options.parts
    }
    with device.programs_kept():
        worked = play(parts, minutes, report)
    faulthandler.cancel_dump_traceback_later()
    return int(not worked)


if __name__ == "__main__":
    raise SystemExit(main())
