"""What is done to the lines of a corpus: translate, score or check. A task turns items into one text for each."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nmt.corpus.checks import check_items
from nmt.corpus.items import Columns, Item, Work
from nmt.corpus.job import TaskName
from nmt.search.options import MbrOptions, Options, SearchOptions
from nmt.system.machine import keep_memory
from nmt.translation.translator import Translator

PER = {"sentence": "log_probability", "token": "per_token", "word": "per_word"}


@dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that a worker needs to do its work. It is pickled and sent to workers, also on other machines."""

    name: TaskName
    columns: Columns
    models: tuple[str, ...] = ()
    """The folders of the models. A worker on another machine finds them under the same paths."""
    load: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `Translator.load`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The fields of each `Request`; for scores, also `per`."""
    search: Options | MbrOptions = field(default_factory=SearchOptions)

    @property
    def can_divide(self) -> bool:
        """Whether the result of a line depends on this line only, so that lines can also be processed one by one."""
        return self.name != "check"

    def prepare(self) -> Work:
        """Load the models, and return the function that does the work.

        Raises:
            UserError: a model is damaged, or does not fit the settings.
        """
        logging.getLogger("nmt").setLevel(logging.ERROR)  # a billion lines can cause millions of warnings
        if self.name == "check":
            return check_items
        keep_memory()
        translator = Translator.load(*self.models, **self.load)
        translator.check(to=self.settings.get("to"), tag=self.settings.get("tag"))
        if self.name == "score":
            return lambda items: _score(translator, self.settings, items)
        return lambda items: translator.translate([item.text or "" for item in items], self.search, **self.settings)


def _score(translator: Translator, settings: Mapping[str, Any], items: Sequence[Item]) -> list[str]:
    texts, targets = [item.text or "" for item in items], [item.target for item in items]
    scores = translator.score(texts, targets, to=settings.get("to"), tag=settings.get("tag"))
    name = PER[settings.get("per", "sentence")]
    return [f"{getattr(score, name):.4f}" for score in scores]
