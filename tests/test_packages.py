"""Imports between packages: only from the same package or an earlier one, and never in a circle."""

import ast
import configparser
import graphlib
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nmt"
DOCUMENT = PACKAGE.parent / "docs" / "architecture.md"
OPTIONAL = {"backports.zstd", "ray", "tensorboard", "torch.utils.tensorboard", "matplotlib"}

MAX_LINES = 400

# Modules that import other modules of nmt inside functions. Commands do it too, so that --help does not wait for torch.
LATE = {
    "nmt.checkpoint.packed",  # only packing waits for YAML
    "nmt.checkpoint.run_folder",  # only addresses of the hub wait for it
    "nmt.data.sentences",  # only lines of several sentences wait for sentencex
    "nmt.tokenizers.subword",  # only training samples segmentations
    "nmt.translation.translator",  # only a search with torch waits for torch
}

Modules = dict[str, ast.Module]


def read_modules() -> Modules:
    """Parse all modules, by dotted name. `glob` does not follow the link to tokenizers/, so it is listed separately."""
    folders = [PACKAGE, PACKAGE / "tokenizers"]
    files = {file for folder in folders for file in folder.glob("**/*.py")}
    return {_name(file): ast.parse(file.read_text(encoding="utf-8"), str(file)) for file in files}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def read_order() -> list[str]:
    """Read the packages and the modules outside of packages, in their order, from the table in docs/architecture.md."""
    cells = re.findall(r"^\| (`(?:nmt|tokenizers)/.*?) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    paths = [path.strip("/").removesuffix(".py") for cell in cells for path in re.findall(r"`([\w./]+/[\w.]*)`", cell)]
    paths = [path for path in paths if path.count("/") < 2]  # a package within a package belongs to it
    return [path.replace("/", ".") if path.startswith("nmt/") else f"nmt.{path}" for path in paths]


MODULES = read_modules()
ORDER = read_order()


def imports(tree: ast.AST) -> set[str]:
    """Return the names in the import statements below a node. `from a import b` counts as a.b."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(tree: ast.AST, modules: Modules) -> set[str]:
    """Return the modules of nmt that are imported below a node."""
    own = {name for name in imports(tree) if name.startswith((".", "nmt.")) or name == "nmt"}
    return {name if name in modules else name.rpartition(".")[0] for name in own}


def package_of(module: str) -> str:
    """Return the package of a module: nmt.data for nmt.data.readers."""
    return ".".join(module.split(".")[:2])


def find_upward(modules: Modules) -> list[str]:
    return [
        f"{module} imports {other}"
        for module, tree in modules.items()
        if module != "nmt"
        for other in own_imports(tree, modules) - {"nmt"}
        if ORDER.index(package_of(other)) > ORDER.index(package_of(module))
    ]


def find_circle(modules: Modules) -> list[str]:
    graph = {module: own_imports(tree, modules) - {"nmt"} for module, tree in modules.items() if module != "nmt"}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def find_late(modules: Modules) -> list[str]:
    """Find imports of nmt inside functions. Only commands and the modules in LATE may have them."""
    return [
        f"{module}.{node.name} imports {other}"
        for module, tree in modules.items()
        if module not in ("nmt", *LATE) and package_of(module) != "nmt.commands"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for other in own_imports(node, modules)
    ]


def find_optional(modules: Modules) -> dict[str, list[str]]:
    """Find the modules that import each optional package."""
    users: dict[str, list[str]] = {}
    for module, tree in modules.items():
        for package in OPTIONAL:
            if any(f"{name}.".startswith(f"{package}.") for name in imports(tree)):
                users.setdefault(package.rpartition(".")[2], []).append(module)
    return users


def test_every_package_is_in_the_document() -> None:
    assert {package_of(module) for module in MODULES} == {"nmt", *ORDER}
    assert {file.stem for file in PACKAGE.glob("*.py")} == {"__init__", "errors", "types"}
    assert "nmt.tokenizers.base" in MODULES


def test_folders_of_tests_are_packages() -> None:
    folders = {path.name for path in (PACKAGE.parent / "tests").iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert folders <= {name.partition(".")[2] for name in ORDER} | {"scripts"}


def test_setup_lists_every_package_and_data_file() -> None:
    """A file that setup.cfg does not list is missing from an installed package."""
    setup = configparser.ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg", encoding="utf-8")
    packages = {_name(file) for file in PACKAGE.glob("**/__init__.py")} | {"nmt.tokenizers"}
    assert set(setup["options"]["packages"].split()) == packages
    listed = {
        file
        for package, patterns in setup["options.package_data"].items()
        for pattern in patterns.split()
        for file in PACKAGE.parent.joinpath(*package.split(".")).glob(pattern)
    }
    files = (file for file in PACKAGE.glob("**/*") if file.is_file() and file.parent.name != "__pycache__")
    # Editable installations compile the native library into its package. Wheels compile their own.
    data = {file for file in files if file.suffix != ".py" and file.stem != "libnmt"}
    assert listed == data


def test_files_are_short() -> None:
    files = (file for folder in (PACKAGE, PACKAGE / "tokenizers") for file in folder.glob("**/*.py"))
    assert not [file for file in files if len(file.read_text(encoding="utf-8").splitlines()) > MAX_LINES]


def test_relative_imports_are_not_used() -> None:
    assert not [module for module, tree in MODULES.items() if any(name.startswith(".") for name in imports(tree))]


def test_no_imports_from_later_packages() -> None:
    assert find_upward(MODULES) == []


def test_no_circular_imports() -> None:
    assert find_circle(MODULES) == []


def test_no_imports_inside_functions() -> None:
    assert find_late(MODULES) == []


def test_optional_package_is_imported_in_one_file() -> None:
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
def test_find_upward(source: str) -> None:
    trainer = parse(training="", training__trainer="class Trainer: ...")
    assert len(find_upward({**parse(data__readers=source), **trainer})) == 1
    assert find_upward({**parse(commands__train=source), **trainer}) == []


def test_find_circle() -> None:
    first, second = "from nmt.data.b import x", "from nmt.data import a"
    assert find_circle(parse(data__a=first, data__b=second)) != []
    assert find_circle(parse(data__a=first, data__b="")) == []


def test_find_late() -> None:
    source = "def f():\n    from nmt.system.files import whole_folder"
    assert len(find_late(parse(data__a=source, system__files=""))) == 1
    assert find_late(parse(commands__a=source, system__files="")) == []
    assert find_late(parse(data__a="def f():\n    import zstandard", system__files="")) == []


def test_find_optional() -> None:
    first, second = "from torch.utils.tensorboard import SummaryWriter", "import tensorboard.x"
    assert find_optional(parse(data__a=first, data__b=second)) == {"tensorboard": ["nmt.data.a", "nmt.data.b"]}
    assert find_optional(parse(data__a="import torch.utils", data__b=second)) == {"tensorboard": ["nmt.data.b"]}
