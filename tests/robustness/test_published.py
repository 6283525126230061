"""Data sets that others have corrupted: files by hand, and TFDS with mocked data."""

import numpy as np
import pytest

from keras_dsd import robustness

QUIET = {"progress": False}


def answer(x):
    """A model that reads the class off the first pixel."""
    return np.eye(10, dtype="float32")[x[:, 0, 0, 0] % 10]


@pytest.fixture
def folder(tmp_path):
    """Two corruptions of 6 images: of severity s, s images are wrong, or 6 - s."""
    labels = np.arange(6)
    for name, wrong in (("fog", lambda s: s), ("rain", lambda s: 6 - s)):
        images = np.zeros((30, 4, 4, 3), "uint8")
        for severity in range(1, 6):
            shown = labels + (labels < wrong(severity))
            images[6 * (severity - 1) : 6 * severity, 0, 0, 0] = shown
        np.save(tmp_path / f"{name}.npy", images)
    np.save(tmp_path / "labels.npy", np.tile(labels, 5).astype("uint8"))
    return tmp_path


@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_rows_are_severities(folder, batch_size):
    data = robustness.npy_set(folder)
    report = robustness.evaluate(answer, data, batch_size=batch_size, **QUIET)
    assert list(report.table) == ["fog", "rain"]
    right = [pytest.approx((6 - severity) / 6) for severity in range(1, 6)]
    assert list(report.table["fog"].values()) == right
    assert list(report.table["rain"].values()) == right[::-1]
    assert report.families == {"fog": "weather", "rain": "other"}
    assert report.clean is None
    assert report.images == 6
    assert report.constants == "published"


def test_labels_may_be_those_of_one_severity(folder):
    expected = robustness.evaluate(answer, robustness.npy_set(folder), **QUIET)
    np.save(folder / "labels.npy", np.arange(6))
    assert robustness.evaluate(answer, robustness.npy_set(folder), **QUIET) == expected


@pytest.mark.parametrize("batch_size", [None, 2])
def test_clean_images_are_given(folder, batch_size):
    x = np.zeros((6, 4, 4, 3), "uint8")
    x[:, 0, 0, 0] = [0, 1, 2, 0, 0, 0]
    data = robustness.npy_set(folder, clean=(x, np.arange(6)))
    report = robustness.evaluate(answer, data, batch_size=batch_size, **QUIET)
    assert report.clean == 0.5


def test_a_part_may_be_asked_for(folder):
    data = robustness.npy_set(folder)
    report = robustness.evaluate(
        answer, data, corruptions="rain", severities=[2, 4], **QUIET
    )
    assert {name: list(row) for name, row in report.table.items()} == {"rain": [2, 4]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corruptions": ["snow"]}, "corruptions=['snow']"),
        ({"corruptions": ["fgsm"]}, "corruptions=['fgsm']"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
    ids=["no such corruption", "an attack", "batch size"],
)
def test_what_it_has_not_is_refused(folder, arguments, message):
    with pytest.raises(ValueError, match="Received: ") as error:
        robustness.evaluate(answer, robustness.npy_set(folder), **arguments, **QUIET)
    assert message in str(error.value)


def broken(folder, fault):
    if fault == "no labels":
        (folder / "labels.npy").unlink()
    elif fault == "labels only":
        for name in ("fog", "rain"):
            (folder / f"{name}.npy").unlink()
    elif fault == "truncated":
        whole = (folder / "fog.npy").read_bytes()
        (folder / "fog.npy").write_bytes(whole[:-100])
    elif fault == "no header":
        (folder / "fog.npy").write_bytes(b"")
    elif fault == "dtype":
        np.save(folder / "fog.npy", np.zeros((30, 4, 4, 3), "float32"))
    elif fault == "rank":
        np.save(folder / "fog.npy", np.zeros((30, 4, 4), "uint8"))
    elif fault == "not five":
        np.save(folder / "fog.npy", np.zeros((29, 4, 4, 3), "uint8"))
    elif fault == "four channels":
        np.save(folder / "fog.npy", np.zeros((30, 4, 4, 4), "uint8"))
    elif fault == "channels first":
        for name in ("fog", "rain"):
            np.save(folder / f"{name}.npy", np.zeros((30, 3, 4, 4), "uint8"))
    elif fault == "two sizes":
        np.save(folder / "fog.npy", np.zeros((30, 4, 8, 3), "uint8"))
    elif fault == "labels of text":
        np.save(folder / "labels.npy", np.array(["a"] * 30))
    elif fault == "other lengths":
        np.save(folder / "labels.npy", np.zeros(29))
    elif fault == "objects":
        np.save(folder / "fog.npy", np.array([{}] * 30), allow_pickle=True)
    return folder


@pytest.mark.parametrize(
    "fault",
    [
        "no labels",
        "labels only",
        "truncated",
        "no header",
        "dtype",
        "rank",
        "not five",
        "four channels",
        "channels first",
        "two sizes",
        "labels of text",
        "other lengths",
        "objects",
    ],
)
def test_files_of_another_format_are_refused(folder, fault):
    with pytest.raises(ValueError, match="Received: "):
        robustness.npy_set(broken(folder, fault))


def test_no_folder(tmp_path):
    with pytest.raises(ValueError, match=r"Received: folder=.*nowhere"):
        robustness.npy_set(tmp_path / "nowhere")


def test_bad_clean_images_are_refused(folder):
    with pytest.raises(ValueError, match="6 images, 5 labels"):
        robustness.npy_set(folder, clean=(np.zeros((6, 4, 4, 3)), np.zeros(5)))


@pytest.mark.parametrize(
    ("clean", "message"),
    [
        (np.zeros((5, 4, 4, 3), "uint8"), "shape (5, 4, 4, 3)"),
        (np.zeros((6, 8, 8, 3), "uint8"), "shape (6, 8, 8, 3)"),
        (np.zeros((6, 4, 4, 3), "float32"), "dtype float32"),
    ],
    ids=["fewer", "larger", "floating"],
)
def test_clean_images_are_those_that_were_corrupted(folder, clean, message):
    with pytest.raises(ValueError, match="Received: ") as error:
        robustness.npy_set(folder, clean=(clean, np.zeros(len(clean))))
    assert message in str(error.value)


def test_of_a_whole_set_the_benchmarks_part_is_measured(tmp_path):
    extra = robustness.names("extra")
    for name in (*robustness.STANDARD, *extra):
        np.save(tmp_path / f"{name}.npy", np.zeros((5, 4, 4, 3), "uint8"))
    np.save(tmp_path / "labels.npy", np.zeros(1))
    data = robustness.npy_set(tmp_path)
    measured = {name for name, _ in data.conditions(None, (1,))}
    assert measured == set(robustness.STANDARD)
    assert data.conditions(extra, (1,)) == [(name, 1) for name in sorted(extra)]
    # Without one of the 15 it is another set, of which all count.
    (tmp_path / "fog.npy").unlink()
    assert len(robustness.npy_set(tmp_path).conditions(None, (1,))) == 18


@pytest.fixture
def mocked():
    tfds = pytest.importorskip("tensorflow_datasets")
    with tfds.testing.mock_data(num_examples=5):
        yield


@pytest.mark.parametrize(
    ("name", "count", "has_clean"),
    [
        ("cifar10_corrupted", 19, True),
        ("imagenet2012_corrupted", 19, False),
        ("mnist_corrupted", 15, True),
    ],
)
def test_data_sets_of_tfds(mocked, name, count, has_clean):
    data = robustness.published_set(name)
    conditions = data.conditions(None, None)
    found = {corruption for corruption, _ in conditions} - {"clean"}
    assert len(data.names) == count
    if count == 19:
        assert set(data.names) - found == set(robustness.names("extra"))
        assert found == set(robustness.STANDARD)
        assert len(conditions) == 75 + has_clean
    else:
        assert {severity for _, severity in conditions} == {0, 1}
    report = robustness.evaluate(
        lambda x: np.eye(1000, dtype="float32")[x[:, 0, 0, 0]],
        data,
        corruptions=["glass_blur", "fog"],
        severities=1,
        batch_size=2,
        **QUIET,
    )
    assert (report.clean is not None) == has_clean
    assert report.table.keys() == {"glass_blur", "fog"}
    assert report.images == 5


def test_clean_images_of_ones_own(mocked):
    images = np.zeros((3, 8, 8, 3), "uint8")
    data = robustness.published_set("imagenet2012_corrupted", clean=(images, [0, 0, 7]))
    report = robustness.evaluate(
        lambda x: np.eye(1000, dtype="float32")[x[:, 0, 0, 0]],
        data,
        corruptions="fog",
        severities=1,
        **QUIET,
    )
    assert report.clean == pytest.approx(2 / 3)


@pytest.mark.parametrize("clean", [5, (np.zeros((3, 8, 8, 3)), [0, 0, 7]), ([], [])])
def test_other_clean_images_are_refused(mocked, clean):
    with pytest.raises((TypeError, ValueError), match="Received: "):
        robustness.published_set("cifar10_corrupted", clean=clean)


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="Received: name='svhn_corrupted'"):
        robustness.published_set("svhn_corrupted")
