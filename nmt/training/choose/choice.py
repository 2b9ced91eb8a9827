"""Records of a text and of the settings that were chosen for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nmt.config.schema import Config
from nmt.data.cleaning import CleaningReport
from nmt.training.choose.adapt import Start
from nmt.training.choose.measure import TextMeasures
from nmt.training.choose.rules import Content
from nmt.training.choose.speed import Length, Speed


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A text after validation and test sets were cut off."""

    data: dict[str, Any]
    """The section `data` of the recipe."""
    read: CleaningReport | None
    """The counts of the pairs of the whole text, or None if nothing was cut off."""
    sizes: Mapping[str, int]
    """The numbers of pairs in the sets that were cut off: `valid` and `test`."""
    start: Start | None = None
    """The model from which training continues."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The settings that were chosen for a text, and what they were chosen by."""

    parts: Parts
    measures: TextMeasures
    settings: Content
    """The chosen settings: a configuration without its section `data`. The settings of the user are not part of it."""
    config: Config
    """The configuration of the training, with the settings of the user."""
    small: bool
    """Whether the network is smaller than that of the rule, because there is little time."""
    speed: Speed
    length: Length
    full: int
    """The number of updates without a limit of the time."""
