"""Phases: what a training run does when, as a list of small frozen values.

A phase says what holds for some epochs (`timeline` finds the phase of an epoch).
"""

from keras_dsd.training.phases.base import Phase
from keras_dsd.training.phases.dense import Dense, Redense
from keras_dsd.training.phases.plateau import Plateau
from keras_dsd.training.phases.recipes import acdc, dsd, dst, recipe, restart
from keras_dsd.training.phases.sparse import Sparse

__all__ = [
    "Dense",
    "Phase",
    "Plateau",
    "Redense",
    "Sparse",
    "acdc",
    "dsd",
    "dst",
    "recipe",
    "restart",
]
