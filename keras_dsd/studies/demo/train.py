"""One training of the demo, conventional or with DSD, all else being equal.

Both methods start from the same weights, see the same batches in the same order and
drop out the same units: every training begins with the same call that seeds all of
Keras, and neither method draws another random number. Both train at the same rate in
every epoch. The test set is looked at once, when training is over.
"""

import dataclasses
import statistics
import time

import keras
import numpy as np

from keras_dsd.analysis.sparsity import sparsity_report
from keras_dsd.layers import conversion
from keras_dsd.training import phases
from keras_dsd.training.callback import DSDCallback

BATCH_SIZE = 32
LEARNING_RATE = 0.05
MOMENTUM = 0.9
LR_FACTOR = 0.1  # of the last phase


@dataclasses.dataclass(frozen=True)
class Run:
    """What a training left.

    Args:
        seed: the seed of its weights, batches and dropout.
        method: "conventional" or "dsd".
        accuracy: the fraction of the test set that it gets right.
        seconds: how long `fit` took, tracing included.
        epoch_seconds: how long its median epoch took, which traces nothing.
        rates: the learning rate of each epoch.
        weights: {phase: {path: array}} of all kernels, as each phase left them.
        pruned: paths of the weights that DSD prunes; empty without DSD.
        model: the trained model, plain.
    """

    seed: int
    method: str
    accuracy: float
    seconds: float
    epoch_seconds: float
    rates: list
    weights: dict
    pruned: list
    model: keras.Model

    def sparsity_by_phase(self):
        """Returns {phase: fraction of zeros among the weights that DSD prunes}."""
        if not self.pruned:
            return {}
        return {
            phase: float(
                np.mean(
                    np.concatenate([kernels[path].ravel() == 0 for path in self.pruned])
                )
            )
            for phase, kernels in self.weights.items()
        }


@dataclasses.dataclass(frozen=True)
class Pair:
    """Both trainings of one seed.

    Args:
        conventional: the `Run` without DSD.
        dsd: the `Run` with it.
    """

    conventional: Run
    dsd: Run

    @property
    def seed(self):
        """The seed of both."""
        return self.dsd.seed


def network():
    """Returns a small CNN for the digits, untrained and not compiled."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2"),
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dropout(0.25, name="dropout"),
            keras.layers.Dense(64, activation="relu", name="hidden"),
            keras.layers.Dense(10, name="logits"),
        ],
        name="digits",
    )


def train(method, *, seed, digits, plan, tell=None):
    """Trains the network once and tests it.

    Args:
        method: "conventional" or "dsd".
        seed: integer; with it the initial weights, the order of the data and the
            dropout are settled.
        digits: a `data.Digits`.
        plan: list of the phases of DSD, as `phases.dsd` returns it. Conventional
            training has as many epochs, at the same rates.
        tell: called as each epoch begins with `seed`, `method`, the phase's name and
            the epoch, counted from 0. Defaults to `None`.

    Returns:
        A `Run`.
    """
    keras.utils.set_random_seed(seed)
    model = network()
    watch = _Watch(seed, method, plan, tell)
    if method == "dsd":
        model = conversion.make_prunable(model)
        player = DSDCallback(plan, verbose=0)
    else:
        player = _same_rates(plan)
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    start = time.perf_counter()
    model.fit(
        digits.x_train,
        digits.y_train,
        batch_size=BATCH_SIZE,
        epochs=sum(phase.epochs for phase in plan),
        callbacks=[player, watch],
        verbose=0,
    )
    seconds = time.perf_counter() - start
    pruned = []
    if method == "dsd":
        rows = sparsity_report(model).rows
        pruned = [row.path for row in rows if row.reason is None]
        model = conversion.strip(model)
    logits = model.predict(digits.x_test, verbose=0)
    return Run(
        seed=seed,
        method=method,
        accuracy=float(np.mean(logits.argmax(axis=1) == digits.y_test)),
        seconds=seconds,
        epoch_seconds=statistics.median(watch.seconds),
        rates=watch.rates,
        weights=watch.weights,
        pruned=pruned,
        model=model,
    )


def warm_up(digits):
    """Trains for a moment and forgets it.

    The first `fit` of a process pays for what the backend loads; without this the first
    method would seem slower.
    """
    plan = phases.dsd(3, sparsity=0.0)
    train("conventional", seed=0, digits=digits, plan=plan)


def _same_rates(plan):
    """Returns a plain Keras callback with the learning rates that DSD trains at."""
    drop = sum(phase.epochs for phase in plan[:-1])
    return keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: rate * LR_FACTOR if epoch == drop else rate
    )


class _Watch(keras.callbacks.Callback):
    """Keeps the rate and time of each epoch, and the kernels at the end of a phase."""

    def __init__(self, seed, method, plan, tell):
        super().__init__()
        self.seed, self.method, self.tell = seed, method, tell
        self.phase_of = [
            type(phase).__name__ for phase in plan for _ in range(phase.epochs)
        ]
        self.rates, self.seconds, self.weights = [], [], {}

    def on_epoch_begin(self, epoch, logs=None):
        if self.tell:
            self.tell(self.seed, self.method, self.phase_of[epoch], epoch)
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        self.rates.append(float(rate))
        if self.phase_of[epoch : epoch + 1] != self.phase_of[epoch + 1 : epoch + 2]:
            self.weights[self.phase_of[epoch]] = {
                weight.path: np.array(keras.ops.convert_to_numpy(weight))
                for weight in self.model.trainable_variables
                if len(weight.shape) >= 2
            }
