"""Packs of data: `NAME.npz` and the loader beside it, `load_NAME.py`, in some folder.

They are no part of the project. Knows files.
"""

import importlib.util
import pathlib

LOADERS = {"cifar10_jpeg": "load_cifar10.py"}  # the others are named after the pack


def files(name):
    """Returns the names of a pack's two files: the data, and the loader."""
    return f"{name}.npz", LOADERS.get(name, f"load_{name}.py")


def load(folder, name, *arguments):
    """Returns what the loader of a pack returns.

    Raises:
        FileNotFoundError: the pack is not in the folder.
    """
    folder = pathlib.Path(folder)
    pack, loader = (folder / file for file in files(name))
    for file in (pack, loader):
        if not file.exists():
            raise FileNotFoundError(
                f"This part needs {file.name} in the folder that `--data` names. "
                f"Received: {str(folder)!r}"
            )
    spec = importlib.util.spec_from_file_location(loader.stem, loader)
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
