"""The order of rooms: a module of nmt imports only from its own room or from rooms above it, never in a circle."""

import ast
import configparser
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nmt"
LOOSE = {"nmt", "nmt.errors", "nmt.types"}  # the modules at the top of the package; everything else has a room
ROOMS = (
    "nmt.errors",
    "nmt.types",
    "nmt.system",
    "nmt.metrics",
    "nmt.config",
    "nmt.tokenizers",
    "nmt.data",
    "nmt.model",
    "nmt.search",
    "nmt.checkpoint",
    "nmt.translation",
    "nmt.evaluation",
    "nmt.training",
    "nmt.commands",
)
OPTIONAL = {"numba", "backports.zstd", "fsspec", "tensorboard", "torch.utils.tensorboard", "matplotlib"}

Modules = dict[str, ast.Module]


def read_modules() -> Modules:
    """Parse every module, by dotted name. `glob` does not follow the link to tokenizers/, so it is listed by itself."""
    folders = [PACKAGE, PACKAGE / "tokenizers"]
    files = {file for folder in folders for file in folder.glob("**/*.py")}
    return {_name(file): ast.parse(file.read_text(encoding="utf-8"), str(file)) for file in files}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = read_modules()


def imports(tree: ast.AST) -> set[str]:
    """Names in the import statements below a node; `from a import b` counts as a.b."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(tree: ast.AST, modules: Modules) -> set[str]:
    """The modules of nmt that are imported below a node."""
    own = {name for name in imports(tree) if name.startswith((".", "nmt.")) or name == "nmt"}
    return {name if name in modules else name.rpartition(".")[0] for name in own}


def room(module: str) -> str:
    """The room of a module: nmt.data.readers is in nmt.data."""
    return ".".join(module.split(".")[:2])


def find_upward(modules: Modules) -> list[str]:
    return [
        f"{module} imports {other}"
        for module, tree in modules.items()
        if module != "nmt"
        for other in own_imports(tree, modules) - {"nmt"}
        if ROOMS.index(room(other)) > ROOMS.index(room(module))
    ]


def find_circle(modules: Modules) -> list[str]:
    graph = {module: own_imports(tree, modules) - {"nmt"} for module, tree in modules.items() if module != "nmt"}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def find_late(modules: Modules) -> list[str]:
    """Imports of nmt inside functions. Only commands may have them, so that --help does not wait for torch."""
    return [
        f"{module}.{node.name} imports {other}"
        for module, tree in modules.items()
        if module != "nmt" and room(module) != "nmt.commands"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for other in own_imports(node, modules)
    ]


def find_optional(modules: Modules) -> dict[str, list[str]]:
    """The modules that import each optional package."""
    users: dict[str, list[str]] = {}
    for module, tree in modules.items():
        for package in OPTIONAL:
            if any(f"{name}.".startswith(f"{package}.") for name in imports(tree)):
                users.setdefault(package.rpartition(".")[2], []).append(module)
    return users


def test_every_module_has_a_room() -> None:
    assert {room(module) for module in MODULES} == {"nmt", *ROOMS}
    assert {module for module in MODULES if module.count(".") <= 1 and f"{module}.__init__" not in MODULES} >= LOOSE
    assert {file.stem for file in PACKAGE.glob("*.py")} == {"__init__", "errors", "types"}
    assert "nmt.tokenizers.base" in MODULES


def test_tests_have_the_same_rooms() -> None:
    rooms = {path.name for path in (PACKAGE.parent / "tests").iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert rooms <= {name.partition(".")[2] for name in ROOMS} | {"scripts"}


def test_setup_lists_every_package_and_every_data_file() -> None:
    """What it does not list is missing in an installed package."""
    setup = configparser.ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    packages = {_name(file) for file in PACKAGE.glob("**/__init__.py")} | {"nmt.tokenizers"}
    assert set(setup["options"]["packages"].split()) == packages
    listed = {
        PACKAGE.parent / package.replace(".", "/") / name
        for package, names in setup["options.package_data"].items()
        for name in names.split()
    }
    files = (file for file in PACKAGE.glob("**/*") if file.is_file() and file.parent.name != "__pycache__")
    data = {file for file in files if file.suffix != ".py"}
    assert listed == data


def test_relative_imports_are_not_used() -> None:
    assert not [module for module, tree in MODULES.items() if any(name.startswith(".") for name in imports(tree))]


def test_nothing_is_imported_from_below() -> None:
    assert find_upward(MODULES) == []


def test_no_circles() -> None:
    assert find_circle(MODULES) == []


def test_no_late_imports() -> None:
    assert find_late(MODULES) == []


def test_an_optional_package_is_imported_in_one_file() -> None:
    assert {package: users for package, users in find_optional(MODULES).items() if len(users) > 1} == {}


def parse(**sources: str) -> Modules:
    return {f"nmt.{name.replace('__', '.')}": ast.parse(source) for name, source in sources.items()}


@pytest.mark.parametrize(
    "source",
    [
        "from nmt.training.trainer import Trainer",
        "import nmt.training.trainer",
        "from nmt.training import trainer",
        "from nmt import training",
        "def f():\n    from nmt.training.trainer import Trainer",
    ],
)
def test_imports_from_below_are_found(source: str) -> None:
    trainer = parse(training="", training__trainer="class Trainer: ...")
    assert len(find_upward({**parse(data__readers=source), **trainer})) == 1
    assert find_upward({**parse(commands__train=source), **trainer}) == []


def test_circles_are_found() -> None:
    first, second = "from nmt.data.b import x", "from nmt.data import a"
    assert find_circle(parse(data__a=first, data__b=second)) != []
    assert find_circle(parse(data__a=first, data__b="")) == []


def test_late_imports_are_found() -> None:
    source = "def f():\n    from nmt.system.files import whole_folder"
    assert len(find_late(parse(data__a=source, system__files=""))) == 1
    assert find_late(parse(commands__a=source, system__files="")) == []
    assert find_late(parse(data__a="def f():\n    import zstandard", system__files="")) == []


def test_optional_packages_are_found() -> None:
    first, second = "from torch.utils.tensorboard import SummaryWriter", "import tensorboard.x"
    assert find_optional(parse(data__a=first, data__b=second)) == {"tensorboard": ["nmt.data.a", "nmt.data.b"]}
    assert find_optional(parse(data__a="import torch.utils", data__b=second)) == {"tensorboard": ["nmt.data.b"]}
