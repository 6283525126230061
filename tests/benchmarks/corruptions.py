"""What corrupting images costs: `python -m tests.benchmarks.corruptions`.

Ours beside `imagecorruptions` (the package `imagecorruptions-imaug`, which takes one
image at a time), with the strengths of large images, which are the only ones it has.
Both in turns in one run, for timings of a shared machine drift; read the ratios. Ours
gets all images as one array and uses all cores, as `corrupt` does for a user.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
import warnings

import imagecorruptions
import numpy as np

from keras_dsd import robustness
from tests.benchmarks.mask_update import _processor
from tests.robustness import scene

FAMILIES = ("noise", "blur", "weather", "digital", "extra")
SEVERITIES = range(1, 6)


def pictures(count, size):
    """Returns different images of a drawn scene, uint8."""
    frames = scene.conveyor(size, frames=min(count, 64))
    turned = np.concatenate([frames, frames[:, :, ::-1]])
    return turned[np.arange(count) % len(turned)].copy()


def ours(images, name, severity):
    robustness.corrupt(images, name, severity, constants="imagenet")


def theirs(images, name, severity):
    for image in images:
        imagecorruptions.corrupt(image, severity, name)


def compare(name, images, few, rounds):
    """Returns microseconds an image: {"ours": [of each round], "theirs": [...]}."""
    subjects = {"ours": (ours, images), "theirs": (theirs, few)}
    taken: dict = {subject: [] for subject in subjects}
    for function, _ in subjects.values():
        function(images[:2], name, 1)
    for _ in range(rounds):
        for subject, (function, given) in subjects.items():
            start = time.perf_counter()
            for severity in SEVERITIES:
                function(given, name, severity)
            elapsed = time.perf_counter() - start
            taken[subject].append(elapsed / len(given) / len(SEVERITIES) * 1e6)
    return taken


def row(name, taken):
    """Prints a row; returns medians and the ratio, of medians."""
    medians = {subject: statistics.median(values) for subject, values in taken.items()}
    ratio = medians["theirs"] / medians["ours"]
    cells = "".join(
        f"{medians[subject]:10.1f} {f'({min(values):.0f} to {max(values):.0f})':>18}"
        for subject, values in taken.items()
    )
    print(f"{name:18}{cells}{ratio:8.1f}", flush=True)
    return {f"{subject}_us": value for subject, value in medians.items()} | {
        "ratio": ratio
    }


def machine():
    """Returns where this ran, as a dict."""
    packages = ("numpy", "scipy", "opencv-python-headless", "imagecorruptions-imaug")
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--size", type=int, default=32, choices=(32, 224))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # Of spatter without a drop: it divides by zero.
    warnings.filterwarnings("ignore", module="imagecorruptions")

    about = machine()
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    images = pictures(options.images, options.size)
    few = images[: max(1, options.images // 10)]  # theirs takes long
    print(
        f"{len(images)} images of {options.size} pixels; theirs {len(few)}; "
        "all five severities;\n"
        "microseconds an image: medians of interleaved rounds (least to most)\n"
        f"{'':18}{'ours':>10}{'':19}{'theirs':>10}{'':19}{'ratio':>8}"
    )
    names = [name for family in FAMILIES for name in robustness.names(family)]
    results, rounds = {}, []
    for name in names:
        taken = compare(name, images, few, options.rounds)
        rounds.append(taken)
        results[name] = row(name, taken)
    total = {
        subject: [
            sum(values)
            for values in zip(*(taken[subject] for taken in rounds), strict=True)
        ]
        for subject in ("ours", "theirs")
    }
    results["total"] = row("total", total)
    slower = [name for name in names if results[name]["ratio"] < 1]
    print(f"slower than theirs: {', '.join(slower) or 'none'}")
    without = [name for name in names if name != "frost"]
    ratio = sum(results[n]["theirs_us"] for n in without) / sum(
        results[n]["ours_us"] for n in without
    )
    results["total_without_frost"] = {"ratio": ratio}
    print(f"without frost, of which theirs reads a file for every image: {ratio:.1f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"about": about, "size": options.size, **results}, file, indent=1)


if __name__ == "__main__":
    main()
