"""Saved files find the package's classes, whichever is imported first, Keras or it."""

import copy
import pkgutil

import keras
import pytest

import keras_dsd
from keras_dsd._shared import registration
from tests import processes

pytestmark = pytest.mark.portable

LOAD = """
files = [name for name in sys.modules if name.startswith("keras_dsd.training")]
assert not files, files
model = keras.models.load_model("tests/data/in_a_sparse_phase_0.keras")
assert isinstance(model.layers[0], keras_dsd.Prunable)
"""

# The second import begins when the first is under way, and long before it ends.
IN_TWO_THREADS = """
import importlib, sys
from concurrent import futures

def second():
    while {first!r} not in sys.modules:
        pass
    for name in {second!r}:
        importlib.import_module(name)
with futures.ThreadPoolExecutor(1) as pool:
    done = pool.submit(second)
    importlib.import_module({first!r})
    done.result()
import keras, keras_dsd
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import keras_dsd, keras",
        IN_TWO_THREADS.format(first="keras", second=["keras_dsd"]),
    ],
    ids=["ours_first", "while_keras_is_imported"],
)
def test_files_load_after_both_imports(imports):
    program = f"import sys\n{imports}\n{LOAD}"
    processes.run(program)


def test_threads_that_import_both_do_not_wait_in_a_circle():
    threads = IN_TWO_THREADS.format(
        first="keras", second=["keras_dsd.training.phases", "keras_dsd.layers.prunable"]
    )
    program = (
        f"import sys, keras_dsd\n{threads}\n"
        "keras.models.load_model('tests/data/in_a_sparse_phase_0.keras')"
    )
    processes.run(program)


def test_a_failed_import_of_keras_can_be_tried_again(tmp_path):
    fake = tmp_path / "keras.py"
    program = (
        "import pathlib, sys, keras_dsd\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"fake = pathlib.Path({str(fake)!r})\n"
        "fake.write_text('raise ImportError(\"no backend\")')\n"
        "try:\n"
        "    import keras\n"
        "except ImportError as error:\n"
        "    assert str(error) == 'no backend'\n"
        "else:\n"
        "    raise SystemExit('imported')\n"
        "fake.write_text('class saving: get_custom_objects = {}.copy\\n"
        "known = {}\\nsaving.get_custom_objects = lambda: known\\n')\n"
        "import keras\n"
        "assert 'keras_dsd>Prunable' in keras.known\n"
        "assert keras.__file__ == keras.__spec__.loader.path\n"
    )
    processes.run(program)


def test_without_keras_the_error_is_pythons_own():
    program = (
        "import sys, keras_dsd\n"
        "sys.modules['keras'] = None\n"
        "try:\n"
        "    keras_dsd.phases\n"
        "except ModuleNotFoundError as error:\n"
        "    assert error.name == 'keras'\n"
        "    sys.exit(7)\n"
    )
    assert processes.run(program, check=False).returncode == 7


def test_names_are_those_that_the_files_register():
    for name in keras_dsd.__all__:
        getattr(keras_dsd, name)
    known = keras.saving.get_custom_objects()
    assert not [one for one in known.values() if isinstance(one, registration.Later)]
    places = {
        f"keras_dsd>{name}": f"{file}:{name}"
        for file, names in registration.REGISTERED.items()
        for name in names
    }
    assert places.keys() == {
        name
        for name, one in known.items()
        if name.startswith("keras_dsd>") and one.__module__.startswith("keras_dsd.")
    }
    for name, place in places.items():
        assert known[name] is pkgutil.resolve_name(place)


def test_what_is_registered_already_stays():
    known = keras.saving.get_custom_objects()
    before = known["keras_dsd>Sparse"], known["keras_dsd>Prunable"]
    registration.register_when_keras_is_imported()
    assert (known["keras_dsd>Sparse"], known["keras_dsd>Prunable"]) == before


def test_a_name_stands_for_the_class():
    later = registration.Later("keras_dsd.training.phases:Sparse")
    sparse = keras_dsd.phases.Sparse(epochs=2, sparsity=0.5)
    assert later(epochs=2, sparsity=0.5) == sparse
    assert later.from_config(sparse.get_config()) == sparse
    assert copy.deepcopy(later)(epochs=2, sparsity=0.5) == sparse
    assert repr(later) == "<keras_dsd.training.phases:Sparse, not imported yet>"
    with pytest.raises(AttributeError):
        later.nothing  # noqa: B018
