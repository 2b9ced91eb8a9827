"""Configurations with mutated YAML, and overrides with strange values."""

import random
from collections.abc import Callable
from pathlib import Path

from fuzzing.case import Case
from fuzzing.mutations import SNIPPETS, VALUES, mutate_yaml
from nmt.commands.process import run
from nmt.config.fields import fields_of
from nmt.config.load import dump_config, load_config, parse_config, read_yaml
from nmt.config.schema import Config

ROOT = Path(__file__).resolve().parents[2]


def prepare(shared: Path) -> Callable[[random.Random, Path], Case]:  # noqa: ARG001
    """Return the function that makes a case, from the recipes and from the same recipes with every key."""
    recipes = sorted((ROOT / "configs").rglob("*.yaml"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in recipes if "model:" in path.read_text()}
    complete = {f"complete {path.name}": dump_config(load_config(path)) for path in recipes if path.name in texts}
    sources = list((texts | complete).items())

    def make(draw: random.Random, folder: Path) -> Case:
        name, text = draw.choice(sources)
        changes, overrides = [name], []
        for _ in range(draw.choice((0, 1, 1, 1, 2))):
            try:
                text, change = mutate_yaml(text, draw)
            except Exception:
                break
            changes.append(change)
            if "bomb" in change:  # further changes would unpack it
                break
        while draw.random() < (0.9 if len(changes) == 1 else 0.2):
            overrides.append(draw_override(draw))
            changes.append(overrides[-1][:60])
        (folder / "config.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        return Case(name=", ".join(map(repr, changes)), act=lambda: read(overrides), seconds=10, megabytes=100)

    return make


def draw_override(draw: random.Random) -> str:
    """Return an override of a random key."""
    section = draw.choice(list(fields_of(Config).values()))
    key = draw.choice([*fields_of(section.type), "unknown", ""])
    value = draw.choice((draw.choice(SNIPPETS), str(draw.choice(VALUES[1:5])), repr(draw.choice(VALUES[:4]))))
    return draw.choice(("{}.{}={}", "{}.{}={}", "{}.{}={}", "{}{}{}", "{}.{}[0]={}")).format(section.name, key, value)


def read(overrides: list[str]) -> int:
    """Read the configuration as nmt-train does. A configuration that is accepted must be read back as it is written."""

    def body() -> None:
        config = load_config("config.yaml", overrides)
        Path("again.yaml").write_text(dump_config(config), encoding="utf-8")
        again = parse_config(read_yaml("again.yaml"), trained=True)
        assert again == config, "the configuration changes when it is written and read"

    return run("fuzz", body)
