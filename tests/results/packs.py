"""Packs of data: `NAME.npz` and the `load_NAME.py` beside it, in some folder.

They are no part of the project. Knows files.
"""

import importlib.util
import pathlib


def load(folder, name, *arguments):
    """Returns what the loader of a pack returns.

    Raises:
        FileNotFoundError: the pack is not in the folder.
    """
    folder = pathlib.Path(folder)
    pack, loader = folder / f"{name}.npz", folder / f"load_{name}.py"
    for file in (pack, loader):
        if not file.exists():
            raise FileNotFoundError(
                f"This part needs {name}.npz and load_{name}.py in a folder that "
                f"`--data` names. Received: {str(folder)!r}"
            )
    spec = importlib.util.spec_from_file_location(f"load_{name}", loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load(pack, *arguments)


def with_noisy(clean, noisy, labels):
    """Returns test data: clean items, which weigh 1, then noisy ones, which weigh 0.

    So weighted metrics are those of clean items, and predicted classes are of both.
    """
    import numpy as np

    x = np.concatenate([clean, noisy]).astype("float32")
    weights = np.concatenate([np.ones(len(labels)), np.zeros(len(labels))])
    return x, np.concatenate([labels, labels]), weights.astype("float32")
