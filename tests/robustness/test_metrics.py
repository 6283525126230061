"""Whatever is given as `metric`: its direction, its name, and what is refused."""

import re

import keras
import numpy as np
import pytest

from keras_dsd import robustness
from keras_dsd.robustness import metrics

# Of every class of Keras: its arguments, and whether more of it is better.
GROW = {
    "Accuracy": {},
    "AUC": {},
    "BinaryAccuracy": {},
    "BinaryIoU": {},
    "CategoricalAccuracy": {},
    "ConcordanceCorrelation": {},
    "CosineSimilarity": {},
    "F1Score": {"average": "macro"},
    "FBetaScore": {"average": "macro"},
    "IoU": {"num_classes": 2, "target_class_ids": [0]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [0]},
    "OneHotMeanIoU": {"num_classes": 2},
    "PearsonCorrelation": {},
    "Precision": {},
    "PrecisionAtRecall": {"recall": 0.5},
    "R2Score": {},
    "Recall": {},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SparseCategoricalAccuracy": {},
    "SparseTopKCategoricalAccuracy": {"k": 1},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "TopKCategoricalAccuracy": {"k": 1},
    "TrueNegatives": {},
    "TruePositives": {},
}
SHRINK = {
    "BinaryCrossentropy": {},
    "CategoricalCrossentropy": {},
    "CategoricalHinge": {},
    "FalseNegatives": {},
    "FalsePositives": {},
    "Hinge": {},
    "KLDivergence": {},
    "LogCoshError": {},
    "MeanAbsoluteError": {},
    "MeanAbsolutePercentageError": {},
    "MeanSquaredError": {},
    "MeanSquaredLogarithmicError": {},
    "Poisson": {},
    "RootMeanSquaredError": {},
    "SparseCategoricalCrossentropy": {},
    "SquaredHinge": {},
}
UNKNOWN = {"Mean": {}, "MeanMetricWrapper": {"fn": np.add}, "Metric": {}, "Sum": {}}


def told(value):
    """The name of a case: without addresses, which differ between processes."""
    return re.sub(r" at 0x\w+", "", str(value))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1), "uint8")


@pytest.fixture(scope="module")
def one_hot():
    return np.eye(3, dtype="float32")[np.arange(20) % 3]


def probabilities(x):
    logits = np.random.default_rng(1).normal(size=(20, 3))
    weights = np.exp(logits[x[:, 0, 0, 0].astype(int) % 20])
    return (weights / weights.sum(-1, keepdims=True)).astype("float32")


def evaluate(model, *args, **kwargs):
    kwargs = {"corruptions": "contrast", "severities": 5, "progress": False} | kwargs
    return robustness.evaluate(model, *args, **kwargs)


def test_every_class_of_keras_is_in_the_table():
    classes = {
        name
        for name, value in vars(keras.metrics).items()
        if isinstance(value, type) and issubclass(value, keras.metrics.Metric)
    }
    assert classes == GROW.keys() | SHRINK.keys() | UNKNOWN.keys()


@pytest.mark.parametrize("name", [*GROW, *SHRINK])
def test_the_second_object_of_a_class_is_as_the_first(name):
    arguments = (GROW | SHRINK)[name]
    first, second, renamed = (
        metrics.Given(getattr(keras.metrics, name)(**arguments, **more))
        for more in ({}, {}, {"name": "mine"})
    )
    assert first.name == second.name
    known = (first, second, renamed)
    assert {given.grows("auto") for given in known} == {name in GROW}
    assert [first.grows(mode) for mode in ("max", "min")] == [True, False]


@pytest.mark.parametrize(
    ("metric", "grows"),
    [
        ("AUC", True),
        ("mse", False),
        (keras.metrics.categorical_accuracy, True),
        # As losses, both are the smaller the better, whatever their names say.
        (keras.losses.cosine_similarity, False),
        (keras.losses.Dice(), False),
        (keras.metrics.MeanMetricWrapper(keras.losses.dice, name="mine"), False),
    ],
    ids=told,
)
def test_directions_of_names_functions_and_losses(metric, grows):
    assert metrics.Given(metric).grows("auto") == grows


def dice(y_true, y_pred):
    return keras.ops.sum(y_true * y_pred, axis=-1)


def beauty(y_true, y_pred):
    return keras.ops.sum(y_true * y_pred, axis=-1)


def test_a_function_is_known_by_its_name_or_asks(images, one_hot):
    assert evaluate(probabilities, images, one_hot, metric=dice).grows
    with pytest.raises(
        ValueError, match=r"'beauty' .*mode='max'.*Received: mode='auto'"
    ):
        evaluate(probabilities, images, one_hot, metric=beauty)
    report = evaluate(probabilities, images, one_hot, metric=beauty, mode="max")
    assert report.grows


class MeanDice(keras.metrics.Mean):
    pass


def test_a_users_own_class_is_as_keras_names_it():
    first, second = (
        metrics.Given(MeanDice(name=None)),
        metrics.Given(MeanDice(name=None)),
    )
    assert first.name == second.name == "mean_dice"
    assert metrics.Given(MeanDice(name="mine")).grows("auto")


def test_auc_twice_in_a_process(images, one_hot):
    reports = []
    for _ in range(2):
        auc = keras.metrics.AUC()
        baseline = evaluate(probabilities, images, one_hot, metric=auc)
        inverse = evaluate(
            lambda x: 1 - probabilities(x),
            images,
            one_hot,
            metric=auc,
            baseline=baseline,
        )
        reports.append((baseline, inverse))
    assert reports[0] == reports[1]
    assert reports[0][0].gain_over(reports[1][1]) == reports[1][0].gain_over(
        reports[0][1]
    )


class Loose(keras.metrics.Metric):
    """Averages the means of batches; has no config of its own."""

    def __init__(self, offset, name="accuracy"):
        super().__init__(name=name)
        self.total, self.count = (
            self.add_variable((), "zeros", name=name) for name in ("total", "count")
        )
        self.offset = offset

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(keras.ops.mean(keras.ops.abs(y_true - y_pred)))
        self.count.assign_add(1.0)

    def result(self):
        return self.total / self.count


class OfBatches(Loose):
    def get_config(self):
        return {"offset": self.offset, "name": self.name}


def mean_of_a_batch(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred))


def mean_of_each_class(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=0)


def two_numbers(y_true, y_pred):
    return {"a": 1.0}


REFUSED = {
    "several numbers": (keras.metrics.F1Score(), "metric='f1_score'.*(3,)"),
    "several, by name": ("f1_score", "metric='f1_score'.*(3,)"),
    "arguments": ("MeanIoU", "metric='MeanIoU'.*num_classes"),
    "a class": (keras.metrics.AUC, r"`AUC\(...\)`. Received: metric=<class"),
    "a lambda": (
        keras.metrics.MeanMetricWrapper(lambda y, p: y[:, 0] - p[:, 0], name="mae"),
        "made anew .*Received: metric=<MeanMetricWrapper",
    ),
    "no config": (Loose(1.0), "made anew .*Received: metric=<Loose"),
    "a sum": (keras.losses.MeanSquaredError(reduction="sum"), "reduction='sum'"),
}
OF_BATCHES = {
    "a number": (mean_of_a_batch, r"20 samples, a result of shape \(\)"),
    "of each class": (mean_of_each_class, r"20 samples, a result of shape \(3,\)"),
    "its batches": (OfBatches(0.0), "not depend on .*Received: metric='accuracy'"),
    "wrapped": (
        keras.metrics.MeanMetricWrapper(keras.losses.CategoricalCrossentropy()),
        "Received: metric='mean_metric_wrapper'",
    ),
    "a dict": (two_numbers, "Received: "),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("is_function", [True, False], ids=["function", "model"])
def test_what_can_be_refused_is_before_the_model_is_asked(
    images, one_hot, case, is_function
):
    metric, message = REFUSED[case]
    called = []

    def count(x):
        called.append(len(x))
        return probabilities(x)

    model = count
    if not is_function:
        model = keras.Sequential(
            [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        model.predict_on_batch = count
    with pytest.raises((ValueError, TypeError), match=message):
        evaluate(model, images, one_hot, metric=metric, mode="max")
    assert not called


@pytest.mark.parametrize("case", OF_BATCHES)
def test_what_depends_on_the_batch_is_refused_after_the_first(images, one_hot, case):
    metric, message = OF_BATCHES[case]
    called = []

    def count(x):
        called.append(len(x))
        return probabilities(x)

    with pytest.raises(ValueError, match=message):
        evaluate(count, images, one_hot, metric=metric, mode="max")
    assert len(called) == 1


@pytest.mark.parametrize(
    "metric",
    [
        keras.losses.CategoricalCrossentropy(),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1, reduction=None),
        keras.metrics.MeanMetricWrapper(keras.losses.categorical_crossentropy),
        keras.metrics.AUC(),
        keras.metrics.RootMeanSquaredError(),
        keras.metrics.R2Score(),
        keras.metrics.F1Score("macro"),
        keras.metrics.OneHotMeanIoU(3),
        "categorical_crossentropy",
        dice,
    ],
    ids=told,
)
def test_the_batch_size_does_not_matter(images, one_hot, metric):
    tables = [
        evaluate(
            probabilities, images, one_hot, metric=metric, batch_size=size, mode="min"
        )
        for size in (20, 7)
    ]
    assert tables[0].clean == pytest.approx(tables[1].clean, rel=1e-5)
    assert tables[0].robust == pytest.approx(tables[1].robust, rel=1e-5)


def test_a_loss_is_the_mean_over_samples(images, one_hot):
    loss = keras.losses.CategoricalCrossentropy()
    report = evaluate(probabilities, images, one_hot, metric=loss, batch_size=7)
    expected = -np.log((probabilities(images) * one_hot).sum(-1)).mean()
    assert report.clean == pytest.approx(expected, rel=1e-5)
    assert report.metric == "categorical_crossentropy"


def test_f1_of_one_output_is_one_number(images):
    truth = (np.arange(20) % 2)[:, None].astype("float32")

    def right(x):
        return truth[: len(x)]

    metric = keras.metrics.F1Score(threshold=0.5)
    assert evaluate(right, images, truth, metric=metric).clean == 1.0
