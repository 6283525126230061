"""The examples run as they are, and print what their text promises."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("sklearn")

ROOT = pathlib.Path(__file__).parents[1]


def output_of(example, folder):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / example],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def accuracy_in(output):
    return float(re.search(r"test accuracy: (\S+)", output).group(1))


def test_digits_dsd(tmp_path):
    output = output_of("digits_dsd.py", tmp_path)
    for number, name in enumerate(["Dense", "Sparse", "Redense"], start=1):
        assert f"DSD phase {number}/3: {name}" in output
    assert accuracy_in(output) > 0.95


def test_digits_dst(tmp_path):
    output = output_of("digits_dst.py", tmp_path)
    assert "DSD phase 1/1: Sparse, 15 epochs, sparsity 0.5, RigL" in output
    assert "sparsity, every 5th epoch: [0.5, 0.5, 0.5]" in output
    assert accuracy_in(output) > 0.93
    assert len((tmp_path / "digits_dst.jsonl").read_text().splitlines()) == 17


def test_by_hand(tmp_path):
    output = output_of("by_hand.py", tmp_path)
    assert "DSD phase 5/5: Redense" in output
    first, second = output.split("At the end of phase")[1:]
    for report, zeros in ((first, "29.99%"), (second, "50.00%")):
        line = re.search(r".*first/kernel.*", report).group()
        assert line.split() == [
            "sequential/first/kernel",
            "64x128",
            "phase",
            zeros,
            zeros,
        ]
        assert re.search(r"second/kernel +128x64 +70.00% +70.00% +70.00%", report)
        assert re.search(r"logits/kernel .* left out", report)
    assert accuracy_in(output) > 0.9


def test_custom_loop(tmp_path):
    output = output_of("custom_loop.py", tmp_path)
    assert "DSD phase 3/3: Redense" in output
    sparsity = re.findall(r"sparsity (\S+)\n", output)
    assert sparsity == ["0"] * 4 + ["0.5"] * 4 + ["0"] * 4
    assert accuracy_in(output) > 0.9


def test_digits_robustness(tmp_path):
    pytest.importorskip("cv2")
    output = output_of("digits_robustness.py", tmp_path)
    for name in ("gaussian_noise", "contrast", "lens_dirt", "dead_lines"):
        assert re.search(rf"^{name} +\w+( +[01]\.\d{{4}}){{6}} +\d", output, re.M), name
    assert re.search(r"Against the baseline: mCE \d+\.\d{3}, relative mCE", output)
    assert accuracy_in(output) > 0.93
    for picture in ("robustness", "gain", "frequencies"):
        assert (tmp_path / f"{picture}.png").exists()
