"""Trainings that take turns, an epoch each, so that what drifts hits all alike.

Timings of a shared machine drift by more than what is to be measured, and a `fit` of
its own for each turn would trace anew. So each training is one `fit` in a thread of its
own, which waits at the beginning of every epoch until it is told to go on; only one
runs at a time. On PyTorch, which traces nothing, each turn is a `fit` in the main
thread: there memory comes from elsewhere, which makes a difference.
"""

import contextlib
import functools
import math
import queue
import random
import statistics
import threading
import time
import warnings

import keras


class Training:
    """One `fit`, an epoch at a time.

    Args:
        model: a compiled model.
        x: inputs of an epoch.
        y: targets of an epoch.
        batch: size of a batch.
        callbacks: list of callbacks.
        epochs: how many there are. Defaults to more than anybody waits for.
        whole: whether what callbacks do at the ends of an epoch counts as time. The
            making of iterators never does: TensorFlow may wait for seconds there, for a
            thread that tunes the old one.
    """

    def __init__(self, model, x, y, batch, callbacks=(), epochs=10**6, whole=False):
        self._orders: queue.Queue = queue.Queue()
        self._answers: queue.Queue = queue.Queue()
        turn = _Turn(self._orders, self._answers, whole)
        around = [_End(turn)] if whole else []
        self._thread = threading.Thread(
            target=self._fit,
            args=(model, x, y),
            kwargs={
                "batch_size": batch,
                "epochs": epochs,
                "callbacks": [turn, *callbacks, *around],
            },
            daemon=True,
        )
        self._thread.start()

    def _fit(self, model, x, y, **options):
        try:
            model.fit(x, y, verbose=0, shuffle=False, **options)
        except BaseException as error:  # handed to who waits
            self._answers.put(error)

    def __call__(self):
        """Trains for an epoch; returns the seconds that it took."""
        self._orders.put("go on")
        answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def stop(self):
        """Ends the `fit`."""
        self._orders.put("stop")
        self._thread.join()


class Fits:
    """A training in the main thread, a `fit` for each epoch; arguments of `Training`.

    Only the steps count as time.
    """

    def __init__(self, model, x, y, batch, callbacks=()):
        self._clock = _Clock()
        self._epoch = 0
        self._fit = functools.partial(
            model.fit,
            x,
            y,
            batch_size=batch,
            verbose=0,
            shuffle=False,
            callbacks=[self._clock, *callbacks],
        )

    def __call__(self):
        """Trains for an epoch; returns the seconds that it took."""
        with warnings.catch_warnings():
            # Each `fit` ends long before the phases do.
            warnings.filterwarnings("ignore", "`fit` ends with epoch")
            self._fit(initial_epoch=self._epoch, epochs=self._epoch + 1)
        self._epoch += 1
        return self._clock.seconds

    def stop(self):
        """Nothing waits."""


class _Clock(keras.callbacks.Callback):
    """Times from the first step until all metrics are there; listed first."""

    seconds = _start = 0.0

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self._start


class _Turn(_Clock):
    """Waits for its turn; times from the first step until all metrics are there.

    Listed first, so that no other callback's work at the ends of an epoch counts, but
    for what `_End` adds.
    """

    def __init__(self, orders, answers, whole):
        super().__init__()
        self._orders, self._answers, self._whole = orders, answers, whole
        self._begun = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        if self._orders.get() == "stop":
            raise _Stop
        self._start = time.perf_counter()

    def has_begun(self):
        """Counts what the other callbacks have done at the epoch's begin."""
        self._begun = time.perf_counter() - self._start

    def on_epoch_end(self, epoch, logs=None):
        if not self._whole:
            self.answer()

    def answer(self):
        """Tells how long the epoch took."""
        self._answers.put(self._begun + time.perf_counter() - self._start)


class _End(keras.callbacks.Callback):
    """Lets the turn count what the other callbacks do: listed last."""

    def __init__(self, turn):
        super().__init__()
        self._turn = turn

    def on_epoch_begin(self, epoch, logs=None):
        self._turn.has_begun()

    def on_epoch_end(self, epoch, logs=None):
        self._turn.answer()


class _Stop(Exception):
    pass


def measure(turns, rounds, warm_up=2, until=math.inf):
    """Returns {name: seconds of each round}; in each round the order is another.

    Args:
        turns: {name: function that returns the seconds it took}.
        rounds: how many count.
        warm_up: how many rounds before them do not, for they trace.
        until: when, by `time.monotonic`, no more is begun if three count. Defaults to
            never.
    """
    seconds: dict = {name: [] for name in turns}
    rng = random.Random(0)
    for number in range(warm_up + rounds):
        if number >= warm_up + 3 and time.monotonic() > until:
            break
        for name in rng.sample(list(turns), len(turns)):
            taken = turns[name]()
            if number >= warm_up:
                seconds[name].append(taken)
    return seconds


def ratios(seconds, base):
    """Returns quartiles of the ratios of rounds: (first, median, third)."""
    found = [one / other for one, other in zip(seconds, base, strict=True)]
    return tuple(statistics.quantiles(found, n=4))


@contextlib.contextmanager
def stopping(trainings):
    """Stops all trainings at the end."""
    try:
        yield trainings
    finally:
        for training in trainings:
            training.stop()
