"""What masks do to a small residual network's accuracy, as many seeds as time allows.

On CIFAR-10 (10 000 pictures) where it is at hand, else on pictures that are drawn. All
methods begin with the same weights and get the same batches; "lowered" is the control
of DSD, the same drops of the rate without masks.
"""

import functools
import importlib.util

import keras
import numpy as np
from keras import layers

import keras_dsd as dsd
from tests.results import packs

SPARSITY = 0.5
SEEDS = 12
PACK = "cifar10_jpeg"


def drawn(count, side, seed, wrong=0.0):
    """Returns pictures of ten kinds of waves among others, and their classes.

    A class is two waves of some length, direction and colour; where they begin is
    chance, so that no pixel tells anything. Each picture has weaker waves of another
    class too, and noise.

    Args:
        count: how many.
        side: of a picture.
        seed: of the pictures, not of the classes.
        wrong: share of wrong labels.
    """
    classes = np.random.default_rng(0)
    waves = classes.uniform(0.3, 1.2, (10, 2, 1)) * _directions(classes, (10, 2))
    colours = classes.normal(size=(10, 2, 3))
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, count)
    places = np.stack(np.mgrid[:side, :side], -1).reshape(-1, 2)
    x = rng.normal(size=(count, len(places), 3))
    for kinds, strength in ((y, 0.5), ((y + rng.integers(1, 10, count)) % 10, 0.4)):
        phases = rng.uniform(0, 2 * np.pi, (count, 2, 1))
        heights = np.sin(waves[kinds] @ places.T + phases)
        x += strength * np.einsum("nwp,nwc->npc", heights, colours[kinds])
    labels = np.where(rng.random(count) < wrong, rng.integers(0, 10, count), y)
    return x.reshape(count, side, side, 3).astype("float32"), labels


def _directions(rng, shape):
    angles = rng.uniform(0, np.pi, shape)
    return np.stack([np.sin(angles), np.cos(angles)], -1)


def pictures(folder):
    """Returns train and test data: CIFAR-10 from a folder, or drawn."""
    if not folder:
        return drawn(6000, 32, 1, wrong=0.2), drawn(3000, 32, 2)
    parts = packs.load(folder, PACK)
    return [((x / 127.5 - 1).astype("float32"), y.astype("int32")) for x, y in parts]


def network(side, width, blocks):
    """Returns a residual network of some blocks, each twice as wide as the last."""
    inputs = keras.Input((side, side, 3))
    x = _normed(inputs, width, 1)
    for block in range(blocks):
        channels, strides = width * 2**block, 2 if block else 1
        y = _normed(_normed(x, channels, strides), channels, 1, activation=None)
        x = layers.Conv2D(channels, 1, strides=strides, use_bias=False)(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _normed(x, channels, strides, activation="relu"):
    x = layers.Conv2D(channels, 3, strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x)


def plans(epochs, every):
    """Returns {method: its phases}.

    Without `keras_dsd.studies`, which has them too but needs more packages.
    """
    dense_sparse_dense = dsd.phases.dsd(epochs, sparsity=SPARSITY)
    return {
        "conventional": [dsd.phases.Dense(epochs)],
        "lowered": [
            dsd.phases.Dense(phase.epochs, lr_factor=phase.lr_factor)
            for phase in dense_sparse_dense
        ],
        "dsd": dense_sparse_dense,
        "rigl": dsd.phases.dst(epochs, "rigl", SPARSITY, update_every=every),
        "static": dsd.phases.dst(epochs, "static", SPARSITY),
    }


class Study:
    """Runs of all methods, seed by seed.

    Args:
        data: function that returns train and test data, called once.
        width: of the network's first block.
        blocks: how many it has.
        epochs: of a run.
        every: steps between RigL's updates.
    """

    def __init__(self, data, width, blocks, epochs, every):
        self._data = functools.cache(data)
        self._size = width, blocks
        self.plans = plans(epochs, every)
        self._found: dict = {name: [] for name in self.plans}

    def run(self, name, seed):
        """Returns a run's accuracy; and what is known by now, as means of seeds."""
        train, test = self._data()
        plan = self.plans[name]
        keras.utils.set_random_seed(seed)
        model = network(train[0].shape[1], *self._size)
        dsd.make_prunable(model, track_gradients=name == "rigl")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        sgd = keras.optimizers.SGD(0.05, momentum=0.9)
        model.compile(sgd, loss, metrics=["accuracy"])
        model.fit(
            *train,
            batch_size=128,
            epochs=sum(phase.epochs for phase in plan),
            verbose=0,
            callbacks=[dsd.DSDCallback(plan, verbose=0)],
        )
        accuracy = model.evaluate(*test, batch_size=500, verbose=0, return_dict=True)
        self._found[name].append(accuracy["accuracy"])
        return {"accuracy": accuracy["accuracy"], **self._so_far(name)}

    def _so_far(self, name):
        own, lowered = self._found[name], self._found["lowered"]
        pairs = list(zip(own, lowered, strict=False))
        found = {"seeds": len(own), "mean": float(np.mean(own))}
        if pairs:
            gains = [one - other for one, other in pairs]
            found["over_lowered"] = float(np.mean(gains))
        if len(pairs) > 1:
            found["standard_error"] = float(np.std(gains, ddof=1) / len(gains) ** 0.5)
        return found


def items(tiny, data):
    """Returns [(method and seed, function that trains)]."""
    if tiny:
        make = lambda: (drawn(64, 8, 1), drawn(50, 8, 2))  # noqa: E731
        study, seeds, names = Study(make, 4, 1, 3, 1), 1, ("rigl",)
    else:
        has_data = data and importlib.util.find_spec("PIL")
        make = functools.partial(pictures, data if has_data else None)
        study, seeds = Study(make, 32, 3, 15, 20), SEEDS
        names = tuple(study.plans)
    what = "CIFAR-10" if not tiny and has_data else "drawn"
    return [
        (f"{what}, seed {seed}, {name}", functools.partial(study.run, name, seed))
        for seed in range(seeds)
        for name in names
    ]
