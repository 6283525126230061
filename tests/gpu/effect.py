"""What masks do to a convolution network's accuracy, seeds as many as time allows.

Pictures are drawn, of ten classes that differ by a pattern under noise: there is no
network to load others. DSD, RigL and conventional training with the same drops of the
rate, from the same weights on the same batches.
"""

import time

import keras
import numpy as np
from keras import layers

import keras_dsd as dsd
from keras_dsd.studies import methods

SPARSITY = 0.5


def pictures(count, side, seed):
    """Returns noisy pictures of ten patterns, and their classes."""
    patterns = np.random.default_rng(0).normal(size=(10, side, side, 3))
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, count)
    x = patterns[y] * rng.uniform(0.2, 0.6, (count, 1, 1, 1))
    shift = rng.integers(0, side, count)
    x = np.stack([np.roll(one, by, axis=1) for one, by in zip(x, shift, strict=True)])
    return (x + rng.normal(size=x.shape)).astype("float32"), y


def network(side, width):
    return keras.Sequential(
        [
            keras.Input((side, side, 3)),
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.Conv2D(width, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(2 * width, 3, padding="same", activation="relu"),
            layers.Conv2D(2 * width, 3, strides=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )


def accuracy(plan, seed, train, test, width):
    keras.utils.set_random_seed(seed)
    model = network(train[0].shape[1], width)
    callbacks = []
    if any(hasattr(phase, "sparsity") for phase in plan):
        dsd.make_prunable(model, track_gradients=methods.needs_gradients(plan))
    else:
        dsd.make_prunable(model)
    callbacks.append(dsd.DSDCallback(plan, verbose=0))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, metrics=["accuracy"])
    epochs = sum(phase.epochs for phase in plan)
    model.fit(*train, batch_size=128, epochs=epochs, verbose=0, callbacks=callbacks)
    return float(model.evaluate(*test, batch_size=512, verbose=0)[1])


def run(tiny, seconds):
    """Returns {method: accuracy of each seed}."""
    count, side, width, epochs = (64, 8, 4, 3) if tiny else (20_000, 32, 32, 12)
    train, test = pictures(count, side, 1), pictures(count // 2, side, 2)
    dsd_plan = dsd.phases.dsd(epochs, sparsity=SPARSITY)
    plans = {
        "lowered": methods.as_dense(dsd_plan),
        "dsd": dsd_plan,
        "rigl": dsd.phases.dst(epochs, "rigl", SPARSITY),
    }
    found: dict = {name: [] for name in plans}
    end, seed, longest = time.monotonic() + 0.8 * seconds, 0, 0.0
    while seed < (1 if tiny else 12) and time.monotonic() + longest < end:
        start = time.monotonic()
        for name, plan in plans.items():
            found[name].append(accuracy(plan, seed, train, test, width))
        longest, seed = time.monotonic() - start, seed + 1
    for name, values in found.items():
        mean = np.mean(values) if values else float("nan")
        print(f"  {name}: {mean:.4f} over {len(values)} seeds", flush=True)
    return found
