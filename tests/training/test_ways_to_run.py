"""Every way that Keras has to run `fit`: zeros, counts and weights come out the same.

Each is trained beside a plain run of the same plan on arrays. Where a way only says how
to compute or where data come from, the weights must agree too.
"""

import functools
import gc

import keras
import numpy as np
import pytest
from keras import callbacks as kc
from keras import layers, optimizers

import keras_dsd as dsd
from keras_dsd import phases, regrowth
from keras_dsd.layers import conversion
from tests import helpers

BACKEND = keras.backend.backend()
TORCH = BACKEND == "torch"
BATCHES = 4


def plan():
    return [
        phases.Dense(1),
        phases.Sparse(2, sparsity=0.5, schedule="cubic", update_every=2),
        phases.Redense(1),
    ]


class Look(keras.callbacks.Callback):
    """Counts, as each epoch ends, the zeros of masks and of weights where they are."""

    def __init__(self):
        super().__init__()
        self.counts = []

    def on_epoch_end(self, epoch, logs=None):
        pruned = conversion.pruned_weights(self.model)
        masks = helpers.masks_of(self.model)
        values = helpers.values([weight.variable for weight in pruned])
        for value, mask in zip(values, masks, strict=True):
            assert not value[~mask].astype("float32").any()
        self.counts.append([int(np.count_nonzero(~mask)) for mask in masks])


def train(
    data=None,
    make=helpers.mlp,
    optimizer=lambda: optimizers.SGD(0.05, momentum=0.9),
    loss="mse",
    callbacks=(),
    first=(),
    phases=None,
    compile_options=None,
    batch_size=16,
    **options,
):
    """Trains, watching every batch; returns the model, its history and `Look`."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(5)
    model = dsd.make_prunable(make())
    model.compile(optimizer(), loss, **(compile_options or {}))
    x, y = helpers.data() if data is None else data
    if isinstance(x, np.ndarray):
        options["batch_size"] = batch_size
    look, watch = Look(), helpers.Watch()
    history = model.fit(
        x,
        y,
        epochs=4,
        shuffle=False,
        verbose=0,
        callbacks=[
            *first,
            dsd.DSDCallback(phases or plan(), verbose=0),
            *callbacks,
            look,
            watch,
        ],
        **options,
    )
    assert watch.batches
    assert watch.moved == 0
    return model, history.history, look


def check(history, look):
    assert look.counts[0] == look.counts[3] == [0, 0]
    assert look.counts[2] == [96, 32]
    assert history["sparsity"][0] == history["sparsity"][3] == 0.0
    assert 0 < history["sparsity"][1] < history["sparsity"][2] == 0.5


@functools.cache
def on_arrays():
    model, history, look = train()
    check(history, look)
    return helpers.values(dsd.strip(model).weights)


def assert_as_on_arrays(model, tolerance=1e-5):
    for one, other in zip(
        helpers.values(dsd.strip(model).weights), on_arrays(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


HOW = {
    "xla": {"jit_compile": True},
    "no xla": {"jit_compile": False},
    "auto": {"jit_compile": "auto"},
    "eagerly": {"run_eagerly": True},
    "three steps at once": {"steps_per_execution": 3},
    "an epoch at once": {"steps_per_execution": 4},
}


@pytest.mark.parametrize("name", HOW)
def test_how_steps_are_computed(name):
    if TORCH and name == "xla":
        pytest.skip("torch.compile needs a compiler at run time")
    if TORCH and "at once" in name:
        pytest.skip("Keras's torch backend has no steps_per_execution")
    model, history, look = train(compile_options=HOW[name])
    check(history, look)
    if "at once" not in name:  # there, masks wait for the end of an execution
        assert_as_on_arrays(model)


def batches():
    x, y = helpers.data()
    for start in range(0, 64, 16):
        yield x[start : start + 16], y[start : start + 16]


def forever():
    while True:
        yield from batches()


class Pieces(keras.utils.PyDataset):
    """The data as batches."""

    length = BATCHES

    @property
    def num_batches(self):
        return self.length

    def __getitem__(self, index):
        return list(batches())[index % BATCHES]


def dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(helpers.data()).batch(16)


def dataset_of_unknown_length():
    import tensorflow as tf

    shapes = tf.TensorSpec((None, 12)), tf.TensorSpec((None, 4))
    return tf.data.Dataset.from_generator(batches, output_signature=shapes)


def loader():
    torch = pytest.importorskip("torch")
    tensors = torch.utils.data.TensorDataset(*map(torch.tensor, helpers.data()))
    return torch.utils.data.DataLoader(tensors, batch_size=16)


DATA = {
    "tf.data": (dataset, {}),
    "tf.data, repeated": (lambda: dataset().repeat(), {"steps_per_epoch": BATCHES}),
    "generator": (forever, {"steps_per_epoch": BATCHES}),
    "PyDataset": (Pieces, {}),
    "DataLoader": (loader, {}),
}


@pytest.mark.parametrize("name", DATA)
def test_where_data_come_from(name):
    if name == "DataLoader" and BACKEND == "jax":
        pytest.skip("TensorFlow and PyTorch suffice for this one")
    make, options = DATA[name]
    model, history, look = train(data=(make(), None), **options)
    check(history, look)
    assert_as_on_arrays(model)


@pytest.mark.filterwarnings("ignore:.*ran out of data")
@pytest.mark.parametrize("steps", [1] if TORCH else [1, 3])
@pytest.mark.parametrize("every", [2, 3])
def test_data_of_unknown_length(steps, every):
    """Learned in the first epoch; updates are due with its last batch as with any."""
    regrowth = phases.Sparse(2, sparsity=0.5, regrowth="set", update_every=every)
    history, look = train(
        data=(dataset_of_unknown_length(), None),
        phases=[phases.Dense(1), regrowth, phases.Redense(1)],
        compile_options={"steps_per_execution": steps},
    )[1:]
    assert look.counts == [[0, 0], [96, 32], [96, 32], [0, 0]]
    assert history["churn"][1] > 0.05
    assert history["explored"][2] > history["explored"][1] > 0.55


@pytest.mark.filterwarnings("ignore:.*ran out of data")
def test_what_an_update_with_the_last_batch_writes_stays():
    """Also where nobody knew that the batch would be the last."""
    seen = []

    def remember(batch, logs):
        seen[:] = helpers.values(watch.model.weights)

    def compare(epoch, logs):
        weights = watch.model.weights
        for weight, was in zip(weights, seen, strict=True):
            if weight.name != "position":  # counts the epoch's batches as it ends
                np.testing.assert_array_equal(*helpers.values([weight]), was)
        compared.append(epoch)

    compared = []
    watch = kc.LambdaCallback(on_train_batch_end=remember, on_epoch_end=compare)
    regrowth = phases.Sparse(3, sparsity=0.5, regrowth="set", update_every=BATCHES)
    train(
        data=(dataset_of_unknown_length(), None),
        phases=[phases.Dense(1), regrowth],
        callbacks=[watch],
    )
    assert compared == [0, 1, 2, 3]


def test_gradients_gathered_over_batches():
    """Two batches of 8 make a step: the same as one of 16, in every phase."""
    model, history, look = train(
        batch_size=8,
        optimizer=lambda: optimizers.SGD(
            0.05, momentum=0.9, gradient_accumulation_steps=2
        ),
    )
    check(history, look)
    assert_as_on_arrays(model)


def two_policies(inner):
    def make():
        return keras.Sequential(
            [
                keras.Input((12,)),
                layers.Dense(16, activation="relu", dtype=inner),
                layers.Dense(4),
            ]
        )

    return make


@pytest.mark.parametrize(
    ("everywhere", "inner"),
    [
        ("mixed_float16", None),
        ("mixed_bfloat16", None),
        ("mixed_float16", "float32"),
        ("float32", "mixed_float16"),
        ("mixed_float16", "mixed_bfloat16"),
        ("bfloat16", None),
    ],
)
def test_precision(everywhere, inner):
    keras.config.set_dtype_policy(everywhere)
    _, history, look = train(make=two_policies(inner))
    check(history, look)
    assert history["loss"][-1] < history["loss"][0]


def classes():
    x, y = helpers.data()
    return x, y.argmax(axis=1)


def test_weights_of_classes_and_of_samples():
    """The same numbers, whichever way they are given; a sample of weight 0 is none."""
    x, y = classes()
    by_class = {0: 1.0, 1: 0.5, 2: 2.0, 3: 0.0}
    given = [
        {"class_weight": by_class},
        {"sample_weight": np.array([by_class[int(one)] for one in y], "float32")},
    ]
    found = []
    for options in given:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model, history, look = train(data=(x, y), loss=loss, **options)
        check(history, look)
        found.append(helpers.values(dsd.strip(model).weights))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_validation_sees_the_sparse_model():
    x, y = helpers.data(seed=1)
    by_hand = []

    def evaluate(epoch, logs):
        outputs = keras.ops.convert_to_numpy(watch.model(x))
        by_hand.append(float(np.mean((outputs - y) ** 2)))

    watch = kc.LambdaCallback(on_epoch_end=evaluate)
    model, history, look = train(callbacks=[watch], validation_data=(x, y))
    check(history, look)
    assert_as_on_arrays(model)
    np.testing.assert_allclose(history["val_loss"], by_hand, rtol=1e-4)


def test_rates_that_callbacks_set():
    """A callback sets the rate anew; a factor is of what it sets."""
    rates = []

    def read(epoch, logs):
        rates.append(float(watch.model.optimizer.learning_rate))

    watch = kc.LambdaCallback(on_epoch_end=read)
    scheduler = kc.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history, look = train(callbacks=[scheduler, watch])[1:]
    check(history, look)
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.1 / 3, 0.0025], rtol=1e-6)


def test_rates_that_fall_with_a_plateau():
    rates = []

    def read(batch, logs):
        if batch == 0:
            rates.append(float(watch.model.optimizer.learning_rate))

    watch = kc.LambdaCallback(on_train_batch_end=read)
    falls = kc.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    history, look = train(callbacks=[falls, watch])[1:]
    check(history, look)
    # Halved as the epochs 1, 2 and 3 end; `Redense` has a tenth of that.
    np.testing.assert_allclose(rates, [0.05, 0.05, 0.025, 0.00125], rtol=1e-6)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("best", [0, 2, 3])
def test_early_stopping_gives_the_best_epoch_back(best, last):
    """Its weights and its masks, whichever phase it was in, where it is listed first.

    Listed last it gives the weights back alone, and the report tells what they are.
    """
    kept = []

    def judge(epoch, logs):
        logs["quality"] = 1.0 if epoch == best else 0.0
        if epoch == best:
            kept.extend(helpers.values(watch.model.weights))

    watch = kc.LambdaCallback(on_epoch_end=judge)
    stops = kc.EarlyStopping(
        "quality", mode="max", patience=9, restore_best_weights=True
    )
    given = {"callbacks" if last else "first": [watch, stops]}
    model, _, look = train(**given)
    for one, other in zip(helpers.values(model.weights), kept, strict=True):
        np.testing.assert_array_equal(one, other)
    report = dsd.sparsity_report(model)
    assert report.prunable_zeros == sum(look.counts[best])
    if last:
        return
    zeros = [int(np.count_nonzero(~mask)) for mask in helpers.masks_of(model)]
    assert zeros == look.counts[best]
    assert report.masked == sum(zeros)


def test_weights_given_back_before_training_ends_keep_their_zeros():
    """With `EarlyStopping` listed first, even in a `fit` that knows of no phases."""

    def judge(epoch, logs):
        logs["quality"] = 1.0 if epoch == 1 else 0.0

    stops = kc.EarlyStopping(
        "quality", mode="max", patience=9, restore_best_weights=True
    )
    x, y = helpers.data()
    model = dsd.make_prunable(helpers.mlp())
    model.compile("adam", "mse")
    judge = kc.LambdaCallback(on_epoch_end=judge)
    last = dsd.DSDCallback(phases.dsd(3, sparsity=0.5), verbose=0)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[judge, stops, last])
    assert {state.in_force for state in conversion.states(model)} == {True}
    model.fit(x, y, verbose=0)
    for weight, mask in zip(
        conversion.pruned_weights(model), helpers.masks_of(model), strict=True
    ):
        assert np.count_nonzero(~mask) == mask.size // 2
        assert not helpers.values([weight.variable])[0][~mask].any()


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averages_that_are_swapped_in(swap_on_epoch):
    """What is evaluated is the average, and it is as sparse as the weights."""

    def sparse(logs=None):
        for weight, mask in zip(
            conversion.pruned_weights(watch.model),
            helpers.masks_of(watch.model),
            strict=True,
        ):
            value = helpers.values([weight.variable])[0]
            assert not value[~mask].any()
            seen.append(value)

    seen = []
    watch = kc.LambdaCallback(on_epoch_end=lambda epoch, logs: sparse())
    watch.on_test_begin = sparse
    history, look = train(
        callbacks=[kc.SwapEMAWeights(swap_on_epoch), watch],
        optimizer=lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.5),
        validation_data=helpers.data(seed=1),
    )[1:]
    check(history, look)
    assert len(seen) == 2 * 2 * 4


def several_optimizers():
    inner = {"a": optimizers.SGD(0.05), "b": optimizers.Adam(0.01)}
    return optimizers.MultiOptimizer(
        lambda variable: inner["b" if "dense_1" in variable.path else "a"]
    )


def test_several_optimizers():
    if not hasattr(optimizers, "MultiOptimizer"):
        pytest.skip("this Keras has none")
    model, history, look = train(optimizer=several_optimizers)
    check(history, look)
    rates = [float(one.learning_rate) for one in model.optimizer.optimizers]
    assert sorted(rates) == pytest.approx([0.01, 0.05])


def test_callbacks_that_write_files(tmp_path):
    """Logs hold the phase and the sparsity; checkpoints are exactly sparse."""
    log = kc.CSVLogger(str(tmp_path / "log.csv"))
    saver = kc.ModelCheckpoint(str(tmp_path / "{epoch}.keras"))
    model, history, look = train(callbacks=[log, saver])
    check(history, look)
    assert_as_on_arrays(model)
    head, *lines = (tmp_path / "log.csv").read_text().splitlines()
    column = head.split(",").index("sparsity")
    assert [float(line.split(",")[column]) for line in lines] == history["sparsity"]
    for epoch, zeros in enumerate(look.counts, start=1):
        saved = keras.models.load_model(tmp_path / f"{epoch}.keras")
        for weight, mask, number in zip(
            conversion.pruned_weights(saved),
            helpers.masks_of(saved),
            zeros,
            strict=True,
        ):
            assert np.count_nonzero(~mask) == number
            assert not helpers.values([weight.variable])[0][~mask].any()


def test_tensorboard_shows_the_sparsity(tmp_path):
    pytest.importorskip("tensorboard")
    board = kc.TensorBoard(str(tmp_path), write_graph=False)
    history, look = train(callbacks=[board])[1:]
    check(history, look)
    files = tmp_path.rglob("*tfevents*")
    assert b"sparsity" in b"".join(file.read_bytes() for file in files)


def test_one_batch_at_a_time():
    """Masks that `fit` has laid hold in `train_on_batch` and `test_on_batch` too."""
    x, y = helpers.data()
    model = dsd.make_prunable(helpers.mlp())
    model.compile(optimizers.Adam(0.01), "mse")
    callback = dsd.DSDCallback([phases.Sparse(1, sparsity=0.5)], verbose=0)
    model.fit(x, y, verbose=0, callbacks=[callback])
    before = helpers.values(model.trainable_variables)
    for start in range(0, 64, 16):
        model.train_on_batch(x[start : start + 16], y[start : start + 16])
        for weight, mask in zip(
            conversion.pruned_weights(model), helpers.masks_of(model), strict=True
        ):
            value = helpers.values([weight.variable])[0]
            assert not value[~mask].any()
            assert value[mask].all()
    after = helpers.values(model.trainable_variables)
    assert not any(map(np.array_equal, before, after))


@pytest.mark.parametrize(
    "options",
    [
        {"pattern": "2:4"},
        {"sparsity": 0.5, "regrowth": regrowth.SET(), "update_every": 2},
        {"sparsity": 0.5, "regrowth": regrowth.GraNet(), "update_every": 2},
        {"sparsity": 0.5, "regrowth": regrowth.SNFS(), "update_every": 2},
    ],
    ids=["2:4", "set", "granet", "snfs"],
)
def test_models_one_after_the_other(options):
    """What was compiled for a model serves the next one, or is made anew."""
    found = []
    for _ in range(3):
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(5)
        model = helpers.mlp(outputs=8)
        dsd.make_prunable(model, track_gradients=True)
        model.compile(optimizers.SGD(0.05, momentum=0.9), "mse")
        callback = dsd.DSDCallback([phases.Sparse(2, **options)], verbose=0)
        x, y = helpers.data(outputs=8)
        model.fit(x, y, 16, 2, shuffle=False, verbose=0, callbacks=[callback])
        found.append(helpers.masks_of(model))
        del model
        gc.collect()
    for masks in found[1:]:
        for one, other in zip(masks, found[0], strict=True):
            np.testing.assert_array_equal(one, other)
