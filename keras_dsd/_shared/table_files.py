"""Files that a user writes: tables in TOML, YAML or JSON.

Knows files only; imports what reads them when it does.
"""

import json
import tomllib

from keras_dsd._shared import extras

SUFFIXES = (".toml", ".yaml", ".yml")


def read(path, otherwise):
    """Returns what a TOML, YAML or JSON file holds, which its ending tells.

    Args:
        path: a `pathlib.Path`.
        otherwise: first words of the error where it can't be read so.

    Raises:
        OSError: there is no such file.
        ValueError: it holds something else.
    """
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix not in SUFFIXES:
            return json.loads(text)
        extras.require("yaml", needed_by="a file in YAML")
        import yaml

        return yaml.safe_load(text)
    except extras.MissingExtra:
        raise
    except Exception as error:
        # PyYAML's errors share no class with tomllib's, and go over several lines.
        said = " ".join(str(error).split())
        raise ValueError(f"{otherwise} ({said}). Received: {path}") from error
