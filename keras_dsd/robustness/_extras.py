"""Says what to install, before the other files fail to import it."""

from keras_dsd._shared import extras

extras.require("robustness", needed_by="keras_dsd.robustness")
