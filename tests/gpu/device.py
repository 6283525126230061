"""The device that the backend computes on, its memory, and its CPU for comparison."""

import contextlib

import keras

from tests.benchmarks import mask_update

BACKEND = keras.backend.backend()


def about():
    """Returns what this ran on, as a dict."""
    return {**mask_update.machine(), "device": name()}


def name():
    """Returns the name of the device, say "NVIDIA H200", or "cpu"."""
    if BACKEND == "jax":
        import jax

        return jax.devices()[0].device_kind
    if BACKEND == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if not found:
        return "cpu"
    return tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU")


@contextlib.contextmanager
def cpu():
    """Computes on the CPU within."""
    with keras.device("cpu:0"):
        yield


def peak_bytes():
    """Returns the most memory that was held on the device, or `None` on a CPU."""
    if BACKEND == "jax":
        import jax

        stats = jax.devices()[0].memory_stats() or {}
        return stats.get("peak_bytes_in_use")
    if BACKEND == "torch":
        import torch

        cuda = torch.cuda
        return cuda.max_memory_allocated() if cuda.is_available() else None
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def forget_peak():
    """Begins to measure the most memory anew, where the backend can."""
    if BACKEND == "torch":
        import torch

        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            tf.config.experimental.reset_memory_stats("GPU:0")
