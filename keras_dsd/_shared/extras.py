"""What to install where packages of an extra are missing, said in one way.

Imports the standard library only, for it is asked before anything else is imported.
"""

import importlib.util

# {extra: {module: the package that has it}}, as in pyproject.toml.
EXTRAS = {
    "datasets": {
        "importlib_resources": "importlib-resources",
        "tensorflow_datasets": "tensorflow-datasets",
    },
    "demo": {
        "cloudpickle": "cloudpickle",
        "filelock": "filelock",
        "matplotlib": "matplotlib",
        "rich": "rich",
        "scipy": "scipy",
        "sklearn": "scikit-learn",
    },
    "litert": {"ai_edge_litert": "ai-edge-litert"},
    "onnx": {"onnx": "onnx", "onnxruntime": "onnxruntime", "tf2onnx": "tf2onnx"},
    "reports": {"babel": "babel", "jinja2": "jinja2", "matplotlib": "matplotlib"},
    "robustness": {
        "cv2": "opencv-python-headless",
        "matplotlib": "matplotlib",
        "PIL": "pillow",
        "rich": "rich",
        "scipy": "scipy",
    },
    "tune": {"optuna": "optuna"},
    "studies": {
        "cloudpickle": "cloudpickle",
        "filelock": "filelock",
        "matplotlib": "matplotlib",
        "rich": "rich",
        "scipy": "scipy",
    },
    "yaml": {"yaml": "pyyaml"},
}


class MissingExtra(ImportError):
    """Packages of an extra are not installed."""


def require(extra, *modules, needed_by="this command"):
    """Checks that the packages of an extra can be imported, before the work begins.

    Args:
        extra: the name of the extra, a key of `EXTRAS`.
        *modules: those of its modules that are needed. Defaults to all.
        needed_by: what needs them, in words.

    Raises:
        MissingExtra: some can't be imported; the message is one line that says how to
            get them.

    >>> from keras_dsd._shared import extras
    >>> extras.require("demo", "rich")
    """
    packages = EXTRAS[extra]
    missing = [
        packages[module]
        for module in modules or packages
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise MissingExtra(
            f"{', '.join(missing)} not found. Install what {needed_by} needs: "
            f"pip install {' '.join(missing)}"
        )
