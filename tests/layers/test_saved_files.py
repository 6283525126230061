"""Files of models: from an earlier release, in other processes, damaged, foreign."""

import contextlib
import io
import pathlib
import shutil
import subprocess
import sys
import unittest.mock
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_dsd as dsd
from keras_dsd.layers import conversion
from tests import helpers
from tests.data import write

pytestmark = pytest.mark.portable

FOLDER = pathlib.Path(__file__).parents[1] / "data"
FILE = FOLDER / f"{write.NAME}.keras"


def test_a_file_of_this_release_loads():
    """On every backend: what it predicts, what is masked, where the run stands."""
    model = keras.models.load_model(FILE)
    x, _ = helpers.data()
    with np.load(FOLDER / f"{write.NAME}.npz") as known:
        outputs = keras.ops.convert_to_numpy(model(x, training=False))
        np.testing.assert_allclose(outputs, known["outputs"], rtol=1e-5, atol=1e-5)
        masks = helpers.masks_of(model)
        assert len(masks) == len(known.files) - 1 == 3
        for number, mask in enumerate(masks):
            np.testing.assert_array_equal(mask, known[f"mask_{number}"])
    zeros = [int(np.count_nonzero(~mask)) for mask in masks]
    assert zeros == [96, 32, 16]  # of 192, 128 and 32: the second has its own target
    for weight, mask in zip(conversion.pruned_weights(model), masks, strict=True):
        assert not helpers.values([weight.variable])[0][~mask].any()
    states = conversion.states(model)
    assert all(state.in_force for state in states)
    assert {(s.position.phase, s.position.epoch) for s in states} == {(1, 2)}


def test_a_file_of_this_release_trains_on():
    """In the phase that it is in, to the end of the plan."""
    model = keras.models.load_model(FILE)
    x, y = helpers.data()
    history = model.fit(
        x,
        y,
        batch_size=16,
        initial_epoch=3,
        epochs=6,
        verbose=0,
        callbacks=[dsd.DSDCallback(write.phases(), verbose=0)],
    ).history
    assert history["dsd_phase"] == [1.0, 1.0, 2.0]
    assert history["sparsity"] == [144 / 352, 144 / 352, 0.0]
    assert history["churn"][0] > 0
    assert history["explored"][1] >= history["explored"][0] > 1 - 144 / 352
    dsd.strip(model)
    assert type(model.layers[0]) is keras.layers.Dense


def test_what_writes_the_file_still_makes_such_a_model():
    """So that the next release's file is written by the same lines."""
    made = write.model()
    loaded = keras.models.load_model(FILE)
    later = ("rewind_", "explored_")  # there once training has begun
    kept = [weight for weight in loaded.variables if not weight.name.startswith(later)]
    for one, other in zip(made.variables, kept, strict=True):
        assert one.path.endswith(other.path)
        assert one.shape == other.shape
    assert FILE.stat().st_size < 50_000


LOAD = """
import sys
import keras
try:
    keras.models.load_model(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
assert "keras_dsd" not in sys.modules
"""


@pytest.mark.parametrize("written", ["before", "now"])
def test_a_process_that_has_not_imported_the_library(written, tmp_path):
    """Keras says what it does not know; nothing loads with its masks missing."""
    file, message = FILE, "Unrecognized keyword arguments passed to Dense: {'prunable'"
    if written == "now":
        file, message = (
            tmp_path / "now.keras",
            "'registered_name': 'keras_dsd>Prunable'",
        )
        keras.models.load_model(FILE).save(file)
    done = subprocess.run(
        [sys.executable, "-c", LOAD, file],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("TypeError")
    assert message in done.stdout


def damaged(content):
    """Yields copies of a file that are cut, overwritten or have a bit flipped."""
    for length in (0, 10, len(content) // 2, len(content) - 1):
        yield content[:length]
    yield b"\0" * len(content)
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 6):
        yield content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


def of_ours(model):
    """Returns what the library keeps in a file, in the order of the layers."""
    return [
        value
        for state in conversion.states(model)
        for value in helpers.values(state.variables)
    ]


def test_damaged_model_files(tmp_path):
    """Most do not load, as Keras promises; what is ours is whole if one does."""
    file = tmp_path / "model.keras"
    model = keras.models.load_model(FILE)
    model.save(file)
    before = of_ours(model)
    for content in damaged(file.read_bytes()):
        file.write_bytes(content)
        try:
            model = keras.models.load_model(file)
        except Exception as error:
            assert str(error)
        else:
            for one, other in zip(of_ours(model), before, strict=True):
                np.testing.assert_array_equal(one, other)


@contextlib.contextmanager
def without_checksums():
    """Returns a context in which archives are read as newer ones of Python's may be."""
    with unittest.mock.patch.object(zipfile.ZipExtFile, "_update_crc"):
        yield


def place_of(name, file):
    """Returns where in a `.keras` file the first array of that name begins."""
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo("model.weights.h5")
        with archive.open(member) as stored:
            start = stored._orig_compress_start
            content = io.BytesIO(stored.read())
    with h5py.File(content) as arrays:
        return start + state_in(arrays)[name].id.get_offset()


@pytest.mark.parametrize("name", ["mask_0", "position", "rewind_0", "explored_0"])
def test_a_flipped_bit_that_no_checksum_shows(name, tmp_path):
    file = tmp_path / "model.keras"
    keras.models.load_model(FILE).save(file)
    content = bytearray(file.read_bytes())
    content[place_of(name, file)] ^= 1
    file.write_bytes(content)
    message = r"masks of layer '.*dense' is not what was written"
    with without_checksums(), pytest.raises(ValueError, match=message):
        keras.models.load_model(file)


def test_weights_that_were_cut_leave_the_model_alone(tmp_path):
    model = keras.models.load_model(FILE)
    file = tmp_path / "model.weights.h5"
    model.save_weights(file)
    whole = file.read_bytes()
    before = helpers.values(model.variables)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(OSError):
            model.load_weights(file)
    for one, other in zip(before, helpers.values(model.variables), strict=True):
        np.testing.assert_array_equal(one, other)


def state_in(file):
    """Returns the group within an open weights file that holds the first masks."""
    names = []
    file.visit(names.append)
    first = min(name for name in names if name.endswith("pruning_state/vars/mask_0"))
    return file[first].parent


@pytest.mark.parametrize("what", ["missing", "more", "shape", "length"])
def test_masks_of_another_selection_are_refused(what, tmp_path):
    """Said by this library, before any mask of the layer has changed."""
    model = keras.models.load_model(FILE)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    state = conversion.states(model)[0]
    before = helpers.values(state.variables)
    with h5py.File(path, "r+") as file:
        group = state_in(file)
        if what == "missing":
            del group["mask_0"]
        elif what == "more":
            group["mask_7"] = group["mask_0"][()]
        elif what == "shape":
            mask = group["mask_0"][()]
            del group["mask_0"]
            group["mask_0"] = mask[:-1]
        else:  # written by a release that keeps more
            position = group["position"][()]
            del group["position"]
            group["position"] = np.append(position, 0)
    with pytest.raises(ValueError, match="Received: ") as caught:
        model.load_weights(path)
    assert "masks are those of another selection" in str(caught.value)
    for one, other in zip(before, helpers.values(state.variables), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_convert_between_wrapped_and_plain(tmp_path):
    """`.keras` to weights, wrapped to plain and back: each file loads where it can."""
    wrapped = keras.models.load_model(FILE)
    x, _ = helpers.data()
    outputs = helpers.values([wrapped(x)])[0]
    plain = dsd.strip(keras.models.load_model(FILE))
    plain.save_weights(tmp_path / "plain.weights.h5")
    plain.save(tmp_path / "plain.keras")
    again = keras.models.load_model(tmp_path / "plain.keras")
    np.testing.assert_array_equal(helpers.values([again(x)])[0], outputs)
    other = write.model()
    other.load_weights(tmp_path / "plain.weights.h5")
    np.testing.assert_array_equal(helpers.values([other(x)])[0], outputs)
    assert all(mask.all() for mask in helpers.masks_of(other))
    wrapped.save_weights(tmp_path / "wrapped.weights.h5")
    other.load_weights(tmp_path / "wrapped.weights.h5")
    for mask, wanted in zip(
        helpers.masks_of(other), helpers.masks_of(wrapped), strict=True
    ):
        np.testing.assert_array_equal(mask, wanted)
    assert all(state.in_force for state in conversion.states(other))


def test_a_name_that_is_no_file(tmp_path):
    with pytest.raises(ValueError):
        keras.models.load_model(tmp_path / "nowhere.keras")
    shutil.copy(FILE, tmp_path / "model.txt")
    with pytest.raises(ValueError):
        keras.models.load_model(tmp_path / "model.txt")
