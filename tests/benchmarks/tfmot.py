"""TensorFlow Model Optimization's mask update, measured in a process of its own.

It needs Keras 2 (tf_keras), chosen by an environment variable before TensorFlow is
imported. The process does one thing for each line that it reads and answers with the
seconds it took, so that another process can measure in turns with it.
"""

import contextlib
import os
import subprocess
import sys
import time


class Worker:
    """The other end: asks the process, returns seconds."""

    def __init__(self, process):
        self._process = process

    def _ask(self, what):
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def one_pass(self):
        return self._ask("pass")

    def update(self):
        return self._ask("update")


@contextlib.contextmanager
def worker(size, sparsity):
    """Yields a `Worker` for `size` weights, or None where TFMOT is not installed."""
    command = [sys.executable, "-m", "tests.benchmarks.tfmot", str(size), str(sparsity)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1"},
    )
    with process:
        ready = process.stdout.readline().strip() == "ready"
        yield Worker(process) if ready else None
        process.stdin.close()


def main():
    import numpy as np

    try:
        import tensorflow as tf
        from tensorflow_model_optimization.python.core.sparsity.keras import (
            pruning_impl,
            pruning_schedule,
        )
    except ImportError:
        sys.exit(1)

    size, sparsity = int(sys.argv[1]), float(sys.argv[2])
    value = np.random.default_rng(0).standard_normal(
        (size // 2000, 2000), dtype="float32"
    )
    weight, mask = tf.Variable(value), tf.Variable(tf.ones_like(value))
    step = tf.Variable(0, dtype=tf.int64)
    pruning = pruning_impl.Pruning(
        training_step_fn=lambda: step,
        pruning_vars=[(weight, mask, tf.Variable(0.0))],
        pruning_schedule=pruning_schedule.ConstantSparsity(sparsity, 0, frequency=1),
        block_size=(1, 1),
        block_pooling_type="AVG",
    )

    @tf.function
    def one_pass():
        return tf.reduce_max(tf.abs(weight))

    @tf.function
    def update():  # what the layer that TFMOT wraps does in a step that prunes
        with tf.control_dependencies([pruning.conditional_mask_update()]):
            pruning.weight_mask_op()

    print("ready", flush=True)
    for line in sys.stdin:
        weight.assign(value)
        start = time.perf_counter()
        if line.strip() == "pass":
            one_pass().numpy()
        else:
            update()
        seconds = time.perf_counter() - start
        if line.strip() == "update":  # checked before the other process goes on
            zeros = size - int(tf.math.count_nonzero(weight))
            assert zeros == round(sparsity * size), zeros
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
