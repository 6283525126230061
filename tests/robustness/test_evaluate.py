"""`evaluate`: its numbers against others' sums, its streams, its refusals."""

import gc
import tracemalloc

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dsd import robustness
from keras_dsd.robustness import adversarial

NAMES = ["gaussian_noise", "contrast"]


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), "uint8")


@pytest.fixture(scope="module")
def labels():
    return np.arange(20) % 3


@pytest.fixture(scope="module")
def model():
    return network(1)


def network(seed, outputs=3, activation="softmax"):
    made = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(outputs, activation=activation),
        ]
    )
    kernel = np.random.default_rng(seed).normal(0, 0.1, (64, outputs))
    made.set_weights([kernel, np.zeros(outputs)])  # the same on every backend
    return made


def evaluate(*args, **kwargs):
    kwargs = {"corruptions": NAMES, "severities": [2, 5], "progress": False} | kwargs
    return robustness.evaluate(*args, **kwargs)


def accuracy(model, images, labels):
    return float(np.mean(model.predict(images, verbose=0).argmax(-1) == labels))


def test_values_are_those_of_the_corrupted_images(model, images, labels):
    report = evaluate(model, images, labels, seed=3)
    assert report.clean == pytest.approx(accuracy(model, images, labels))
    for name in NAMES:
        for severity in (2, 5):
            corrupted = robustness.corrupt(images, name, severity, seed=3)
            assert report.table[name][severity] == pytest.approx(
                accuracy(model, corrupted, labels)
            )
    cells = [value for row in report.table.values() for value in row.values()]
    assert report.robust == pytest.approx(np.mean(cells))
    assert report.by_family.keys() == {"noise", "digital"}
    assert report.images == 20


def test_the_default_is_the_benchmark(model, images, labels):
    report = robustness.evaluate(model, images[:2], labels[:2], progress=False)
    assert tuple(report.table) == robustness.STANDARD
    assert len(robustness.STANDARD) == 15
    assert all(list(row) == [1, 2, 3, 4, 5] for row in report.table.values())


@pytest.mark.parametrize("batch_size", [1, 7, 20, 1000])
def test_batches_do_not_matter(model, images, labels, batch_size):
    corruptions = [*NAMES, "fgsm", "pgd"]
    model.compile(loss="sparse_categorical_crossentropy")
    report = evaluate(
        model, images, labels, corruptions=corruptions, batch_size=batch_size
    )
    whole = evaluate(model, images, labels, corruptions=corruptions)
    for name, row in report.table.items():
        assert row == pytest.approx(whole.table[name], abs=1e-6), name


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels, weights=None):
        super().__init__()
        self.parts = [part for part in (images, labels, weights) if part is not None]

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return tuple(part[5 * i : 5 * i + 5] for part in self.parts)


def tf_data(images, labels):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(5)


def data_loader(images, labels):
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(
        torch.from_numpy(images), torch.from_numpy(labels)
    )
    return torch.utils.data.DataLoader(pairs, batch_size=5)


def generator(images, labels):
    return (Batches(images, labels)[i] for i in range(4))


@pytest.mark.parametrize("make", [tf_data, data_loader, generator, Batches])
def test_data_may_come_in_batches(model, images, labels, make):
    report = evaluate(model, make(images, labels))
    assert report == evaluate(model, images, labels)


def test_samples_may_have_weights(model, images, labels):
    weights = np.where(np.arange(20) < 10, 1.0, 0.0)
    report = evaluate(model, Batches(images, labels, weights))
    assert report.table == evaluate(model, images[:10], labels[:10]).table


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: (pair for pair in ()), "no batch"),
        (lambda x, y: iter([(x,)]), "Received: tuple of 1"),
        (lambda x, y: iter([{"x": x}]), "Received: dict"),
        (lambda x, y: iter([(x[0], y[:8])]), "shape (8, 8, 1)"),
        (lambda x, y: iter([(x, y[:-1])]), "19 labels"),
        (lambda x, y: tf_data(x, y).repeat(), "infinite"),
    ],
    ids=["empty", "no labels", "dict", "not batched", "lengths", "infinite"],
)
def test_bad_batches_are_refused(model, images, labels, make, message):
    with pytest.raises(ValueError, match="Received: ") as error:
        evaluate(model, make(images, labels))
    assert message in str(error.value)


def test_a_data_set_has_its_own_batch_size(model, images, labels):
    with pytest.raises(ValueError, match="Received: batch_size=4"):
        evaluate(model, Batches(images, labels), batch_size=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(19)}, "20 images, 19 labels"),
        ({"y": None}, "y of type NoneType"),
        ({"y": np.array(["a"] * 20)}, "dtype <U1"),
        ({"y": np.full(20, 3)}, "labels from 3 to 3"),
        ({"y": np.zeros((20, 5))}, "labels of shape (20, 5)"),
        ({"x": np.zeros((0, 8, 8, 1), "uint8"), "y": np.zeros(0)}, "(0, 8, 8, 1)"),
        ({"x": np.zeros((20, 8, 8, 2), "uint8")}, "(20, 8, 8, 2)"),
        ({"x": np.full((20, 8, 8, 1), 2.0)}, "values from 2.0 to 2.0"),
        ({"x": np.full((20, 8, 8, 1), np.nan)}, "values from nan to nan"),
        ({"x": np.zeros((20, 9, 8, 1), "uint8")}, "a batch of shape (20, 9, 8, 1)"),
        ({"corruptions": "rain_of_frogs"}, "corruption='rain_of_frogs'"),
        ({"corruptions": []}, "corruptions=[]"),
        ({"corruptions": ["fog", "fog"]}, "corruptions=['fog', 'fog']"),
        ({"severities": 6}, "severities=6"),
        ({"severities": [1, 0]}, "severities=0"),
        ({"severities": []}, "severities=[]"),
        ({"metric": "no_such_metric"}, "metric='no_such_metric'"),
        ({"metric": 3}, "metric=3"),
        ({"mode": "up"}, "mode='up'"),
        ({"baseline": "resnet"}, "baseline='resnet'"),
        ({"baseline": 3}, "model=3"),
        ({"baseline": "alexnet"}, "severities=[2, 5]"),
        ({"model": "m.keras"}, "model='m.keras'"),
        ({"preprocess": 255}, "preprocess=255"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"constants": "mnist"}, "constants='mnist'"),
        ({"progress": 1}, "progress=1"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_arguments_are_refused_before_any_work(
    model, images, labels, change, message
):
    predictions = []

    def counted(x):
        predictions.append(len(x))
        return keras.ops.convert_to_numpy(model(x.astype("float32")))

    arguments = {"model": counted, "x": images, "y": labels} | change
    with pytest.raises((ValueError, TypeError), match="Received: ") as error:
        evaluate(**arguments)
    assert message in str(error.value)
    assert len(predictions) <= 1  # the first batch shows what the model returns


@pytest.mark.parametrize(
    ("metric", "outputs", "expected"),
    [
        ("accuracy", lambda y: np.eye(3)[y], 1.0),
        ("acc", lambda y: np.eye(3)[y], 1.0),
        (
            keras.metrics.SparseTopKCategoricalAccuracy(2),
            lambda y: np.eye(3)[y] + 2 * np.eye(3)[(y + 1) % 3],
            1.0,
        ),
        ("mean_squared_error", lambda y: y[:, None] + 2.0, 4.0),
        (lambda y, p: keras.ops.abs(y - p[:, 0]), lambda y: y[:, None] + 3.0, 3.0),
    ],
    ids=["accuracy", "acc", "an instance", "a name", "a function"],
)
def test_any_metric_of_keras(images, labels, metric, outputs, expected):
    answers = iter([outputs(labels).astype("float32")] * 5)
    mode = "min" if getattr(metric, "__name__", "") == "<lambda>" else "auto"
    report = evaluate(lambda x: next(answers), images, labels, metric=metric, mode=mode)
    assert report.clean == pytest.approx(expected)
    assert report.robust == pytest.approx(expected)


def test_accuracy_is_chosen_by_the_labels(images, labels):
    binary = network(0, outputs=1, activation="sigmoid")
    truth = (labels > 1).astype("int32")
    expected = np.mean((binary.predict(images, verbose=0)[:, 0] > 0.5) == truth)
    assert evaluate(binary, images, truth).clean == pytest.approx(expected)
    assert evaluate(binary, images, truth[:, None]).clean == pytest.approx(expected)
    several = network(0)
    one_hot = evaluate(several, images, np.eye(3)[labels])
    assert one_hot.table == evaluate(several, images, labels).table


def test_segmentation(images):
    truth = (images[..., 0] > 100).astype("int32")

    def segment(x):
        return np.stack([x[..., 0] <= 100, x[..., 0] > 100], -1).astype("float32")

    assert evaluate(segment, images, truth).clean == 1.0
    iou = keras.metrics.MeanIoU(2, sparse_y_pred=False)
    report = evaluate(segment, images, truth, metric=iou)
    assert report.clean == 1.0
    assert report.grows
    assert 0 < report.robust < 1


def test_a_metric_that_does_not_fit_is_told(model, images, labels):
    with pytest.raises(ValueError, match=r"labels of shape \(20, 5\)"):
        evaluate(model, images, np.zeros((20, 5)), metric="categorical_crossentropy")


def test_a_model_has_one_output(images, labels):
    with pytest.raises(ValueError, match="Received: outputs of type list"):
        evaluate(lambda x: [x, x], images, labels)


def test_images_go_through_preprocess(images, labels):
    plain = network(1)
    inner = keras.Sequential([keras.Input((8, 8, 1)), *plain.layers[1:]])
    report = evaluate(inner, images, labels, preprocess=lambda x: x / np.float32(255))
    assert report == evaluate(plain, images, labels)


def test_floats_are_images_too(model, images, labels):
    inner = keras.Sequential([keras.Input((8, 8, 1)), *model.layers[1:]])
    floats = images / np.float32(255)
    report = evaluate(inner, floats, labels, corruptions="contrast")
    expected = evaluate(model, images, labels, corruptions="contrast")
    assert report.clean == expected.clean
    assert report.robust == pytest.approx(expected.robust, abs=0.06)


def test_videos(labels):
    videos = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8, 1), "uint8")

    def first_frame(x):
        return np.eye(3)[x[:, 0, 0, 0, 0] % 3].astype("float32")

    names = ["gaussian_noise", "camera_shake"]
    report = evaluate(first_frame, videos, labels, corruptions=names)
    assert report.families == {"gaussian_noise": "noise", "camera_shake": "video"}
    expected = [
        np.mean(
            robustness.corrupt(videos, "gaussian_noise", s)[:, 0, 0, 0, 0] % 3 == labels
        )
        for s in (2, 5)
    ]
    assert list(report.table["gaussian_noise"].values()) == pytest.approx(expected)


def test_mce_against_a_model(model, images, labels):
    other = network(3)
    report = evaluate(model, images, labels, baseline=other)
    alone, theirs = (evaluate(each, images, labels) for each in (model, other))
    assert report.table == alone.table
    assert report.baseline == theirs
    ce = [(1 - alone.means[name]) / (1 - theirs.means[name]) for name in NAMES]
    assert report.mce == pytest.approx(np.mean(ce))
    relative = [
        (alone.clean - alone.means[name]) / (theirs.clean - theirs.means[name])
        for name in NAMES
    ]
    assert report.relative_mce == pytest.approx(np.mean(relative))
    assert evaluate(model, images, labels, baseline=theirs) == report


def test_mce_against_itself_is_one(model, images, labels):
    report = evaluate(model, images, labels, baseline=model)
    assert report.mce == 1.0


def test_a_report_of_something_else_is_no_baseline(model, images, labels):
    other = evaluate(model, images, labels, severities=[1])
    with pytest.raises(ValueError, match="the same corruptions and severities"):
        evaluate(model, images, labels, baseline=other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "seed of the two reports differ.* 4 and 0"),
        ({"constants": "imagenet"}, "constants .*'imagenet' and 'cifar'"),
        ({"x": 10}, "number of images .* 10 and 20"),
        ({"x": slice(None, None, -1)}, "images, or their order, .* differ"),
    ],
    ids=["seed", "constants", "fewer images", "another order"],
)
def test_what_a_baseline_report_is_of_is_told(model, images, labels, change, message):
    other = evaluate(model, images, labels)
    if "x" in change:
        shown = change["x"] if isinstance(change["x"], slice) else slice(change["x"])
        change = {"x": images[shown], "y": labels[shown]}
    with pytest.warns(UserWarning, match=message):
        report = evaluate(
            **{"model": model, "x": images, "y": labels, "baseline": other} | change
        )
    with pytest.warns(UserWarning, match=message):
        report.gain_over(other)


def test_the_same_pictures_as_floats_are_the_same_images(model, images, labels):
    digests = {
        evaluate(lambda x: np.eye(3)[[0] * len(x)], x, labels, batch_size=size).digest
        for x, size in ((images, None), (images, 7), (images / np.float32(255), 3))
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("side", "metric", "message"),
    [
        (12, "accuracy", "images of 12 x 12, constants='cifar'"),
        (12, "mse", "metric='mse'"),
        (100, "accuracy", None),
    ],
)
def test_alexnet_is_a_baseline_for_imagenet_alone(side, metric, message):
    called = []

    def guess(x):
        called.append(len(x))
        return np.eye(2, dtype="float32")[[0] * len(x)]

    x = np.random.default_rng(0).integers(0, 256, (2, side, side, 1), "uint8")
    arguments = {"corruptions": ["contrast"], "severities": None, "metric": metric}
    arguments |= {"baseline": "alexnet"}
    if message is None:
        with pytest.warns(UserWarning, match="224 x 224 .* 100 x 100"):
            assert evaluate(guess, x, [0, 1], **arguments).mce is not None
        return
    with pytest.raises(ValueError, match=message):
        evaluate(guess, x, [0, 1], **arguments)
    assert not called


def test_memory_stays_at_a_few_batches(labels):
    one = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), "uint8")

    def batches(number):
        for _ in range(number):
            yield one.copy(), np.zeros(50, "int32")

    def peak(number):
        gc.collect()
        tracemalloc.start()
        evaluate(lambda x: np.eye(3, dtype="float32")[np.zeros(50, int)],
                 batches(number))  # fmt: skip
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)  # imports, caches
    few, many = peak(4), peak(24)
    # 20 batches more are 3 MB of uint8, 12 of float32.
    assert many < few + 1.5e6


@pytest.mark.parametrize("constants", ["cifar", "imagenet"])
def test_a_users_own_corruption(model, images, labels, constants):
    robustness.register("half", lambda image, severity, rng: image / severity)
    report = evaluate(
        model, images, labels, corruptions=["half"], severities=1, constants=constants
    )
    assert report.table["half"][1] == report.clean
    assert report.by_family == {"custom": report.clean}


@pytest.mark.parametrize("attack", [robustness.fgsm, robustness.pgd])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_attacks_raise_the_loss_within_their_bounds(images, labels, attack, dtype):
    full = 255 if dtype == "uint8" else 1
    x = images if dtype == "uint8" else images / np.float32(255)
    model = network(1)
    model.compile(loss="sparse_categorical_crossentropy")

    def to_bytes(x):
        return x * (255 / full)

    def loss(x):
        outputs = model(to_bytes(x.astype("float32")))
        each = keras.losses.sparse_categorical_crossentropy(labels, outputs)
        return float(keras.ops.mean(each))

    worse = attack(model, x, labels, 8 / 255, preprocess=to_bytes)
    assert worse.dtype == np.float32
    assert worse.shape == x.shape
    assert worse.min() >= 0
    assert worse.max() <= full
    moved = np.abs(worse - x.astype("float32")).max()
    assert moved == pytest.approx(8 / 255 * full, rel=1e-4)
    assert loss(worse) > loss(x)


def test_fgsm_is_a_step_along_the_gradients_sign():
    # With one output and this loss, the gradient by a pixel is the pixel's weight.
    model = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, use_bias=False),
        ]
    )
    model.set_weights([np.array([[1.0], [-2.0], [0.0], [3.0]])])
    x = np.full((1, 2, 2, 1), 0.5, "float32")
    worse = robustness.fgsm(
        model, x, np.zeros((1, 1)), 0.25, loss=lambda y_true, y_pred: y_pred
    )
    np.testing.assert_array_equal(worse.ravel(), [0.75, 0.25, 0.5, 0.75])


def test_attacks_weaken_a_model_more_with_severity(images, labels):
    model = network(1)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=30, verbose=0)
    report = evaluate(
        model, images, labels, corruptions=adversarial.ATTACKS, severities=None
    )
    assert report.families == {"fgsm": "adversarial", "pgd": "adversarial"}
    assert report.table["pgd"][5] < report.clean


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0}, "epsilon=0"),
        ({"epsilon": 1.5}, "epsilon=1.5"),
        ({"loss": 3}, "loss=3"),
        ({"loss": None}, "loss=None"),
        ({"model": len}, "model=<built-in function len>"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
@pytest.mark.parametrize("attack", [robustness.fgsm, robustness.pgd])
def test_attacks_refuse_bad_arguments(images, labels, attack, change, message):
    arguments = {"model": network(1), "x": images, "y": labels, "epsilon": 0.1}
    arguments |= {"loss": "sparse_categorical_crossentropy"} | change
    with pytest.raises((ValueError, TypeError), match="Received: ") as error:
        attack(**arguments)
    assert message in str(error.value)


def test_attacks_need_a_loss(images, labels):
    with pytest.raises(ValueError, match="Received: loss=None"):
        evaluate(network(1), images, labels, corruptions=["fgsm"])


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    severities=st.sets(st.integers(1, 5), min_size=1),
    names=st.sets(st.sampled_from(["contrast", "shot_noise", "fog"]), min_size=1),
)
def test_what_is_asked_for_is_reported(images, labels, seed, severities, names):
    report = evaluate(
        lambda x: np.eye(3, dtype="float32")[x[:, 0, 0, 0] % 3],
        images,
        labels,
        seed=seed,
        corruptions=sorted(names),
        severities=sorted(severities),
    )
    assert list(report.table) == sorted(names)
    assert all(list(row) == sorted(severities) for row in report.table.values())
    assert report.seed == seed
