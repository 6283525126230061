"""Regrowth: which connections go and which come while a model trains sparse.

A method says so of one weight tensor at a time; `training.drop_and_grow` asks it and
moves the connections.
"""

from keras_dsd.regrowth import lookup
from keras_dsd.regrowth.base import Connections, Counts, Regrowth
from keras_dsd.regrowth.lookup import get
from keras_dsd.regrowth.methods import MEST, SET, SNFS, GraNet, RigL, Static

__all__ = [
    "MEST",
    "SET",
    "SNFS",
    "Connections",
    "Counts",
    "GraNet",
    "Regrowth",
    "RigL",
    "Static",
    "get",
    "lookup",
]
