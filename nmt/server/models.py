"""The models that the server has loaded, and the way from one language to another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.checkpoint.run_folder import BEST
from nmt.checkpoint.training_text import load_languages
from nmt.data.check.languages import OTHER, LanguageIdentifier
from nmt.errors import ConfigError
from nmt.metrics.languages import language_code
from nmt.search.options import SearchOptions
from nmt.server.errors import RequestError
from nmt.translation.translator import Translator


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedModel:
    """A model that is loaded."""

    name: str
    """The name by which clients choose the model."""
    translator: Translator
    identifier: LanguageIdentifier | None = None
    """Identifies the languages of the training text, if the model folder has it."""

    @property
    def batch(self) -> int:
        """The number of segments to translate at once, or 0 if each is translated by its own."""
        search = SearchOptions()
        return 0 if self.translator.is_native else self.translator.max_segments(search)

    @property
    def sources(self) -> tuple[str, ...]:
        """The codes of the source languages."""
        return tuple(self.translator.data.source_languages)

    @property
    def targets(self) -> tuple[str, ...]:
        """The codes of the target languages."""
        return tuple(self.translator.data.target_languages)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of training corpora."""
        return tuple(self.translator.data.corpus_tags)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A translation by one model, from one language to another."""

    model: ServedModel
    source: str
    target: str


Chain = tuple[Step, ...]


class Models:
    """All models of a server.

    Args:
        models: the models. Of several models for the same languages, the first is the default.
        pivot: a language. Languages that no model connects are translated into it first, and from it by a second model.
    """

    def __init__(self, models: Sequence[ServedModel], pivot: str | None = None) -> None:
        self.models, self.pivot = tuple(models), pivot
        self._direct: dict[tuple[str, str], Step] = {}
        for model in models:
            for step in _list_steps(model):
                self._direct.setdefault((step.source, step.target), step)
        self.paths: dict[tuple[str, str], Chain] = {pair: (step,) for pair, step in self._direct.items()}
        for into in self._direct.values() if pivot else ():
            for out in self._direct.values():
                ends = (into.source, out.target)
                if _matches(into.target, pivot) and _matches(out.source, pivot) and len(set(ends)) == 2:
                    self.paths.setdefault(ends, (into, out))
        self.sources = tuple(dict.fromkeys(source for source, _ in self.paths))
        self.targets = tuple(dict.fromkeys(target for _, target in self.paths))

    def list_targets(self, source: str) -> list[str]:
        """Return the languages into which a source language can be translated."""
        return [target for first, target in self.paths if first == source]

    def find_source(self, code: str) -> str | None:
        """Return the source language with a code, in the spelling of its model. Case and regions may differ."""
        return find_language(code, self.sources)

    def find_target(self, code: str) -> str | None:
        """Return the target language with a code, as `find_source` does."""
        return find_language(code, self.targets)

    def find_path(self, source: str | None, target: str | None, *, model: str | None = None) -> Chain:
        """Return the models that translate from one language into another, one after the other.

        Args:
            source: the code of the source language. It can be left out if there is only one choice.
            target: the code of the target language. It can be left out if there is only one choice.
            model: the name of a model, which must translate between the two languages itself.

        Raises:
            RequestError: no model or no chain of models does, or more than one choice is left.
        """
        paths: Iterable[Chain] = self.paths.values()
        if model is not None:
            chosen = [each for each in self.models if each.name == model]
            if not chosen:
                names = " or ".join(each.name for each in self.models)
                raise RequestError(400, f"model: not loaded; choose {names}, or leave it out")
            paths = [(step,) for step in _list_steps(chosen[0])]
        ends = {(path[0].source, path[-1].target): path for path in paths}
        if source is not None:
            found = find_language(source, [pair[0] for pair in ends])
            if found is None:
                raise RequestError(400, f"source: {_list(pair[0] for pair in ends)}")
            ends = {pair: path for pair, path in ends.items() if pair[0] == found}
        if target is not None:
            found = find_language(target, [pair[1] for pair in ends])
            if found is None:
                raise RequestError(400, f"target: {_list(pair[1] for pair in ends)}")
            ends = {pair: path for pair, path in ends.items() if pair[1] == found}
        if len(ends) > 1:
            name, place = ("source", 0) if source is None and len({pair[0] for pair in ends}) > 1 else ("target", 1)
            raise RequestError(400, f"{name}: missing; {_list(pair[place] for pair in ends)}")
        return next(iter(ends.values()))

    def detect(self, text: str, among: Sequence[str] | None = None) -> list[tuple[str, float]]:
        """Return the languages that a text can be in with their probabilities, the most probable first.

        Languages that no model has been trained on are missing, so the sum can be far below 1.

        Args:
            text: the text.
            among: the languages to choose from. By default, all languages of the models.
        """
        known = among if among is not None else list(dict.fromkeys((*self.sources, *self.targets)))
        if not any(map(str.isalpha, text)):
            return []
        best: dict[str, float] = {}
        for model in self.models:
            for name, probability in model.identifier.identify(text).items() if model.identifier else ():
                language = None if name == OTHER else find_language(name, known)
                if language:
                    best[language] = max(best.get(language, 0.0), probability)
        scale = max(1.0, sum(best.values()))
        return sorted(((name, value / scale) for name, value in best.items()), key=lambda pair: -pair[1])

    @property
    def can_detect(self) -> bool:
        """Whether a model knows its languages. Models of versions before 0.3 do not."""
        return any(model.identifier for model in self.models)


def load_models(folders: Sequence[str], pivot: str | None = None, **settings: Any) -> Models:
    """Load models.

    Args:
        folders: a model folder or an output folder of nmt-train for each model, also as NAME=FOLDER.
        pivot: see `Models`.
        settings: arguments of `Translator.load`.

    Raises:
        ConfigError: two models have the same name, no model has two languages, or no pair of languages needs the pivot.
        ModelError: a folder is missing or damaged.
    """
    models: dict[str, ServedModel] = {}
    for argument in folders:
        name, equals, folder = argument.partition("=")
        if not equals or Path(argument).exists():
            path = Path(argument)
            name, folder = (path.parent if path.name == BEST else path).resolve().name, argument
        if name in models:
            raise ConfigError(f"{folder}: another model is called {name} too; write NAME=FOLDER")
        translator = Translator.load(folder, **settings)
        models[name] = ServedModel(name=name, translator=translator, identifier=load_languages(folder))
    loaded = Models(list(models.values()), pivot)
    if not loaded.paths:
        names = ", ".join(models)
        raise ConfigError(f"{names}: source and target language are the same; name a model of two languages")
    if pivot and all(len(path) == 1 for path in loaded.paths.values()):
        raise ConfigError(f"--pivot {pivot}: no two models can be joined by it; leave it out, or load more models")
    return loaded


def find_language(code: str, languages: Iterable[str]) -> str | None:
    """Return the language with a code. Case may differ. The region may differ if no language has the same region."""
    known = list(languages)
    wanted = code.lower().replace("_", "-")
    exact = next((one for one in known if one.lower().replace("_", "-") == wanted), None)
    return exact or next((one for one in known if language_code(one) == language_code(code)), None)


def _list_steps(model: ServedModel) -> list[Step]:
    pairs = [(source, target) for source in model.sources for target in model.targets if source != target]
    return [Step(model=model, source=source, target=target) for source, target in pairs]


def _matches(language: str, code: str | None) -> bool:
    return code is not None and find_language(code, [language]) is not None


def _list(languages: Iterable[str]) -> str:
    return f"choose {' or '.join(dict.fromkeys(languages))}"
