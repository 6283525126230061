"""A training step under TensorFlow Model Optimization, in a process of its own.

It needs Keras 2 (tf_keras), chosen by an environment variable before TensorFlow is
imported. The process trains a plain or a pruned model for an epoch whenever it is told
to, and answers with the seconds it took.
"""

import contextlib
import os
import subprocess
import sys
import time

KINDS = ("tf_keras", "tfmot")


@contextlib.contextmanager
def worker(model, optimizer, jit_compile):
    """Yields {kind: function that trains for an epoch and returns the seconds}.

    Empty where TFMOT is not installed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, model, optimizer, str(int(jit_compile))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TF_USE_LEGACY_KERAS": "1"},
    )

    def ask(kind):
        process.stdin.write(kind + "\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    with process:
        ready = process.stdout.readline().strip() == "ready"
        yield {kind: lambda kind=kind: ask(kind) for kind in KINDS} if ready else {}
        process.stdin.close()


def main():
    try:
        import tf_keras as keras
        from tensorflow_model_optimization.sparsity import keras as sparsity
    except ImportError:
        sys.exit(1)
    from tests.benchmarks.models import build, data

    name, optimizer, jit_compile = sys.argv[1:]

    def prunable(layer):
        # TFMOT refuses layers that it does not know, attention for one.
        kinds = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.LSTM)
        if not isinstance(layer, kinds):
            return layer
        # One update of the masks, in the first step: that is measured elsewhere.
        schedule = sparsity.ConstantSparsity(0.5, 0, frequency=10**6)
        return sparsity.prune_low_magnitude(layer, pruning_schedule=schedule)

    cases = {}
    for kind in KINDS:
        model, batch = build(keras, name)
        callbacks = []
        if kind == "tfmot":
            model = keras.models.clone_model(model, clone_function=prunable)
            callbacks.append(sparsity.UpdatePruningStep())
        rule = keras.optimizers.Adam()
        if optimizer != "Adam":
            rule = keras.optimizers.SGD(0.01, momentum=0.9)
        model.compile(rule, "mse", jit_compile=jit_compile == "1")
        x, y = data(model, batch)
        cases[kind] = model, x, y, batch, callbacks

    class Timer(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 0:
                self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.start)

    print("ready", flush=True)
    for line in sys.stdin:
        seconds: list = []
        model, x, y, batch, callbacks = cases[line.strip()]
        model.fit(
            x,
            y,
            batch_size=batch,
            callbacks=[Timer(), *callbacks],
            verbose=0,
        )
        print(seconds[-1], flush=True)


if __name__ == "__main__":
    main()
