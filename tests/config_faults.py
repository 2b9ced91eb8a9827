"""The faults that a configuration is refused for."""

import pytest

from nmt.config.load import parse_config
from nmt.errors import ConfigError


def find_faults(content: object, *overrides: str, trained: bool = False) -> list[str]:
    """The lines of the error without the place at their beginning: the file, or the command line for an override."""
    with pytest.raises(ConfigError) as caught:
        parse_config(content, overrides, where="c.yaml", trained=trained)
    lines = str(caught.value).split("\n")
    assert all(line.startswith(("c.yaml: ", "command line: ")) for line in lines)
    return [line.removeprefix("c.yaml: ").removeprefix("command line: ") for line in lines]
