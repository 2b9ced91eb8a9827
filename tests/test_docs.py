"""The documents name only files, links, configuration keys, commands, options and imports that exist."""

import contextlib
import importlib
import io
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml

from nmt.config import removed
from nmt.config.load import parse_config
from nmt.config.schema import Config
from nmt.native.packing import PACKABLE
from nmt.tokenizers.standard_rules import build_normalizers

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMANDS = (
    "nmt-train", "nmt-translate", "nmt-evaluate", "nmt-export", "nmt-average", "nmt-check", "nmt-score", "nmt-corpus"
)  # fmt: skip
SUBCOMMANDS = {"nmt-corpus": ("translate", "score", "check", "status", "verify", "merge")}

pages = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def code(page: Path) -> list[str]:
    """The lines of shell blocks, and everything between backticks in the text."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return lines + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def known_options(command: str) -> frozenset[str]:
    """The options in a command's own help."""
    module = importlib.import_module(f"nmt.commands.{command.removeprefix('nmt-')}")
    answer = io.StringIO()
    for subcommand in SUBCOMMANDS.get(command, ("",)):
        with contextlib.redirect_stdout(answer), pytest.raises(SystemExit):
            module.main([*filter(None, [subcommand]), "--help"])
    return frozenset(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", answer.getvalue()))


def calls(line: str) -> list[list[str]]:
    """The calls of our commands in a line of shell."""
    parts = re.split(r"[|;&]|\$\(", line)
    return [words for part in parts for words in [split(part)] if words and words[0] in COMMANDS]


def split(part: str) -> list[str]:
    try:
        return shlex.split(part, comments=True)
    except ValueError:  # an apostrophe in prose
        return []


def test_what_the_native_engine_knows_is_documented() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (paragraph,) = re.findall(r"^The engine knows .*?\n\n", text, flags=re.DOTALL | re.MULTILINE)
    values = {value for known in PACKABLE.values() for value in known if isinstance(value, str)}
    assert set(re.findall(r"`(\w+)`", paragraph)) == {*PACKABLE, *values}


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            path, _, anchor = target.partition("#")
            goal = page.parent / path if path else page
            assert goal.exists(), target
            assert not anchor or anchor in anchors(goal), target


@pages
def test_files_in_backticks_are_there(page: Path) -> None:
    for text in code(page):
        for path in re.findall(r"(?<![\w./-])(?:nmt|tokenizers|scripts|tests|configs|docs)/[\w./-]*\w", text):
            assert (ROOT / path).exists() or (ROOT / f"{path}.py").exists(), path


@pages
def test_configurations_are_valid(page: Path, tmp_path: Path) -> None:
    for block in blocks(page, "yaml"):
        if "replace" in yaml.safe_load(block):
            (tmp_path / "rules.yaml").write_text(block, encoding="utf-8")
            build_normalizers(str(tmp_path / "rules.yaml"))
        else:
            parse_config(yaml.safe_load(block))


@pages
def test_options_and_overrides_exist(page: Path) -> None:
    for line in code(page):
        for command, *words in calls(line):
            given = {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z].*", word)}
            assert given <= known_options(command), line
            if command == "nmt-train":
                parse_config({}, [word for word in words if re.match(r"[a-z]+\.[a-z_]+=", word)])


@pages
def test_imports_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name == "upgrading.md":
        text = re.sub(r"^\| [^|]*\|", "", text, flags=re.MULTILINE)  # the first column shows imports of older versions
    for module, names in re.findall(r"from (nmt[\w.]*) import (\w[\w, ]*)", text):
        for name in names.split(", "):
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pages
def test_sections_and_keys_exist(page: Path) -> None:
    """Text such as `training.epochs` or `model.cell=gru` names a key of the configuration."""
    defaults = Config()
    for text in code(page):
        for section, key in re.findall(r"(?<![\w./])(data|tokenizer|model|training|validation)\.([a-z_]+)\b", text):
            endings = {"py", "yaml", "safetensors", "en", "de", "json", "nmt"}
            known = hasattr(getattr(defaults, section), key) or f"{section}.{key}" in removed.KEYS
            assert key in endings or known, f"{section}.{key}"
