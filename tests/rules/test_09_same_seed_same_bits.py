"""Rule 9: the same seed gives the same bits, in any process, in any order of layers."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers

pytestmark = pytest.mark.portable

ROOT = pathlib.Path(__file__).parents[2]


def phases():
    return [
        dsd.phases.Sparse(1, sparsity=0.5, distribution="erk"),
        dsd.phases.Redense(1, restore="random"),
        dsd.phases.Sparse(2, sparsity=0.6, schedule="cubic", distribution="global"),
        dsd.phases.Redense(1, restore="random"),
        dsd.phases.Sparse(1, pattern="2:4"),
    ]


def train(seed=0, plan=None):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    model = dsd.make_prunable(helpers.mlp(inputs=12, units=8))
    # Ties, so that the order of equal weights is put to the test too.
    kernel = helpers.values([model.layers[0].kernel])[0]
    model.layers[0].kernel.assign(np.round(kernel * 4) / 4)
    model.compile("adam", "mse")
    x, y = helpers.data()
    plan = plan or phases()
    model.fit(
        x,
        y,
        batch_size=16,
        epochs=sum(phase.epochs for phase in plan),
        callbacks=[dsd.DSDCallback(plan, seed=seed, verbose=0)],
        verbose=0,
    )
    return model


TRAIN = """
import sys
import numpy as np
from tests import helpers
from tests.rules import test_09_same_seed_same_bits as here
model = here.train()
np.savez(sys.argv[1], *helpers.values([*model.variables, *model.optimizer.variables]))
print(hash("a string"))
"""


def test_two_processes(tmp_path):
    """Python salts the hashes of strings in each process; nothing may hang on them."""
    runs, salted = [], set()
    for number, salt in enumerate(["0", "12345"]):
        file = tmp_path / f"{number}.npz"
        done = subprocess.run(
            [sys.executable, "-c", TRAIN, str(file)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        salted.add(done.stdout)
        with np.load(file) as values:
            runs.append([values[name] for name in values.files])
    assert len(salted) == 2
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_twice_in_one_process_and_another_seed():
    one, again, other = train(0), train(0), train(1)
    for a, b in zip(one.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    )


def reborn(seed, times=1, number=0):
    """Returns what one weight's reborn come back with in the last `Redense`."""
    plan = [
        dsd.phases.Sparse(1, sparsity=0.5),
        dsd.phases.Redense(1, restore="random"),
    ] * times
    found = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            weight = conversion.pruned_weights(self.model)[number]
            found.append(helpers.values([weight.mask, weight.variable]))

    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(7)
    model = dsd.make_prunable(helpers.mlp(inputs=12, units=12, outputs=12))
    model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
    x, y = helpers.data(12, 12)
    dsd_ = dsd.DSDCallback(plan, seed=seed, verbose=0)
    callbacks = [Look(), dsd_, Look()]
    model.fit(x, y, epochs=len(plan), callbacks=callbacks, verbose=0)
    mask = found[-2][0]
    assert np.count_nonzero(~mask) == 72
    return found[-1][1][~mask]


def test_draws_differ_between_seeds_layers_and_updates():
    draws = {
        "first": reborn(0),
        "another seed": reborn(1),
        "another layer": reborn(0, number=1),
        "the second time": reborn(0, times=2),
    }
    np.testing.assert_array_equal(draws["first"], reborn(0))
    for one in draws:
        for other in draws:
            if one < other:
                assert not np.intersect1d(draws[one], draws[other]).size, (one, other)


def branches(order):
    """Returns a model of three equal branches, made and listed in the given order."""
    keras.utils.clear_session(free_memory=False)
    inputs = keras.Input((12,))
    made = {
        name: keras.layers.Dense(
            6, name=name, kernel_initializer=keras.initializers.RandomNormal(seed=3)
        )(inputs)
        for name in order
    }
    return keras.Model(inputs, keras.layers.Add()([made[name] for name in order]))


def test_the_order_of_layers_does_not_matter():
    results = []
    for order in ("abc", "cab"):
        model = dsd.make_prunable(branches(order))
        model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
        x, y = helpers.data(12, 6)
        plan = [
            dsd.phases.Sparse(1, sparsity=0.5),
            dsd.phases.Redense(1, restore="random"),
        ]
        callbacks = [dsd.DSDCallback(plan, verbose=0)]
        model.fit(x, y, epochs=2, callbacks=callbacks, verbose=0)
        weights = conversion.pruned_weights(model)
        assert [weight.path[0] for weight in weights] == list(order)
        results.append(
            {w.path: helpers.values([w.variable])[0] for w in weights},
        )
    one, other = results
    for path, value in one.items():
        np.testing.assert_array_equal(value, other[path], err_msg=path)
    assert not np.array_equal(one["a/kernel"], one["b/kernel"])


def test_nothing_is_drawn_from_the_global_generators():
    """What Keras and NumPy draw next is the same with pruning and without."""
    draws = []
    for plan in (phases(), None):
        model = helpers.mlp(units=8)
        keras.utils.set_random_seed(7)
        callbacks = []
        if plan:
            dsd.make_prunable(model)
            callbacks = [dsd.DSDCallback(plan, verbose=0)]
        model.compile("sgd", "mse", run_eagerly=True)
        x, y = helpers.data()
        model.fit(x, y, epochs=6, callbacks=callbacks, verbose=0)
        draws.append((np.random.random(), float(keras.random.normal((1,))[0])))
    assert draws[0] == draws[1]
