"""What studies need besides the library: asked before anything of them is imported."""

from keras_dsd._shared import extras

extras.require("studies", needed_by="`keras_dsd.studies`")
