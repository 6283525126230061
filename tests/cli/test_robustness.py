"""`keras-dsd robustness`, before it works; its work is in tests/robustness."""

import sys

from keras_dsd import cli


def test_robustness_says_which_packages_it_lacks(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cv2", None)  # as if it were not installed
    assert cli.main(["robustness", "model.keras", "--data", "x.npz"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("keras-dsd: opencv-python-headless not found")
    assert "pip install opencv-python-headless" in error
