"""Frozen dataclasses that Keras can save: their fields are their config.

Knows Keras's serialization only.
"""

import dataclasses

import keras


def serializable(cls):
    """Registers a class under the package's name, so that files can name it."""
    return keras.saving.register_keras_serializable(package="keras_dsd")(cls)


@dataclasses.dataclass(frozen=True)
class Config:
    """Lets a frozen dataclass be saved."""

    def get_config(self):
        """Returns the arguments of the constructor, as Keras stores them."""
        return {
            field.name: keras.saving.serialize_keras_object(getattr(self, field.name))
            for field in dataclasses.fields(self)
        }

    @classmethod
    def from_config(cls, config):
        """Returns the object that `get_config` described."""
        return cls(**keras.saving.deserialize_keras_object(config))
