"""The most memory that training holds on the device, against plain training."""

import keras
import numpy as np

import keras_dsd as dsd
from tests.gpu import device

KINDS = {
    "plain": None,
    "sparse": (lambda: [dsd.phases.Sparse(1, sparsity=0.5)], False),
    "tracked": (lambda: dsd.phases.dst(1, "rigl", 0.5), True),
}


def peak(kind, side):
    """Returns the bytes of one kind; the backends differ in what they count."""
    keras.backend.clear_session()
    device.forget_peak()
    model = keras.Sequential([keras.Input((side,))])
    for _ in range(3):
        model.add(keras.layers.Dense(side))
    callbacks = []
    if KINDS[kind]:
        plan, track = KINDS[kind]
        dsd.make_prunable(model, track_gradients=track)
        callbacks = [dsd.DSDCallback(plan(), verbose=0)]
    model.compile("adam", "mse")
    x = np.zeros((64, side), "float32")
    model.fit(x, x, verbose=0, callbacks=callbacks)
    return device.peak_bytes()


def run(tiny, seconds):
    """Returns {kind: bytes, or `None` on a CPU}.

    JAX can't begin to measure anew: its kinds go from the least to the most.
    """
    found = {kind: peak(kind, 64 if tiny else 4096) for kind in KINDS}
    for kind, value in found.items():
        print(f"  {kind}: {value if value is None else f'{value / 2**20:.0f} MiB'}")
    return found
