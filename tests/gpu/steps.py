"""What a training step costs on the device: sparse and tracked against plain."""

import keras

from tests.benchmarks import models, step_cost


def run(tiny, seconds):
    """Returns {model and optimizer: ratios}, as `tests.benchmarks.step_cost`."""
    names = (models.TINY,) if tiny else (*models.NAMES, *models.LARGE)
    found = {}
    for name in names:
        keras.config.set_dtype_policy(
            "mixed_bfloat16" if name in models.LARGE else "float32"
        )
        try:
            rounds = 2 if tiny else 5
            found[name] = step_cost.compare(name, "Adam", rounds, "auto")
        finally:
            keras.config.set_dtype_policy("float32")
    return found
