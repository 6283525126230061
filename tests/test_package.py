"""The package as a whole: what importing it loads, and which file may import which."""

import ast
import graphlib
import pathlib
import sys

import keras
import pytest

import keras_dsd
from tests import processes

pytestmark = pytest.mark.portable

ROOT = pathlib.Path(keras_dsd.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
MOST_LINES = 300  # of a file
MOST_LINES_OF_A_FUNCTION = 50  # without its docstring

# Run by themselves, each in a process that belongs to another framework.
PROGRAMS = [ROOT / "deploy" / name for name in ("converter.py", "runtime.py")]

# A part is a folder, or a file beside them; it imports from floors below its own. The
# same lines stand in CONTRIBUTING.md.
FLOORS = """\
9  __main__                     python -m keras_dsd
8  cli                          the command: one file a subcommand
7  __init__                     the public names, imported when they are first used
6  studies                      several runs -> a decision; the demo
5  training  analysis  deploy   the callback, its run | what masks look like | exports
4  layers  regrowth             who carries masks | which connections go and come
3  sparsity                     counts, schedules, distributions, patterns, masks, top-k
2  optimizers  robustness       slots, learning rates | corruptions, accuracy under them
1  backend  reports             what differs between frameworks | records -> pictures
0  _shared  _version            checks, configs, registration, Keras's private names
"""


def floors():
    """Returns {part: its floor}."""
    found = {}
    for line in FLOORS.splitlines():
        level, *parts = line[:29].split()
        found |= dict.fromkeys(parts, int(level))
    return found


def part(path):
    """Returns the top-level name below the package: a file's, or its folder's."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """Yields (module, name) of what a file imports from the package; name may be None.

    Those of `from module import name`, or `(module, None)` of `import module`.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "relative"
            found = [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found = [(alias.name, None) for alias in node.names]
        else:
            continue
        for module, name in found:
            if module.split(".")[0] == "keras_dsd":
                yield module, name


def parts_of(module, name):
    """Returns the names below the package, say ["layers", "prunable", "Prunable"]."""
    return [*module.split(".")[1:], *([name] if name else [])] or ["__init__"]


def file_of(parts):
    """Returns the file that an import names: the longest path that there is."""
    for end in range(len(parts), 0, -1):
        below = ROOT.joinpath(*parts[:end])
        for file in (below.with_suffix(".py"), below / "__init__.py"):
            if file.exists():
                return file
    return ROOT / "__init__.py"


def names_of(path):
    """Returns the names in a file's `__all__`, in their order."""
    for node in ast.parse(path.read_text()).body:
        if (
            isinstance(node, ast.Assign)
            and getattr(node.targets[0], "id", None) == "__all__"
        ):
            return ast.literal_eval(node.value)
    return []


def test_every_part_has_a_floor():
    parts = {part(path) for path in FILES}
    assert parts == floors().keys()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_run_downwards(path):
    floor, own = floors(), part(path)
    for module, name in imports(path):
        other = part(file_of(parts_of(module, name)))
        assert other == own or floor[other] < floor[own], f"{own} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_other_parts_are_imported_by_their_face(path):
    for module, name in imports(path):
        other, *below = parts_of(module, name)
        face = ROOT / other / "__init__.py"
        if below and other != part(path) and face.exists():
            assert below[0] in names_of(face), f"{below[0]} is not in {other}.__all__"


def test_files_do_not_import_each_other_in_a_circle():
    graph = {
        path: {file_of(parts_of(*one)) for one in imports(path)} - {path}
        for path in FILES
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises a CycleError that names them


@pytest.mark.skipif(
    not (processes.REPOSITORY / "CONTRIBUTING.md").exists(), reason="an installed copy"
)
def test_contributing_has_the_same_floors():
    assert (
        f"```text\n{FLOORS}```"
        in (processes.REPOSITORY / "CONTRIBUTING.md").read_text()
    )


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and lines_of(node) > MOST_LINES_OF_A_FUNCTION
    ]
    assert not long


def lines_of(function):
    """Returns how many lines a function has, without its docstring and decorators."""
    first, lines = function.body[0], function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


@pytest.mark.parametrize("path", FILES, ids=str)
def test_only_the_backend_folder_knows_backends(path):
    if part(path) == "backend" or path in PROGRAMS:
        return
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    assert not names & {"tensorflow", "jax", "torch"}


@pytest.mark.parametrize("path", FILES, ids=str)
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
    # `super()._post_build()` is the one hook that can only be overridden in place, and
    # `_replace` what named tuples document.
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
    assert private <= own | {"_post_build", "_replace"}


def loaded_by(statement):
    """Returns the top-level names of all that a new process has imported after it."""
    program = f"{statement}; import sys; print('LOADED', *sorted(sys.modules))"
    found = processes.run(program)
    line = next(x for x in found.stdout.splitlines() if x.startswith("LOADED"))
    return {name.split(".")[0] for name in line.split()[1:]}


def test_importing_loads_next_to_nothing():
    extra = loaded_by("import keras_dsd") - loaded_by("pass") - sys.stdlib_module_names
    assert extra <= {"keras_dsd", "wrapt"}


def test_importing_loads_no_extra_and_no_other_backend():
    extra = loaded_by("from keras_dsd import *") - loaded_by("import keras")
    unwanted = {"tensorflow", "jax", "torch"} - {keras.backend.backend()}
    unwanted |= {"matplotlib", "rich", "sklearn", "tensorflow_datasets", "tf_keras"}
    assert not extra & unwanted


def test_public_names():
    for name in keras_dsd.__all__:
        assert getattr(keras_dsd, name) is not None
    assert {*keras_dsd.__all__, "robustness"} <= set(dir(keras_dsd))


def test_type_checkers_find_names_where_they_are():
    found = {}
    for module, name in imports(ROOT / "__init__.py"):
        file = file_of(parts_of(module, name))
        if part(file) not in ("_shared", "_version"):
            is_file = name in (file.stem, file.parent.name)
            found[name] = f"{module}.{name}" if is_file else f"{module}:{name}"
    assert found == keras_dsd._PLACES


def test_a_name_is_imported_alone():
    program = (
        "import sys, keras_dsd as dsd; dsd.masks; assert dsd.masks is "
        "sys.modules['keras_dsd.sparsity.masks']; "
        "assert 'keras_dsd.training.callback' not in sys.modules"
    )
    processes.run(program)


@pytest.mark.parametrize("marker", ["demo", "test"])
def test_readme_has_the_commands_that_ci_runs(marker):
    readme = processes.REPOSITORY / "README.md"
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
    processes.run(program)


def test_robustness_says_what_to_install():
    program = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: name != 'cv2' and find(name) or None\n"
        "import keras_dsd\n"
        "try:\n"
        "    keras_dsd.robustness\n"
        "except ImportError as error:\n"
        "    assert 'pip install opencv-python-headless' in str(error)\n"
        "    sys.exit(7)\n"
    )
    assert processes.run(program, check=False).returncode == 7


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="no attribute 'sparsify'"):
        keras_dsd.sparsify  # noqa: B018
