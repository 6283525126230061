"""Rule 12: bad input is refused before anything changes, with what was received."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, optimizers

import keras_dsd as dsd
from keras_dsd import distributions, masks, patterns, phases, schedules
from keras_dsd.layers import conversion
from tests import helpers


def refused(error, function, *args, words="", **kwargs):
    with pytest.raises(error) as caught:
        function(*args, **kwargs)
    message = str(caught.value)
    assert "Received: " in message
    assert words in message
    return message


@pytest.mark.parametrize("sparsity", [-0.1, 1, 1.0, 2, float("nan"), float("inf")])
def test_sparsity_out_of_range(sparsity):
    for call in (
        lambda: phases.Sparse(1, sparsity=sparsity),
        lambda: phases.dsd(3, sparsity=sparsity),
        lambda: dsd.Prunable(layers.Dense(4), sparsity=sparsity),
        lambda: dsd.make_prunable(helpers.mlp(), sparsity=sparsity),
        lambda: masks.magnitude(np.ones((2, 2)), sparsity),
        lambda: masks.global_magnitude([np.ones((2, 2))], sparsity),
        lambda: distributions.erk([(2, 2)], sparsity),
        lambda: schedules.Cubic(final=sparsity, end=4),
    ):
        refused(ValueError, call, words=repr(sparsity))


@pytest.mark.parametrize("sparsity", ["0.5", True, [0.5], 1j])
def test_sparsity_that_is_no_number(sparsity):
    for call in (
        lambda: phases.Sparse(1, sparsity=sparsity),
        lambda: dsd.Prunable(layers.Dense(4), sparsity=sparsity),
        lambda: dsd.make_prunable(helpers.mlp(), sparsity=sparsity),
        lambda: masks.magnitude(np.ones((2, 2)), sparsity),
    ):
        refused(TypeError, call, words=repr(sparsity))


def test_sparsity_that_is_missing():
    refused(ValueError, phases.Sparse, 3)


@pytest.mark.parametrize("phase", [phases.Dense, phases.Redense, phases.dsd])
@pytest.mark.parametrize("epochs", [0, -1, 1.5, "3", None, True])
def test_epochs(phase, epochs):
    error = ValueError if type(epochs) is int else TypeError
    refused(error, phase, epochs, words=repr(epochs))


def test_lists_of_phases():
    refused(ValueError, dsd.DSDCallback, [])
    refused(TypeError, dsd.DSDCallback, None)
    refused(TypeError, dsd.DSDCallback, [phases.Dense(1), "sparse"], words="'sparse'")
    refused(ValueError, dsd.DSDCallback, [phases.Dense(1), phases.Redense(1)])
    refused(TypeError, dsd.DSDCallback, [phases.Dense(1)], seed="a")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("schedule", "cubic"),
        ("distribution", "erk"),
        ("pattern", "2:4"),
    ],
)
def test_unknown_names_list_the_known(name, known):
    message = refused(ValueError, phases.Sparse, 1, sparsity=0.5, **{name: "nonsense"})
    assert known in message
    assert message.endswith(f"Received: {name}='nonsense'")


def test_unknown_restores_list_the_known():
    assert "rewind" in refused(ValueError, phases.Redense, 1, restore="none")


def test_contradictions():
    refused(ValueError, phases.Sparse, 1, sparsity=0.3, pattern="2:4")
    refused(ValueError, phases.Sparse, 1, pattern="2:4", schedule="cubic")
    refused(ValueError, phases.Sparse, 1, pattern="2:4", distribution="erk")
    refused(ValueError, phases.Sparse, 1, sparsity=0.3, update_every=10)
    other = schedules.Cubic(final=0.5, end=3)
    refused(ValueError, phases.Sparse, 1, sparsity=0.3, schedule=other)
    refused(ValueError, patterns.NM, 4, 2)
    refused(ValueError, phases.Dense, 1, lr_factor=0)
    refused(TypeError, phases.Dense, 1, lr_factor="low")
    refused(TypeError, phases.Dense, 1, until=3)
    refused(ValueError, phases.Plateau, patience=0)
    refused(ValueError, phases.Plateau, mode="up")


def test_layers_that_can_not_be_wrapped():
    refused(TypeError, dsd.Prunable, "dense")
    refused(TypeError, dsd.Prunable, layers.Dense)
    refused(ValueError, dsd.Prunable, layers.Dropout(0.5))
    refused(ValueError, dsd.Prunable, dsd.Prunable(layers.Dense(4)))
    refused(ValueError, dsd.Prunable, helpers.mlp(), words="make_prunable")
    refused(ValueError, dsd.Prunable, layers.Dense(4), pattern="5:4")


def state_of(model):
    """What must not change: classes, weights, paths, and what has been traced."""
    classes = [type(layer) for layer in model.layers]
    return classes, [weight.path for weight in model.weights], model.train_function


@pytest.mark.parametrize(
    "rules",
    [
        {"include": "nowhere"},
        {"exclude": ["dense", "nowhere"]},
        {"include": "("},
        {"include": 3},
        {"exclude": [3]},
        {"include": lambda weight: False},
        {"exclude": "kernel"},
        {"sparsity": 1.5},
    ],
)
def test_rules_that_mean_nothing_leave_the_model_alone(rules):
    model = helpers.mlp()
    before, values = state_of(model), helpers.values(model.weights)
    refused((TypeError, ValueError), dsd.make_prunable, model, **rules)
    assert state_of(model) == before
    for old, new in zip(values, helpers.values(model.weights), strict=True):
        np.testing.assert_array_equal(old, new)


def test_models_that_can_not_be_wrapped():
    refused(TypeError, dsd.make_prunable, "model")
    refused(TypeError, dsd.make_prunable, layers.Dense(4))
    empty = keras.Sequential([keras.Input((4,)), layers.ReLU()])
    refused(ValueError, dsd.make_prunable, empty)
    refused(ValueError, dsd.make_prunable, dsd.make_prunable(helpers.mlp()))
    unbuilt = keras.Sequential([layers.Dense(4)])
    refused(ValueError, dsd.make_prunable, unbuilt, include="dense")


def test_strip_and_report_of_what_was_never_wrapped():
    refused(ValueError, dsd.strip, helpers.mlp())
    refused(TypeError, dsd.strip, "model")
    refused(TypeError, dsd.sparsity_report, 3)
    refused(ValueError, dsd.sparsity_report, keras.Sequential([layers.Dense(3)]))


def fit(model, plan, epochs=None, optimizer="sgd", inputs=12):
    model.compile(optimizer, "mse")
    x, y = helpers.data(inputs)
    epochs = sum(phase.epochs for phase in plan) if epochs is None else epochs
    callback = dsd.DSDCallback(plan, verbose=0)
    return model.fit(x, y, epochs=epochs, verbose=0, callbacks=[callback])


def refused_by_fit(model, plan, optimizer="sgd", words="", inputs=12):
    before = helpers.values(model.trainable_variables)
    message = refused(
        ValueError, fit, model, plan, None, optimizer, inputs, words=words
    )
    for old, new in zip(before, helpers.values(model.trainable_variables), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any(state.in_force for state in conversion.states(model))
    return message


def test_a_model_without_prunable_layers():
    refused_by_fit(helpers.mlp(), phases.dsd(3), words="make_prunable")


def test_a_model_that_is_not_built():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras builds the model before callbacks on this backend")
    model = dsd.make_prunable(keras.Sequential([layers.Dense(4)]))
    refused(ValueError, fit, model, phases.dsd(3), words="Build the model")


@pytest.mark.parametrize("first", [phases.Dense(1), phases.Sparse(1, sparsity=0.1)])
def test_n_m_that_does_not_divide(first):
    model = dsd.make_prunable(helpers.mlp(inputs=10))
    plan = [first, phases.Sparse(1, pattern="2:4")]
    assert "dense/kernel" in refused_by_fit(model, plan, inputs=10)


def test_patterns_and_targets_that_contradict():
    model = dsd.make_prunable(helpers.mlp(), sparsity=0.25)
    refused_by_fit(model, [phases.Sparse(1, pattern="2:4")], words="dense/kernel")
    model = dsd.make_prunable(helpers.mlp())
    plan = [phases.Sparse(1, sparsity=0.5, pattern="2x2", distribution="global")]
    refused_by_fit(model, plan, words="/kernel")
    plan = [phases.Sparse(1, sparsity=0.5, distribution={"nowhere": 0.2})]
    refused_by_fit(model, plan, words="nowhere")
    plan = [phases.Sparse(1, sparsity=0.5, distribution=lambda *args: [0.5])]
    refused_by_fit(model, plan)


def test_a_rate_that_can_not_be_scaled():
    model = dsd.make_prunable(helpers.mlp())
    optimizer = optimizers.SGD(learning_rate=lambda: 0.1)
    refused_by_fit(model, phases.dsd(3), optimizer, words="learning_rate")
    fit(model, [phases.Sparse(1, sparsity=0.5)], optimizer=optimizer)


def test_a_ramp_without_an_end():
    model = dsd.make_prunable(helpers.mlp())
    model.compile("sgd", "mse")
    plan = [phases.Sparse(2, sparsity=0.5, schedule="cubic", update_every=2)]
    callback = dsd.DSDCallback(plan, verbose=0)

    class Endless(keras.utils.PyDataset):
        """Keras can't tell how long this is."""

        @property
        def num_batches(self):
            return None

        def __getitem__(self, index):
            return helpers.data(samples=4)

    refused(ValueError, model.fit, Endless(), epochs=2, verbose=0, callbacks=[callback])


def test_a_plateau_of_a_metric_that_is_not_there():
    model = dsd.make_prunable(helpers.mlp())
    plan = [phases.Dense(2, until=phases.Plateau("val_loss"))]
    assert "'loss'" in refused(ValueError, fit, model, plan, words="monitor='val_loss'")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "options",
    [
        {"sparsity": 0.5},
        {"sparsity": 0.5, "distribution": "global"},
        {"pattern": "2:4"},
        {"sparsity": 0.5, "pattern": "2x2"},
    ],
    ids=str,
)
def test_a_weight_that_is_not_finite_stops_training(bad, options):
    model = dsd.make_prunable(helpers.mlp())
    kernel = model.layers[1].kernel
    value = helpers.values([kernel])[0]
    value[3, 1] = bad
    kernel.assign(value)
    before = helpers.values(model.variables)
    message = refused(ValueError, fit, model, [phases.Sparse(1, **options)])
    assert kernel.path in message
    after = helpers.values(model.variables)
    for weight, old, new in zip(model.variables, before, after, strict=True):
        if "position" not in weight.path:
            np.testing.assert_array_equal(old, new)


def test_a_refused_fit_adds_no_variables():
    """Not even room for values to go back to."""
    model = dsd.make_prunable(helpers.mlp(inputs=10))
    model.compile("sgd", "mse")
    x, y = helpers.data(10)
    weights = [weight.path for weight in model.weights]
    plan = [phases.Sparse(1, pattern="2:4"), phases.Redense(1, restore="rewind")]
    callback = dsd.DSDCallback(plan, verbose=0)
    refused(ValueError, model.fit, x, y, epochs=2, verbose=0, callbacks=[callback])
    assert [weight.path for weight in model.weights] == weights


def test_a_model_without_an_optimizer():
    model = dsd.make_prunable(helpers.mlp())
    refused((TypeError, ValueError), fit, model, phases.dsd(3), None, None)


def test_refused_by_a_later_update_everything_stays():
    """Not finite in the middle of a ramp: the masks are those of the update before."""
    model = dsd.make_prunable(helpers.mlp())
    kernel = model.layers[0].kernel
    held = []

    def spoil(epoch, logs):
        if epoch == 1:
            value = helpers.values([kernel])[0]
            value[0, 0] = np.nan
            kernel.assign(value)
            held.append(helpers.masks_of(model)[0])

    x, y = helpers.data()
    plan = [phases.Sparse(4, sparsity=0.5, schedule="linear")]
    spoil = keras.callbacks.LambdaCallback(on_epoch_end=spoil)
    model.compile("sgd", "mse")
    message = refused(
        ValueError,
        model.fit,
        x,
        y,
        epochs=4,
        verbose=0,
        callbacks=[dsd.DSDCallback(plan, verbose=0), spoil],
    )
    assert kernel.path in message
    mask = helpers.masks_of(model)[0]
    np.testing.assert_array_equal(mask, held[0])
    assert 0 < np.count_nonzero(~mask) < mask.size // 2
    # The model is still good for training, once it is cured.
    kernel.assign(np.ones(kernel.shape))
    assert fit(model, plan).history["sparsity"][-1] == 0.5


def test_the_callback_is_not_spent_by_a_refusal():
    """The same object serves a model that is all right."""
    callback = dsd.DSDCallback([phases.Sparse(1, pattern="2:4")], verbose=0)
    for inputs in (10, 12):
        model = dsd.make_prunable(helpers.mlp(inputs=inputs))
        model.compile("sgd", "mse")
        x, y = helpers.data(inputs)
        if inputs == 10:
            refused(ValueError, model.fit, x, y, verbose=0, callbacks=[callback])
        else:
            history = model.fit(x, y, verbose=0, callbacks=[callback])
            assert history.history["sparsity"] == [0.5]


ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 30),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
    st.sampled_from(["cubic", "erk", "2:4", "4x4", "rewind", "one_shot"]),
)


def returns_or_refuses(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError) as error:
        assert "Received: " in str(error)


@settings(max_examples=300)
@given(ANY, ANY, ANY, ANY, ANY, ANY)
def test_any_arguments_of_phases(epochs, sparsity, a, b, c, d):
    returns_or_refuses(
        phases.Sparse,
        epochs,
        sparsity=sparsity,
        distribution=a,
        schedule=b,
        pattern=c,
        update_every=d,
    )
    returns_or_refuses(phases.Dense, epochs, lr_factor=a, until=b)
    returns_or_refuses(phases.Redense, epochs, restore=a, lr_factor=b)
    returns_or_refuses(phases.Plateau, epochs, patience=sparsity, min_delta=a, mode=b)
    returns_or_refuses(phases.dsd, epochs, sparsity=sparsity, cycles=a)
    returns_or_refuses(dsd.DSDCallback, a, seed=b, verbose=c)


@settings(max_examples=60)
@given(ANY, ANY)
def test_any_arguments_of_wrapping(a, b):
    returns_or_refuses(dsd.Prunable, a)
    returns_or_refuses(dsd.Prunable, layers.Dense(3), sparsity=a, pattern=b)
    returns_or_refuses(dsd.make_prunable, helpers.mlp(), include=a, exclude=b)
    returns_or_refuses(dsd.make_prunable, helpers.mlp(), sparsity=a)
    returns_or_refuses(dsd.strip, a)
