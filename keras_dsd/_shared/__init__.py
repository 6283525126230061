"""What every folder may use: checks of arguments, configs, Keras's private names."""

__all__ = [
    "checks",
    "config",
    "directions",
    "extras",
    "keras_private",
    "registration",
]
