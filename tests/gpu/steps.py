"""What a training step costs on the device: sparse and tracked against plain.

Each step is given the same batch, which lies on the device. Ten steps are timed at
once, until their loss has come back to the host: so all that they launched is done.
"""

import contextlib
import functools
import statistics
import time

import keras
import numpy as np
from keras import ops

from tests.benchmarks import models, step_cost, turns
from tests.gpu import device, launches

LARGE = ("transformer100m", "resnet50")  # these fill a device; batches of the others
SMALL = ("cnn", "mlp", "transformer", "lstm", "mlp128")  # are small, so launches show
ROUNDS = 9
SECONDS = 45  # after which no round of a model is begun, once there are three


class Batches(keras.utils.PyDataset):
    """An epoch of the same batch."""

    def __init__(self, model, batch, steps=models.BATCHES):
        super().__init__()
        rng = np.random.default_rng(0)
        shape = (batch, *model.input_shape[1:])
        self._batch = tuple(
            ops.convert_to_tensor(rng.standard_normal(one, dtype="float32"))
            for one in (shape, (batch, 10))
        )
        self._steps = steps

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        return self._batch


def items(tiny, data):
    """Returns [(model and optimizer, function that measures its steps)]."""
    large, small = ((models.TINY,), ()) if tiny else (LARGE, SMALL)
    counted = models.TINY if tiny else "transformer"
    rounds = 2 if tiny else ROUNDS
    kinds = ("plain", "sparse") if tiny else ("plain", "sparse", "tracked")
    return [
        *((f"{name}, Adam", functools.partial(ratios, name, rounds)) for name in large),
        (f"launches, {counted}", functools.partial(launched, counted, kinds)),
        *((f"{name}, Adam", functools.partial(ratios, name, rounds)) for name in small),
    ]


@contextlib.contextmanager
def precision(name):
    """Large models compute in bfloat16, as one trains them; the tiny one shows it."""
    policy = "float32" if name in SMALL else "mixed_bfloat16"
    keras.config.set_dtype_policy(policy)
    try:
        yield policy
    finally:
        keras.config.set_dtype_policy("float32")


def ratios(name, rounds):
    """Returns milliseconds of a plain step, and quartiles of ratios to it."""
    kinds = ("plain", "control", "sparse", "tracked")
    if name in SMALL:
        kinds = (*kinds, "dense")
    trains = turns.Fits if device.BACKEND == "torch" else turns.Training
    trainings = {}
    with contextlib.ExitStack() as stack, precision(name) as policy:
        for kind in kinds:
            model, batch, callbacks = step_cost.prepared(name, "Adam", kind, "auto")
            epoch = Batches(model, batch)
            trainings[kind] = trains(model, epoch, None, None, callbacks)
            stack.callback(trainings[kind].stop)
        until = time.monotonic() + SECONDS
        seconds = turns.measure(trainings, rounds, until=until)
    plain = seconds["plain"]
    return {
        "policy": policy,
        "batch": batch,
        "weights": model.count_params(),
        "rounds": len(plain),
        "plain_ms": 1e3 * statistics.median(plain) / models.BATCHES,
        **{kind: turns.ratios(seconds[kind], plain) for kind in kinds[1:]},
    }


def launched(name, kinds):
    """Returns {kind: what one of its steps launches}."""
    found = {}
    for kind in kinds:
        model, batch, callbacks = step_cost.prepared(name, "Adam", kind, "auto")
        counting = launches.OfSteps(3, 7)
        epoch = Batches(model, batch)
        model.fit(epoch, epochs=1, verbose=0, callbacks=[*callbacks, counting])
        found[kind] = counting.found
    return found
