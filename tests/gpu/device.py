"""The device that the backend computes on: its name, its memory, how fast it copies."""

import contextlib
import gc
import importlib.metadata
import statistics
import tempfile
import time

import keras
from keras import ops

import keras_dsd
from tests.benchmarks import mask_update
from tests.benchmarks.mask_update import wait

BACKEND = keras.backend.backend()
_PACKAGES = (
    "jaxlib",
    "jax-cuda12-pjrt",
    "jax-cuda13-pjrt",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
    "numpy",
)


def about():
    """Returns what this ran on, as a dict."""
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    if BACKEND == "torch":
        import torch

        versions["cuda"] = torch.version.cuda
        versions["cudnn"] = torch.backends.cudnn.version()
    own = {"keras_dsd": keras_dsd.__version__, "backend": BACKEND, "device": name()}
    return {**mask_update.machine(), **versions, **own}


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


def cpu():
    """Returns a context in which the CPU computes."""
    return keras.device("cpu:0")


@contextlib.contextmanager
def programs_kept():
    """Compiles no program of JAX's twice: many of the trainings to compare are alike.

    So `first_s` of a mask update need not contain the time to compile.
    """
    if BACKEND != "jax":
        yield
        return
    import jax

    with tempfile.TemporaryDirectory() as folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
        try:
            yield
        finally:
            jax.config.update("jax_compilation_cache_dir", None)


@contextlib.contextmanager
def cudnn_repeats():
    """Lets convolutions of PyTorch's give the same bits again, within."""
    if BACKEND != "torch":
        yield
        return
    import torch

    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


def clear():
    """Forgets the models that were, so that the next have their memory."""
    keras.backend.clear_session()
    gc.collect()
    if BACKEND == "torch":
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def copied_a_second(entries):
    """Returns the bytes a second that adding 1 to float32 entries reads and writes."""
    if BACKEND == "jax":
        import jax

        add = jax.jit(lambda x: x + 1)
    else:
        add = lambda x: x + 1  # noqa: E731 (as above, op by op)
    values, seconds = ops.zeros((entries,), "float32"), []
    for turn in range(12):
        start = time.perf_counter()
        wait([add(values)])
        if turn > 1:
            seconds.append(time.perf_counter() - start)
    return 8 * entries / statistics.median(seconds)


def peak_bytes():
    """Returns the most memory that this process held there, or `None` on a CPU."""
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
