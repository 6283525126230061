"""What holds for every model, whatever its layers: checked on one that a test makes.

Knows models and this package; knows no layer by name.
"""

import keras
import numpy as np

import keras_dsd as dsd
from keras_dsd.layers import conversion
from keras_dsd.sparsity import counts
from tests import helpers

SPARSITY = 0.5


class AtEpochEnd(keras.callbacks.Callback):
    """Keeps the values of the pruned weights at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_epoch_end(self, epoch, logs=None):
        pruned = conversion.pruned_weights(self.model)
        self.values.append(helpers.values([weight.variable for weight in pruned]))


def functional(layer, x):
    """Returns a model of one layer, called on the arrays `x` as positional inputs."""
    inputs = [keras.Input(one.shape[1:], dtype=one.dtype) for one in x]
    return keras.Model(inputs, layer(*inputs))


def predict(model, x):
    """Returns the outputs of one call, as a list of arrays."""
    return helpers.values(keras.tree.flatten(model(x, training=False)))


def assert_equal(these, those):
    for one, other in zip(these, those, strict=True):
        np.testing.assert_array_equal(one, other)


def own_weights(model):
    """Returns the weights of a model, none of what pruning adds."""
    added = {id(v) for state in conversion.states(model) for v in state.variables}
    return [weight for weight in model.weights if id(weight) not in added]


def outside(model):
    """Returns what a user sees of a plain model besides its values."""
    every = [(type(layer), layer.name) for layer in sublayers(model)]
    weights = [(weight.path, id(weight)) for weight in model.weights]
    return every, weights, model.get_config()


def sublayers(model):
    """Returns all layers of a model or layer, itself first."""
    return list(model._flatten_layers())


def fit(model, x, phases, **options):
    """Trains one step an epoch, towards noise; returns the values after each."""
    rng = np.random.default_rng(5)
    y = [rng.standard_normal(one.shape) for one in predict(model, x)]
    samples = len(y[0])
    y = y[0] if len(y) == 1 else y
    watch, ends = helpers.Watch(), AtEpochEnd()
    model.fit(
        x,
        y,
        epochs=sum(phase.epochs for phase in phases),
        batch_size=samples,
        callbacks=[dsd.DSDCallback(phases, verbose=0), watch, ends],
        verbose=0,
        **options,
    )
    assert watch.batches
    assert (watch.moved, watch.stale) == (0, 0)
    return ends.values


def check(model, x, *, wrap=None, path=None, **compile_options):
    """Wraps, prunes, trains, saves, loads, strips, trains dense; all must hold.

    Args:
        model: a built, plain Functional model.
        x: list of input arrays.
        wrap: function of the model that makes it prunable. Defaults to `None`: every
            weight that can be, by `make_prunable`.
        path: folder for a file of the wrapped model. Defaults to `None`: not saved.
        **compile_options: for `compile`.
    """
    before, outputs = outside(model), predict(model, x)
    if wrap:
        wrap(model)
    else:
        dsd.make_prunable(model, include=".")
    pruned = conversion.pruned_weights(model)
    assert pruned
    assert [(weight.path, id(weight)) for weight in own_weights(model)] == before[1]
    assert_equal(predict(model, x), outputs)

    model.compile(keras.optimizers.Adam(0.01), "mse", **compile_options)
    start = helpers.values([weight.variable for weight in pruned])
    sparse = dsd.phases.Sparse(2, sparsity=SPARSITY)
    first, second = fit(model, x, [sparse])
    masks = helpers.masks_of(model)
    for weight, mask, old, one, two in zip(
        pruned, masks, start, first, second, strict=True
    ):
        assert np.count_nonzero(~mask) == counts.zeros(mask.size, SPARSITY), weight.path
        assert not one[~mask].any() and not two[~mask].any(), weight.path
        assert (two[mask] != old[mask]).any(), f"{weight.path} was not trained"

    outputs = predict(model, x)
    if path is not None:
        model.save(path / "model.keras")
        loaded = keras.models.load_model(path / "model.keras")
        assert_equal(helpers.masks_of(loaded), masks)
        assert_equal(predict(dsd.strip(loaded), x), outputs)

    # Of this plan only the last two epochs: masks come off, what was 0 is trained.
    fit(model, x, [sparse, dsd.phases.Redense(2)], initial_epoch=2)
    for weight, mask in zip(pruned, masks, strict=True):
        back = helpers.values([weight.variable])[0][~mask]
        assert back.any() or not back.size, f"{weight.path} did not come back"
    if path is None:
        outputs = predict(model, x)
    assert dsd.strip(model) is model
    assert outside(model) == before
    if path is None:
        assert_equal(predict(model, x), outputs)
