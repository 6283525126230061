"""Corruption robustness: what a model's accuracy is worth on a bad day's images.

`corrupt` makes bad images and videos of good ones. Needs the extra `robustness`.
"""

from keras_dsd.robustness.catalog import names, register
from keras_dsd.robustness.corrupting import corrupt

__all__ = ["corrupt", "names", "register"]
