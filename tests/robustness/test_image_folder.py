"""Folders of pictures, on real files: what is found, read, resized, and refused."""

import keras
import numpy as np
import pytest
from PIL import Image

from keras_dsd import cli
from keras_dsd.robustness import RobustnessReport, command, image_folder

SIDE = 8
SHADES = {"bolt": 40, "nut": 120, "ring": 200}  # a picture's class is its shade


def picture(shade, size=(SIDE, SIDE)):
    return Image.new("RGB", size, (shade,) * 3)


@pytest.fixture
def folder(tmp_path):
    """A folder with three plain pictures of each of three classes."""
    for name, shade in SHADES.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            picture(shade).save(tmp_path / "data" / name / f"{i}.png")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models that know three shades: of pictures of a size, and of any size."""
    made = {}
    for name, size in (("fixed", (SIDE, SIDE)), ("any", (None, None))):
        model = keras.Sequential(
            [
                keras.Input((*size, 3)),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(3),
            ]
        )
        # The square of the distance to each shade, without the square of the shade.
        shades = np.array(list(SHADES.values()))
        kernel = np.tile(2 * shades / 3, (3, 1))
        model.set_weights([kernel, -(shades**2.0)])
        made[name] = tmp_path_factory.mktemp("models") / f"{name}.keras"
        model.save(made[name])
    return made


@pytest.fixture(autouse=True)
def nothing_is_drawn(monkeypatch):
    """Pictures of the results take longer than all else here."""
    monkeypatch.setattr(command, "_write_curves", lambda *_: "frequencies.png")
    monkeypatch.setattr(RobustnessReport, "plot", lambda *_: None)


def measure(model, folder, *options):
    """Runs the command and returns its report; contrast leaves plain pictures alone."""
    out = folder.parent / "out"
    fixed = ["--corruptions", "contrast", "--severities", "1", "--out", str(out)]
    cli.main(
        ["robustness", str(model), "--data", str(folder), *fixed, *map(str, options)]
    )
    return RobustnessReport.from_json(out / "report.json")


def refusal(capsys, model, folder, *options):
    """Returns the one line that the command ends with."""
    with pytest.raises(SystemExit) as exit_:
        measure(model, folder, *options)
    assert exit_.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("keras-dsd robustness: error: ")
    assert "Traceback" not in "".join(lines)
    return lines[-1]


# ---- what is found ----


def test_classes_are_told_and_written(models, folder, capsys):
    report = measure(models["fixed"], folder)
    assert report.clean == 1
    assert report.images == 9
    assert "0 bolt (3), 1 nut (3), 2 ring (3)" in capsys.readouterr().out
    written = (folder.parent / "out" / "classes.txt").read_text()
    assert written.splitlines() == list(SHADES)


@pytest.mark.parametrize("form", ["names", "file"])
def test_a_missing_class_is_refused_until_the_classes_are_named(
    models, folder, capsys, form
):
    for path in (folder / "bolt").iterdir():
        path.unlink()
    (folder / "bolt").rmdir()
    error = refusal(capsys, models["fixed"], folder)
    assert "The model tells 3 classes apart" in error
    assert "2 classes, ['nut', 'ring']" in error
    names = list(SHADES)
    if form == "file":
        file = folder.parent / "classes.txt"
        file.write_text("\n".join(names) + "\n")
        names = [file]
    report = measure(models["fixed"], folder, "--classes", *names)
    assert report.clean == 1  # with the labels of the folders it would be 0
    assert report.images == 6
    assert "0 bolt (0), 1 nut (3), 2 ring (3)" in capsys.readouterr().out


def test_an_empty_folder_keeps_its_label(folder):
    for path in (folder / "bolt").iterdir():
        path.unlink()
    found = image_folder.find(folder)
    assert found.classes == tuple(SHADES)
    assert set(found.labels) == {1, 2}


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["nut", "bolt"], "folders ['ring'], classes ['nut', 'bolt']"),
        (["nut", "nut", "bolt", "ring"], "classes=['nut', 'nut', 'bolt', 'ring']"),
        (["nut", "bolt", "ring", "screw"], "4 classes"),
    ],
    ids=["too few", "twice", "too many"],
)
def test_other_classes_are_refused(models, folder, capsys, classes, message):
    assert message in refusal(capsys, models["fixed"], folder, "--classes", *classes)


def test_a_flat_folder_is_told_what_is_needed(models, folder, capsys):
    error = refusal(capsys, models["fixed"], folder / "nut")
    assert "a folder for each class, as in nut/CLASS/picture.png" in error
    assert "3 pictures outside of folders" in error


def test_files_that_are_left_out_are_counted(models, folder, capsys):
    (folder / "nut" / "notes.txt").write_text("wet")
    picture(9).save(folder / "loose.png")
    (folder / "nut" / ".hidden.png").write_text("of the system")
    assert measure(models["fixed"], folder).images == 9
    out = capsys.readouterr().out
    assert "Left out, no picture of a class: 2 (" in out
    assert "loose.png" in out
    assert "notes.txt" in out


def test_pictures_lie_in_folders_of_folders_and_behind_links(folder, tmp_path):
    (folder / "nut" / "monday").mkdir()
    picture(1).save(folder / "nut" / "monday" / "a.png")
    (tmp_path / "elsewhere").mkdir()
    picture(1).save(tmp_path / "elsewhere" / "b.JPG")
    (folder / "washer").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert list(image_folder.find(folder).counts.values()) == [3, 4, 3, 1]


# ---- what can't be read ----

FAULTS = {
    "empty": lambda whole: b"",
    "truncated": lambda whole: whole[: 2 * len(whole) // 3],
    "text": lambda whole: b"no picture at all",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("ending", [e for e in image_folder.ENDINGS if e != ".jpeg"])
def test_every_damaged_picture_is_seen(tmp_path, ending, fault):
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), "uint8")
    file = tmp_path / f"a{ending}"
    Image.fromarray(noise).save(file)
    assert image_folder.read(file, 3).shape == (24, 24, 3)
    file.write_bytes(FAULTS[fault](file.read_bytes()))
    with pytest.raises(ValueError, match=rf"Received: '.*a\{ending}' \("):
        image_folder.read(file, 3)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_picture_ends_the_command_before_the_model_is_asked(
    models, folder, capsys, monkeypatch, fault
):
    monkeypatch.setattr(keras.Model, "predict_on_batch", lambda *_: pytest.fail("seen"))
    for file in (folder / "nut" / "1.png", folder / "ring" / "0.png"):
        file.write_bytes(FAULTS[fault](file.read_bytes()))
    error = refusal(capsys, models["fixed"], folder)
    assert str(folder / "nut" / "1.png") in error
    assert "and 1 more" in error
    assert "--skip-unreadable" in error


def test_damaged_pictures_can_be_left_out_and_are_counted(models, folder, capsys):
    (folder / "nut" / "1.png").write_bytes(b"")
    report = measure(models["fixed"], folder, "--skip-unreadable")
    assert (report.images, report.clean) == (8, 1)
    out = capsys.readouterr().out
    assert "Left out, can't be read: 1 (" in out
    assert str(folder / "nut" / "1.png") in out
    for file in folder.rglob("*.png"):
        file.write_bytes(b"")
    error = refusal(capsys, models["fixed"], folder, "--skip-unreadable")
    assert "No picture can be read" in error


# ---- pixels ----


def test_a_picture_is_turned_as_its_exif_data_says(tmp_path):
    upright = np.zeros((4, 6, 3), "uint8")
    upright[0] = 255
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: rows are columns, from the right
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(image_folder.read(tmp_path / "a.png", 3), upright)


@pytest.mark.parametrize("ending", [".tif", ".png"])
def test_of_16_bits_the_upper_8_are_taken(tmp_path, ending):
    values = np.arange(0, 65536, 256 * 3 + 1, dtype="uint16").reshape(1, -1)
    Image.fromarray(values).save(tmp_path / f"a{ending}")
    found = image_folder.read(tmp_path / f"a{ending}", 1)
    np.testing.assert_array_equal(found[..., 0], values >> 8)


def test_pixels_that_are_no_integers_are_refused(tmp_path):
    Image.fromarray(np.zeros((3, 3), "float32")).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif' \(pixels of more than 16 bits"):
        image_folder.read(tmp_path / "a.tif", 1)


@pytest.mark.parametrize("ending", [".webp", ".tif"])
def test_tiff_and_webp_are_pictures(models, folder, ending):
    for name, shade in SHADES.items():
        picture(shade).save(folder / name / f"more{ending}")
    report = measure(models["fixed"], folder)
    assert (report.images, report.clean) == (12, 1)


@pytest.mark.parametrize(
    ("how", "argument"),
    [
        ("stretch", None),
        ("crop", "crop_to_aspect_ratio"),
        ("pad", "pad_to_aspect_ratio"),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_get_their_size_as_keras_gives_it(tmp_path, how, argument, channels):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i, size in enumerate([(20, 33), (41, 17), (8, 8), (100, 51)]):
            noise = rng.integers(0, 256, (*size, 3), "uint8")
            Image.fromarray(noise).save(tmp_path / name / f"{i}.png")
    for size in ((16, 24), (30, 9)):
        theirs = keras.utils.image_dataset_from_directory(
            tmp_path,
            label_mode="int",
            color_mode="rgb" if channels == 3 else "grayscale",
            batch_size=3,
            image_size=size,
            shuffle=False,
            verbose=False,
            **({argument: True} if argument else {}),
        )
        found = image_folder.find(tmp_path)
        ours = image_folder.Batches(found, (*size, channels), how, 3)
        assert len(ours) == 3
        for (images, labels), (expected, their_labels) in zip(
            ours, theirs, strict=True
        ):
            np.testing.assert_array_equal(labels, np.asarray(their_labels))
            # Rounded here; grey is rounded once more before.
            apart = np.abs(images - np.asarray(expected))
            assert apart.max() < (0.51 if channels == 3 else 1.51)


# ---- models that take any size ----


def test_a_model_of_any_size_gets_the_size_of_the_pictures(models, folder):
    report = measure(models["any"], folder)
    assert (report.images, report.clean) == (9, 1)


def test_pictures_of_several_sizes_need_one_for_all(models, folder, capsys):
    picture(SHADES["nut"], (20, 12)).save(folder / "nut" / "large.png")
    error = refusal(capsys, models["any"], folder)
    assert "--image-size" in error
    assert "large.png" in error
    report = measure(models["any"], folder, "--image-size", 10, 14)
    assert (report.images, report.clean) == (10, 1)
    padded = ["--image-size", 12, 12, "--pad-to-aspect-ratio"]
    assert measure(models["any"], folder, *padded).clean < 1  # the bars are black
    cropped = ["--image-size", 12, 12, "--crop-to-aspect-ratio"]
    assert measure(models["any"], folder, *cropped).clean == 1


def test_another_size_than_that_of_the_model_is_refused(models, folder, capsys):
    error = refusal(capsys, models["fixed"], folder, "--image-size", 10, 14)
    assert "The model takes images of (8, 8)" in error


def test_a_model_of_other_inputs_is_refused(folder, tmp_path, capsys):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.save(tmp_path / "other.keras")
    error = refusal(capsys, tmp_path / "other.keras", folder)
    assert "input_shape=(None, 4)" in error


def test_cropping_and_padding_exclude_each_other(models, folder, capsys):
    with pytest.raises(SystemExit):
        measure(
            models["any"], folder, "--crop-to-aspect-ratio", "--pad-to-aspect-ratio"
        )
    assert "not allowed with" in capsys.readouterr().err
