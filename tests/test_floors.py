"""The floors of the design: a module of nmt imports from its own floor or lower ones, never in a circle, never late.

A new module at the top of the package, or a new folder, must be given its floor in the table below.
"""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nmt"

FLOORS = {
    "nmt": 0,  # nmt/__init__.py: imports the public names when they are first asked for
    "nmt.errors": 0,
    "nmt.machine": 0,
    "nmt.types": 0,
    "nmt.parsing": 0,
    "nmt.config": 0,
    "nmt.config_file": 0,
    "nmt.files": 0,
    "nmt.kernels": 0,
    "nmt.tokenizers": 1,
    "nmt.data": 2,
    "nmt.model": 3,
    "nmt.shortlist": 4,
    "nmt.checkpoint": 4,
    "nmt.training": 5,
    "nmt.search": 5,
    "nmt.runtime": 5,
    "nmt.workers": 6,
    "nmt.translate": 6,
    "nmt.translation": 6,
    "nmt.evaluate": 6,
    "nmt.pipe": 6,
    "nmt.validation": 7,
    "nmt.report": 7,
    "nmt.train": 7,
    "nmt.add_shortlist": 7,
    "nmt.export": 7,
    "nmt.average": 7,
    "nmt.commands": 8,
}
HALVES = {"nmt.training", "nmt.search"}  # of floor 5, which never import each other
OPTIONAL = {"numba", "zstandard", "tensorboard", "torch.utils.tensorboard", "matplotlib"}

Modules = dict[str, ast.Module]


def read_modules() -> Modules:
    """Every module by its dotted name; a package is its __init__.py. The linked tokenizers/ are a folder like any."""
    folders = [PACKAGE, *(path for path in PACKAGE.iterdir() if path.is_dir())]
    files = [file for folder in folders for file in folder.glob("*.py" if folder == PACKAGE else "**/*.py")]
    return {_name(file): ast.parse(file.read_text(encoding="utf-8"), str(file)) for file in files}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = read_modules()


def imports(tree: ast.AST) -> set[str]:
    """What the import statements below a node name; `from a import b` counts as a.b."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(tree: ast.AST, modules: Modules) -> set[str]:
    """The modules of the package that are imported below a node."""
    own = {name for name in imports(tree) if name.startswith((".", "nmt.")) or name == "nmt"}
    return {name if name in modules else name.rpartition(".")[0] for name in own}


def unit(module: str) -> str:
    """The line of the table that a module belongs to: nmt.data.readers to nmt.data."""
    return ".".join(module.split(".")[:2])


def upward(modules: Modules) -> list[str]:
    return [
        f"{module} imports {other}"
        for module, tree in modules.items()
        if module != "nmt"
        for other in own_imports(tree, modules)
        if FLOORS[unit(other)] > FLOORS[unit(module)] or {unit(module), unit(other)} == HALVES
    ]


def circle(modules: Modules) -> list[str]:
    graph = {module: own_imports(tree, modules) - {"nmt"} for module, tree in modules.items() if module != "nmt"}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def late(modules: Modules) -> list[str]:
    """Imports of our own inside functions; only commands may, so that --help need not wait, and the public names."""
    return [
        f"{module}.{node.name} imports {other}"
        for module, tree in modules.items()
        if module != "nmt" and unit(module) != "nmt.commands"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for other in own_imports(node, modules)
    ]


def optional(modules: Modules) -> dict[str, list[str]]:
    """Optional packages, and the modules that import them."""
    users: dict[str, list[str]] = {}
    for module, tree in modules.items():
        for package in OPTIONAL:
            if any(f"{name}.".startswith(f"{package}.") for name in imports(tree)):
                users.setdefault(package.rpartition(".")[2], []).append(module)
    return users


def test_every_module_has_a_floor() -> None:
    assert {unit(module) for module in MODULES} <= set(FLOORS)
    assert "nmt.tokenizers.base" in MODULES


def test_relative_imports_are_not_used() -> None:
    assert not [module for module, tree in MODULES.items() if any(name.startswith(".") for name in imports(tree))]


def test_nothing_is_imported_from_above_or_across() -> None:
    assert upward(MODULES) == []


def test_no_circles() -> None:
    assert circle(MODULES) == []


def test_no_late_imports() -> None:
    assert late(MODULES) == []


def test_an_optional_package_is_imported_in_one_file() -> None:
    assert {package: users for package, users in optional(MODULES).items() if len(users) > 1} == {}


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
def test_imports_from_above_and_across_are_found(source: str) -> None:
    trainer = parse(training="", training__trainer="class Trainer: ...")
    assert len(upward({**parse(data__readers=source), **trainer})) == 1
    assert len(upward({**parse(search__beam=source), **trainer})) == 1
    assert upward({**parse(train=source), **trainer}) == []


def test_circles_are_found() -> None:
    first, second = "from nmt.data.b import x", "from nmt.data import a"
    assert circle(parse(data__a=first, data__b=second)) != []
    assert circle(parse(data__a=first, data__b="")) == []


def test_late_imports_are_found() -> None:
    source = "def f():\n    from nmt.files import read_lines"
    assert len(late(parse(data__a=source, files=""))) == 1
    assert late(parse(commands__a=source, files="")) == []
    assert late(parse(data__a="def f():\n    import zstandard", files="")) == []


def test_optional_packages_are_found() -> None:
    first, second = "from torch.utils.tensorboard import SummaryWriter", "import tensorboard.x"
    assert optional(parse(a=first, b=second)) == {"tensorboard": ["nmt.a", "nmt.b"]}
    assert optional(parse(a="import torch.utils", b=second)) == {"tensorboard": ["nmt.b"]}
