"""The package as a whole: what importing it loads, and which file may import which."""

import ast
import os
import pathlib
import subprocess
import sys

import keras
import pytest

import keras_dsd

ROOT = pathlib.Path(keras_dsd.__file__).parent
REPOSITORY = ROOT.parent

# From the ground up; a room imports from floors below its own.
FLOORS = [
    {"_version", "_shared"},
    {"backend", "reports"},
    {"optimizers", "robustness"},
    {"sparsity"},
    {"layers", "regrowth"},
    {"analysis", "deploy", "training"},
    {"__init__"},
    {"studies"},
    {"cli"},
    {"__main__"},
]


def room(path):
    """Returns the top-level name below the package: a file's, or its folder's."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "keras_dsd":
                yield from parts[1:2] or (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "keras_dsd":
                    yield from parts[1:2] or ["__init__"]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=str)
def test_imports_run_downwards(path):
    floor = {name: level for level, names in enumerate(FLOORS) for name in names}
    own = room(path)
    for other in imported_rooms(path):
        # Names of the package itself, say `__version__`, come from its ground.
        level = floor.get(other, 0)
        assert other == own or level < floor[own], f"{own} imports {other}"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=str)
def test_only_the_backend_folder_knows_backends(path):
    if room(path) == "backend":
        return
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    assert not names & {"tensorflow", "jax", "torch"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=str)
def test_private_names_of_keras_stand_in_one_file(path):
    if path.name == "keras_private.py":
        return
    tree = ast.parse(path.read_text())
    assert not [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("keras.src")
    ]
    # `super()._post_build()` is the one hook that can only be overridden in place.
    private = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    own = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    assert private <= own | {"_post_build"}


def loaded_by(statement):
    code = f"{statement}; import sys; print('LOADED', *sorted(sys.modules))"
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=REPOSITORY,
    )
    line = next(x for x in found.stdout.splitlines() if x.startswith("LOADED"))
    return {name.split(".")[0] for name in line.split()[1:]}


def test_importing_loads_no_extra_and_no_other_backend():
    extra = loaded_by("import keras_dsd") - loaded_by("import keras")
    unwanted = {"tensorflow", "jax", "torch"} - {keras.backend.backend()}
    unwanted |= {"matplotlib", "rich", "sklearn", "tensorflow_datasets", "tf_keras"}
    assert not extra & unwanted


def test_public_names():
    for name in keras_dsd.__all__:
        assert getattr(keras_dsd, name) is not None


@pytest.mark.parametrize("marker", ["demo", "test"])
def test_readme_has_the_commands_that_ci_runs(marker):
    readme = REPOSITORY / "README.md"
    if not readme.exists():  # an installed copy
        pytest.skip("no checkout")
    after = readme.read_text().split(f"<!-- {marker} -->\n```bash\n")[1]
    command = after.split("\n```")[0]
    assert command.startswith("python3 -m venv .venv && ")
    assert "\n" not in command


def test_robustness_is_imported_when_it_is_used():
    program = (
        "import sys, keras_dsd; assert 'keras_dsd.robustness' not in sys.modules; "
        "keras_dsd.robustness.corrupt; assert 'keras_dsd.robustness' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=REPOSITORY)


def test_robustness_says_what_to_install():
    program = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: name != 'cv2' and find(name) or None\n"
        "import keras_dsd\n"
        "try:\n"
        "    keras_dsd.robustness\n"
        "except ImportError as error:\n"
        "    assert 'pip install \"keras-dsd[robustness]\"' in str(error)\n"
        "    sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY)
    assert done.returncode == 7


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="no attribute 'sparsify'"):
        keras_dsd.sparsify  # noqa: B018
