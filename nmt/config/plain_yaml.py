"""A parser of the part of YAML that configurations need. It is safe to read files of strangers with it.

Anchors, aliases and tags are not allowed, because 371 bytes of aliases can expand to 50 MB. All numbers are decimal.
Dates, and the octal, hexadecimal, binary and sexagesimal numbers of YAML 1.1, are read as text. Sizes and depths are
limited.
"""

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

MAX_YAML_CHARACTERS = 1 << 18
"""The limit of a YAML text in characters. The parser reads such a text within a few seconds."""
_MAX_NODE_ITEMS = 10_000  # the limit of items in a list or a mapping
_MAX_LEVELS = 20
_MAX_DIGITS = 100  # the limit of digits in a number


class _Loader(yaml.SafeLoader):
    """A loader that refuses anchors, aliases, tags, repeated keys, and keys that are not plain values."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - filled below
    levels = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise ConstructorError(
                None, None, "anchors and aliases are not allowed; repeat the value", event.start_mark
            )
        if event.tag is not None:
            raise ConstructorError(None, None, "tags (!...) are not allowed; write the plain value", event.start_mark)
        if self.levels == _MAX_LEVELS:
            raise ConstructorError(None, None, f"more than {_MAX_LEVELS} levels", event.start_mark)
        self.levels += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.levels -= 1
        if isinstance(node, yaml.CollectionNode) and len(node.value) > _MAX_NODE_ITEMS:
            raise ConstructorError(None, None, f"more than {_MAX_NODE_ITEMS:,} items", node.start_mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ConstructorError(None, None, "a key must be a word, not a list or keys", key.start_mark)
            if key.value in keys:
                raise ConstructorError(None, None, f"{key.value:.100} is given twice", key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        text = node.value
        if len(text) > _MAX_DIGITS:
            raise ConstructorError(None, None, f"a number of more than {_MAX_DIGITS} digits", node.start_mark)
        if node.tag == "tag:yaml.org,2002:int":
            return int(text)
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


for _tag, _first, _pattern in (
    ("bool", "yYnNtTfFoO", "yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"),
    ("null", ["~", "n", "N", ""], "~|null|Null|NULL|"),
    ("int", "-+0123456789", r"[-+]?(0|[1-9][0-9]*)"),
    ("float", "-+0123456789.", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.construct_number)


def parse_yaml(text: str) -> Any:
    """Parse a YAML text. Raises yaml.YAMLError: the text is not valid, or has a part that is not allowed here."""
    if len(text) > MAX_YAML_CHARACTERS:
        raise yaml.YAMLError(f"more than {MAX_YAML_CHARACTERS:,} characters; configurations are shorter")
    try:
        return yaml.load(text, _Loader)
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(str(error)) from error
