"""The demo's data: scikit-learn's handwritten digits, split once and for all."""

import dataclasses

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@dataclasses.dataclass(frozen=True)
class Digits:
    """Pictures of 8x8 in [0, 1], float32 with one channel, and the digits they show."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def digits():
    """Returns the digits in two halves, every digit as frequent in both.

    Half is for the test, as in scikit-learn's own example: the more test pictures, the
    finer an accuracy can be measured.
    """
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32").reshape(-1, 8, 8, 1)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.5, stratify=y, random_state=0
    )
    return Digits(x_train, y_train, x_test, y_test)
