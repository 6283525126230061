"""Lets Keras find the package's classes in saved files before they are imported.

`import keras_dsd` imports neither Keras nor the files that define what Keras saves, yet
`keras.saving.load_model` must read files with prunable layers after it. So a name for
each such class goes into Keras's public registry: at once if Keras is imported, else
when it has been (the post-import hook of PEP 369, by wrapt, which TensorFlow needs as
well). What stands behind a name imports its file when it is first used, and that file
then registers the class itself. Nothing of the package is imported while Keras is:
threads that import both never wait for each other in a circle.
"""

import importlib
import pkgutil

import wrapt

# {file: what it registers}; a test holds it against what the files really register.
REGISTERED = {
    "keras_dsd.analysis.recording.snapshot_callback": ("Snapshots",),
    "keras_dsd.layers.prunable": ("Prunable",),
    "keras_dsd.optimizers.learning_rates": ("PhaseLearningRate",),
    "keras_dsd.regrowth.methods": ("GraNet", "MEST", "RigL", "SET", "SNFS", "Static"),
    "keras_dsd.sparsity.distributions": ("PerLayer", "er", "erk", "global_", "uniform"),
    "keras_dsd.sparsity.patterns": ("Block", "NM", "Unstructured"),
    "keras_dsd.sparsity.schedules": (
        "Constant",
        "Cosine",
        "Cubic",
        "Linear",
        "OneShot",
    ),
    "keras_dsd.training.phases": ("Dense", "Plateau", "Redense", "Sparse"),
}


class Later:
    """A registered class or function that is imported when it is first used.

    Args:
        place: where it is, as `pkgutil.resolve_name` takes it, say `"module:Class"`.
    """

    def __init__(self, place):
        self._place = place

    def __getattr__(self, name):
        if name == "_place":  # in a copy that is being made
            raise AttributeError(name)
        return getattr(pkgutil.resolve_name(self._place), name)

    def __call__(self, *args, **kwargs):
        """Calls what it stands for."""
        return pkgutil.resolve_name(self._place)(*args, **kwargs)

    def __repr__(self):
        return f"<{self._place}, not imported yet>"


def register_when_keras_is_imported():
    """Registers the names: now if Keras is imported, else after it has been."""
    wrapt.register_post_import_hook(_register, "keras")


def _register(keras):
    # Another thread may be importing it still; the thread that calls this as the last
    # step of its own import does not wait for itself.
    importlib.import_module("keras")
    known = keras.saving.get_custom_objects()
    for file, names in REGISTERED.items():
        for name in names:
            known.setdefault(f"keras_dsd>{name}", Later(f"{file}:{name}"))
