"""One line a release, so that a slower release is seen.

`python -m tests.benchmarks.history` runs small versions of the benchmarks (some four
minutes; nothing else should run), appends a line of JSON to `history.jsonl` and sets
its ratios against the last line of the same backend and processor. All are ratios
within one run: machines differ, and drift.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import keras_dsd

FILE = pathlib.Path(__file__).with_name("history.jsonl")
SLOWER = 1.15  # what two runs of the same code seldom differ by
RUNS = {
    "step_cost": ["--models", "mlp", "lstm", "--rounds", "3"],
    "mask_update": ["--largest", str(4 * 10**6), "--rounds", "3"],
    "small_runs": ["--rounds", "2"],
}


def measured(name):
    """Returns the numbers of a benchmark, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "numbers.json")
        module = f"tests.benchmarks.{name}"
        command = [sys.executable, "-m", module, *RUNS[name], "--json", str(file)]
        subprocess.run(command, check=True)
        return json.loads(file.read_text())


def ratios(step_cost, mask_update, small_runs):
    """Returns {name: ratio}, the more the slower, of what benchmarks wrote."""
    found = {}
    for model, kinds in step_cost.items():
        for kind in ("dense", "sparse", "tracked") if model != "about" else ():
            found[f"{model} step, {kind}"] = kinds[kind][1]
    for title, numbers in mask_update.items():
        if title not in ("about", "sparsity"):
            found[f"{title}, passes"] = numbers["update_passes"]
            found[f"{title}, RigL"] = numbers["rigl_over_update"]
    for method in ("dsd", "rigl"):
        pairs = list(zip(small_runs[method], small_runs["plain"], strict=True))
        for title, fit in (("first", 0), ("third", -1)):
            ours, plain = (
                min(run["seconds"][fit] for run in side)
                for side in zip(*pairs, strict=True)
            )
            found[f"{title} small run, {method}"] = ours / plain
    return {name: round(value, 3) for name, value in found.items()}


def last(lines, line):
    """Returns the last of `lines` that the ratios of `line` can be set against."""
    same = ("backend", "processor")
    for other in reversed(lines):
        if all(other[key] == line[key] for key in same):
            return other
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dry-run", action="store_true", help="compare, and append nothing"
    )
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    numbers = {name: measured(name) for name in RUNS}
    about = numbers["mask_update"]["about"]
    line = {
        "version": keras_dsd.__version__,
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        **about,
        "ratios": ratios(**numbers),
    }
    lines = (
        [json.loads(one) for one in FILE.read_text().splitlines()]
        if FILE.exists()
        else []
    )
    before = last(lines, line)
    for name, ratio in line["ratios"].items():
        old = before and before["ratios"].get(name)
        mark = "  SLOWER" if old and ratio > old * SLOWER else ""
        print(f"{name:40} {ratio:7.2f}  before {old or '-'}{mark}")
    if not options.dry_run:
        with FILE.open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
