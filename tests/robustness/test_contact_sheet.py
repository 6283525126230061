"""The contact sheet shows what `corrupt` returns, and the scene it is drawn of."""

import numpy as np
import pytest
from PIL import Image

from keras_dsd import robustness
from keras_dsd.robustness.corruptions import catalog
from tests.robustness import scene

pytestmark = pytest.mark.one_backend


def titles(figure, columns):
    return [axis.get_title() for axis in figure.axes[:columns]]


def labels(figure, columns):
    return [axis.get_ylabel() for axis in figure.axes[::columns]]


def shown(axis):
    return np.asarray(axis.images[0].get_array())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_row_is_a_corruption_and_a_column_a_severity(channels, dtype):
    image = scene.conveyor(40)[..., :channels]
    image = image if dtype == "uint8" else (image / 255).astype(dtype)
    names = ["dead_lines", "vignetting"]
    figure = robustness.contact_sheet(image, names, [2, 5], seed=3)
    assert titles(figure, 3) == ["clean", "severity 2", "severity 5"]
    assert labels(figure, 3) == names
    for row, name in enumerate(names):
        own = figure.axes[3 * row : 3 * row + 3]
        expected = [
            image,
            *(robustness.corrupt(image[None], name, s, seed=3)[0] for s in (2, 5)),
        ]
        for axis, picture in zip(own, expected, strict=True):
            picture = picture[..., 0] if channels == 1 else picture
            top = 255 if dtype == "uint8" else 1
            np.testing.assert_allclose(shown(axis), picture / np.float32(top))


def test_without_names_all_that_an_image_can_have_are_shown():
    figure = robustness.contact_sheet(scene.conveyor(16), severities=1)
    expected = [n for n in robustness.names() if catalog.get(n).time != "clip"]
    assert labels(figure, 2) == expected


def test_without_names_a_clip_shows_those_that_are_for_clips():
    clip = scene.conveyor(24, frames=11)
    figure = robustness.contact_sheet(clip)
    columns = 6
    assert titles(figure, columns) == [f"frame {i}" for i in (1, 3, 5, 7, 9, 11)]
    names = robustness.names("video")
    assert labels(figure, columns) == ["clean", *(f"{name} 3" for name in names)]
    expected = robustness.corrupt(clip[None], names[0], 3)[0]
    for axis, frame in zip(figure.axes[columns:], range(0, 11, 2), strict=False):
        np.testing.assert_allclose(
            shown(axis), expected[frame] / np.float32(255), rtol=1e-6
        )


def test_a_clip_can_have_what_an_image_can_and_several_severities():
    clip = scene.conveyor(16, frames=2)
    figure = robustness.contact_sheet(clip, ["freeze", "lens_dirt"], (1, 4))
    assert titles(figure, 2) == ["frame 1", "frame 2"]
    rows = ["clean", "freeze 1", "freeze 4", "lens_dirt 1", "lens_dirt 4"]
    assert labels(figure, 2) == rows


def test_the_sheet_is_written_as_a_picture(tmp_path):
    path = tmp_path / "sheet.png"
    robustness.contact_sheet(scene.conveyor(32), ["occlusion"], path=path)
    with Image.open(path) as written:
        assert written.format == "PNG"
        width, height = written.size
    assert width > 4 * height > 0  # one row, six columns


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 50, 1), (50, 1, 1), (2, 3, 50, 3)])
def test_images_of_any_shape_fit_on_a_sheet(shape, tmp_path):
    path = tmp_path / "sheet.png"
    robustness.contact_sheet(np.zeros(shape, "uint8"), ["vignetting"], path=path)
    with Image.open(path) as written:
        assert max(written.size) < 1200


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(image=np.zeros((4, 4), "uint8")), ValueError, r"`image` must .*\(4, 4\)"),
        (
            dict(image=np.full((4, 4, 3), 2.0)),
            ValueError,
            r"in \[0, 1\]\. Divide them by 255",
        ),
        (dict(image=np.zeros((4, 4, 3), "int32")), TypeError, "dtype int32"),
        (dict(names="freeze"), TypeError, "`names` .* Received: names='freeze'"),
        (dict(names=["freeze"]), ValueError, "'freeze' is for videos.*Received"),
        (dict(names=["no"]), ValueError, "Received: corruption='no'"),
        (dict(names=[]), ValueError, r"Received: names=\[\]"),
        (dict(severities=6), ValueError, "Received: severities=6"),
        (dict(severities=[]), ValueError, r"severities=\[\]"),
        (dict(severities=[1.5]), TypeError, "Received: severities=1.5"),
        (dict(seed=-1), ValueError, "Received: seed=-1"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(
    tmp_path, arguments, error, message
):
    path = tmp_path / "sheet.png"
    arguments = {"image": np.zeros((4, 4, 3), "uint8"), **arguments}
    with pytest.raises(error, match=message):
        robustness.contact_sheet(**arguments, path=path)
    assert not path.exists()


def test_the_scene_is_the_same_every_time_and_its_parts_move():
    image = scene.conveyor(48)
    assert image.shape == (48, 48, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, scene.conveyor(48))
    clip = scene.conveyor(48, frames=5)
    assert clip.shape == (5, 48, 48, 3)
    brass = (clip[..., 0] > clip[..., 2] + 60)[:, 14:30]  # the hub of the wheel
    places = [np.flatnonzero(frame.any(axis=0)).mean() for frame in brass]
    assert (np.diff(places) > 1).all()
