"""What every folder may use: checks, configs, files, Keras's private names."""

__all__ = [
    "checks",
    "config",
    "directions",
    "extras",
    "files",
    "keras_private",
    "mask_log",
    "paths",
    "registration",
    "scopes",
    "table_files",
]
