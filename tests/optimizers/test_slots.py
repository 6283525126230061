"""Which of an optimizer's variables belong to a weight, and what they start with."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd.optimizers import slots as optimizer_slots
from tests import helpers


def built(optimizer, model):
    optimizer.build(model.trainable_variables)
    return optimizer


def names(slots):
    return sorted(slot.variable.name.rsplit("_", 1)[1] for slot in slots)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: keras.optimizers.SGD(), []),
        (lambda: keras.optimizers.SGD(momentum=0.9), ["momentum"]),
        (lambda: keras.optimizers.Adam(), ["momentum", "velocity"]),
        (lambda: keras.optimizers.Adam(use_ema=True), ["average", "momentum"]),
        (lambda: keras.optimizers.Ftrl(), ["accumulator", "linear"]),
    ],
)
def test_slots_of_known_optimizers(make, expected):
    model = helpers.mlp()
    kernel = model.layers[0].kernel
    (slots,) = optimizer_slots.find(built(make(), model), [kernel])
    assert set(expected) <= set(names(slots))
    assert bool(expected) == bool(slots)
    assert all(slot.variable.shape == kernel.shape for slot in slots)


@pytest.mark.parametrize("name", helpers.all_optimizers())
def test_fresh_values_are_those_of_a_real_new_optimizer(name):
    """Every per-weight variable is found, and only those."""
    make = helpers.all_optimizers()[name]
    model = helpers.mlp(inputs=12, units=16, outputs=4)
    optimizer = built(make(), model)
    kernels = [layer.kernel for layer in model.layers]
    found = optimizer_slots.find(optimizer, kernels)
    for kernel, slots in zip(kernels, found, strict=True):
        mine = kernel.path.replace("/", "_") + "_"
        own = [
            v
            for v in optimizer.variables
            if v.name.startswith(mine) and v.shape == kernel.shape
        ]
        assert {id(slot.variable) for slot in slots} == {id(v) for v in own}
        for slot in slots:
            value = helpers.values([slot.variable])[0]
            start = helpers.values([kernel])[0] if slot.fresh is None else slot.fresh
            np.testing.assert_array_equal(value, np.broadcast_to(start, value.shape))


def test_only_the_average_is_an_average():
    model = helpers.mlp()
    optimizer = built(keras.optimizers.Adam(use_ema=True), model)
    (slots,) = optimizer_slots.find(optimizer, [model.layers[0].kernel])
    assert [s.is_average for s in slots].count(True) == 1
    (average,) = (slot for slot in slots if slot.is_average)
    assert "average" in average.variable.name


def test_within_a_loss_scale_optimizer():
    model = helpers.mlp()
    inner = keras.optimizers.Adam(gradient_accumulation_steps=3)
    optimizer = built(keras.optimizers.LossScaleOptimizer(inner), model)
    (slots,) = optimizer_slots.find(optimizer, [model.layers[1].kernel])
    assert {"momentum", "velocity"} <= set(names(slots))
    assert optimizer_slots.leaves(optimizer) == [inner]
    assert optimizer_slots.accumulation(optimizer) == 3


class Net(keras.Model):
    """Layers that share a name, and so a path; any shape may come first."""

    def __init__(self, units):
        super().__init__(name="net")
        self.all = [layers.Dense(size, name="x") for size in units]

    def call(self, x):
        for layer in self.all:
            x = layer(x)
        return x


def momenta(optimizer, model):
    """Returns the momentum of each kernel, told apart by what was trained."""
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]
    named = [v for v in optimizer.variables if v.name.endswith("kernel_momentum")]
    assert len(kernels) == len(named)
    return dict(zip(map(id, kernels), named, strict=True))


@pytest.mark.parametrize("units", [(12, 12, 12), (8, 12, 12), (12, 12, 8), (12, 8, 8)])
@pytest.mark.parametrize("chosen", [[0], [1], [2], [0, 2], [2, 1], [0, 1, 2]])
def test_layers_that_share_a_path(units, chosen):
    """Each weight gets its own slots, whichever of the layers are asked about."""
    model = Net(units)
    model(np.ones((2, 12), "float32"))
    optimizer = built(keras.optimizers.SGD(momentum=0.9), model)
    expected = momenta(optimizer, model)
    kernels = [model.all[number].kernel for number in chosen]
    found = optimizer_slots.find(optimizer, kernels)
    for kernel, slots in zip(kernels, found, strict=True):
        assert [slot.variable is expected[id(kernel)] for slot in slots] == [True]


def test_paths_that_give_one_name():
    """a > b_c and a_b > c both make `a_b_c_kernel_momentum`."""
    inputs = keras.Input((6,))
    first = keras.Sequential([layers.Dense(6, name="b_c")], name="a")
    second = keras.Sequential([layers.Dense(6, name="c")], name="a_b")
    model = keras.Model(inputs, second(first(inputs)))
    optimizer = built(keras.optimizers.SGD(momentum=0.9), model)
    expected = momenta(optimizer, model)
    kernel = second.layers[0].kernel
    ((slot,),) = optimizer_slots.find(optimizer, [kernel])
    assert slot.variable is expected[id(kernel)]


def test_a_name_that_begins_like_a_slot():
    """The weight kernel_momentum of the layer is not the momentum of its kernel."""

    class Odd(layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(12, 4), name="kernel")
            self.other = self.add_weight(shape=(12, 4), name="kernel_momentum")

        def call(self, x):
            return keras.ops.matmul(x, self.kernel + self.other)

    model = keras.Sequential([keras.Input((12,)), Odd()])
    optimizer = built(keras.optimizers.SGD(momentum=0.9), model)
    expected = [v for v in optimizer.variables if v.shape == (12, 4)]
    found = optimizer_slots.find(optimizer, model.trainable_variables)
    for slots, variable in zip(found, expected, strict=True):
        assert [slot.variable is variable for slot in slots] == [True]


def test_training_two_layers_of_one_path():
    """In a real run too: what is pruned is fresh, what is not keeps its momentum."""
    model = Net((12, 12, 4))
    x, y = helpers.data()
    dsd.Prunable(model.all[1])
    model(x)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", run_eagerly=True)
    seen = []

    def look(epoch, logs):
        optimizer = model.optimizer
        if optimizer.built:
            expected = momenta(optimizer, model)
            kernels = [layer.kernel for layer in model.all]
            seen.append(helpers.values([expected[id(k)] for k in kernels]))

    look = keras.callbacks.LambdaCallback(on_epoch_begin=look)
    phases = [dsd.phases.Dense(1), dsd.phases.Sparse(1, sparsity=0.5)]
    callbacks = [look, dsd.DSDCallback(phases, verbose=0), look]
    model.fit(x, y, epochs=2, callbacks=callbacks, verbose=0)
    before, after = seen[-2:]
    mask = helpers.masks_of(model)[0]
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[2], before[2])
    np.testing.assert_array_equal(after[1][mask], before[1][mask])
    assert before[1][~mask].any() and not after[1][~mask].any()


def test_an_optimizer_that_can_not_be_made_again():
    class Stubborn(keras.optimizers.SGD):
        def __init__(self, secret, **kwargs):
            super().__init__(0.1, momentum=0.9, **kwargs)
            self.secret = secret

    model = helpers.mlp()
    optimizer = built(Stubborn(3), model)
    with pytest.raises(ValueError, match=r"Received: optimizer=.*Stubborn"):
        optimizer_slots.find(optimizer, [model.layers[0].kernel])


def test_a_weight_that_the_optimizer_does_not_train_has_none():
    model = helpers.mlp()
    other = helpers.mlp()
    optimizer = built(keras.optimizers.Adam(), model)
    assert optimizer_slots.find(optimizer, [other.layers[0].kernel]) == [[]]


NO_MOMENTUM = {"Adadelta", "Adafactor", "Adagrad", "Ftrl", "RMSprop", "SGD"}


@pytest.mark.parametrize("name", helpers.all_optimizers())
def test_momentum_of_every_optimizer(name):
    """Those without a coefficient have no slot to read either."""
    model = helpers.mlp()
    kernels = [layer.kernel for layer in model.layers]
    optimizer = built(helpers.all_optimizers()[name](), model)
    coefficient = optimizer_slots.momentum_coefficient(optimizer)
    if name in NO_MOMENTUM:
        assert coefficient is None
    else:
        assert coefficient == (0.95 if name == "Muon" else 0.9)
    # ScheduleFreeAdamW holds an average of weights in momentum's place.
    if name in {*NO_MOMENTUM, "ScheduleFreeAdamW"}:
        ending = rf"Received: optimizer={name}, .*{kernels[0].path}$"
        with pytest.raises(ValueError, match=ending):
            optimizer_slots.momenta(optimizer, kernels)
        return
    for kernel, slots in zip(
        kernels, optimizer_slots.momenta(optimizer, kernels), strict=True
    ):
        prefix = kernel.path.replace("/", "_") + "_"
        found = [slot.name.removeprefix(prefix) for slot in slots]
        assert found in (["momentum"], ["momentum", "velocity"])
        assert all(slot.shape == kernel.shape for slot in slots)
        # A velocity is what Adam's kind divides by; none of those may be missed.
        held = {v.name for v in optimizer.variables}
        assert (prefix + "velocity" in held) == ("velocity" in found)


@pytest.mark.parametrize("is_scaled", [False, True])
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: keras.optimizers.SGD(momentum=0.8, nesterov=True), 0.8),
        (lambda: keras.optimizers.RMSprop(momentum=0.5), 0.5),
        (lambda: keras.optimizers.Adam(beta_1=0.7), 0.7),
        (lambda: keras.optimizers.SGD(momentum=0.0), None),
        (lambda: keras.optimizers.RMSprop(momentum=0.0), None),
    ],
)
def test_momentum_as_it_was_set(make, expected, is_scaled):
    model = helpers.mlp()
    optimizer = make()
    if is_scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    assert optimizer_slots.momentum_coefficient(built(optimizer, model)) == expected
    kernel = model.layers[0].kernel
    if expected is None:
        with pytest.raises(ValueError, match="Received: optimizer="):
            optimizer_slots.momenta(optimizer, [kernel])
    else:
        ((momentum, *_),) = optimizer_slots.momenta(optimizer, [kernel])
        assert momentum.name.endswith("kernel_momentum")


@pytest.mark.parametrize("is_scaled", [False, True])
def test_what_an_optimizer_trains(is_scaled):
    """The variable itself counts: a frozen one may have the path of a trained one."""
    model = Net((12, 12, 12))
    model(np.ones((2, 12), "float32"))
    model.all[1].trainable = False
    kernels = [layer.kernel for layer in model.all]
    assert len({kernel.path for kernel in kernels}) == 1
    optimizer = keras.optimizers.Adam()
    if is_scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    built(optimizer, model)
    trained = [optimizer_slots.trains(optimizer, kernel) for kernel in kernels]
    assert trained == [True, False, True]
