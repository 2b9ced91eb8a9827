"""Functions that write the configuration reference from the declarations in nmt/config."""

import textwrap
import typing
from pathlib import Path
from typing import Literal

from nmt.config.corpus import CorpusConfig
from nmt.config.fields import Field, OnlyWith, docs_of, fields_of, format_value, read_hint
from nmt.config.schema import Config

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
SCALARS = {str | int: "text or whole number", str: "text", int: "whole number", float: "number", bool: "true or false"}
START = """\
# Configuration

<!-- Written by scripts/write-configuration-docs from nmt/config/schema.py and nmt/config/corpus.py:
change the docstrings there. -->

For a text, `nmt-train` [chooses a configuration](howto/train.md#train-on-your-own-text). Otherwise, it reads one YAML
file with the sections
{sections}.
A file holds only what differs from the defaults; `null` means "not set". `section.key=value` on the command line
overrides the file. Unknown keys, wrong types and values out of range are reported together, then keys that contradict
each other; all before any work begins.

```sh
nmt-train configs/multi30k-en-de.yaml model.embedding_dropout=0.4 training.epochs=10 --output runs/m30k
```

`best/config.yaml` in the output folder holds every key with the value that the training used.
"""


def format_page() -> str:
    """Return the whole page in Markdown."""
    sections = fields_of(Config)
    parts = [START.format(sections=", ".join(f"[{name}](#{name})" for name in sections))]
    for name, section in sections.items():
        parts.append(f"## {name}\n\n{section.type.__doc__}\n\n{describe_fields(section.type)}")
        if name == "data":
            parts.append(f"### Corpora\n\n{CorpusConfig.__doc__}\n\n{describe_fields(CorpusConfig)}")
    return "\n".join(parts)


def describe_fields(kind: type) -> str:
    """Return a list with an entry for each field: its values, its default and its docstring."""
    docs = docs_of(kind)
    lines = []
    for name, field in fields_of(kind).items():
        conditions = [f"Only if {describe_condition(condition)}." for condition in field.only_with]
        lines += [
            f"- **`{name}`**: {describe_values(field)}; default `{format_value(field.default)}`.",
            textwrap.indent(wrap(" ".join([docs[name], *conditions])), "  "),
        ]
    return "\n".join(lines) + "\n"


def wrap(text: str) -> str:
    """Wrap a paragraph of a list to lines of 120 characters, including the indentation."""
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False)


def describe_condition(condition: OnlyWith) -> str:
    """Return a condition in Markdown: "`model.cell` is `lstm`, `gru` or `rnn`"."""
    *others, last = (f"`{format_value(value)}`" for value in condition.values)
    values = f"{', '.join(others)} or {last}" if others else last
    return f"`{condition.key}` is {values}" + f" ({condition.why})" * bool(condition.why)


def describe_values(field: Field) -> str:
    """Describe the values that a field can have."""
    arguments = typing.get_args(field.type)
    if typing.get_origin(field.type) is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if arguments[:1] == (CorpusConfig,):
        return "[corpus](#corpora), or a list of them"
    if typing.get_origin(field.type) is tuple:
        item = describe_values(read_hint(arguments[0]))
        return f"list of {item}" if arguments[-1] is Ellipsis else f"list of {len(arguments)}, each a {item}"
    return SCALARS[field.type] + (f" {field.range}" if field.range else "")


def main() -> None:
    """Write docs/configuration.md."""
    PAGE.write_text(format_page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(PAGE.parents[1])}")
