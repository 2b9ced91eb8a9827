"""What is done with the records of a corpus: translating texts, scoring translations, or checking pairs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nmt.config.schema import DataConfig
from nmt.corpus.job import Job, checksum_model
from nmt.corpus.records import Result
from nmt.data.check.chunks import Chunk, Place, SideLines
from nmt.data.check.lines import LINE_FAULTS
from nmt.errors import ModelError
from nmt.search.options import SearchOptions
from nmt.translation.translator import Translator

Run = Callable[[Sequence[tuple[str, ...]]], Sequence[Result]]
"""A function that returns the result for each record."""

DEFAULT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "translate": ("text",),
    "score": ("source", "target"),
    "check": ("source", "target"),
}
DEFAULT_RESULT: Mapping[str, str] = {"translate": "translation", "score": "score", "check": "faults"}


def load_task(job: Job, *, threads: int = 1) -> Run:
    """Load what the task of a job needs, and return the function that processes records.

    Raises:
        ModelError: a model is missing or damaged, or is not the one with which the job began.
        ConfigError: a model does not have a language or a tag.
    """
    if job.task == "check":
        return _make_check(job)
    for folder, checksum in zip(job.models, job.checksums, strict=True):
        if checksum_model(folder) != checksum:
            raise ModelError(f"{folder}: has changed since the job began; restore the model, or begin another job")
    machine = {
        key: job.options[key] for key in ("precision", "shortlist", "device", "batch_size") if key in job.options
    }
    translator = Translator.load(*job.models, threads=threads, **machine)
    languages = {key: job.options.get(key) for key in ("to", "tag")}
    translator.check(**languages)
    if job.task == "score":
        return _make_score(translator, languages)
    options = SearchOptions(**job.options.get("search", {}))
    settings = {key: job.options[key] for key in ("split", "guard", "protect", "numbers") if key in job.options}

    def translate(records: Sequence[tuple[str, ...]]) -> Sequence[Result]:
        return translator.translate([text for (text,) in records], options, **languages, **settings)

    return translate


def _make_score(translator: Translator, languages: Mapping[str, Any]) -> Run:
    def score(records: Sequence[tuple[str, ...]]) -> Sequence[Result]:
        sources, targets = ([record[side] for record in records] for side in (0, 1))
        return [one.log_probability for one in translator.score(sources, targets, **languages)]

    return score


def _make_check(job: Job) -> Run:
    languages = job.options["languages"]
    data = DataConfig(source_language=languages[0], target_language=languages[1])
    place = Place(set="train", name="", files=("", ""), languages=(languages[0], languages[1]))

    def check(records: Sequence[tuple[str, ...]]) -> Sequence[Result]:
        source, target = ([record[side].replace("\n", " ") for record in records] for side in (0, 1))
        sides, found = (SideLines(source), SideLines(target)), [dict[str, None]() for _ in records]
        chunk = Chunk(place=place, first=0, sides=sides)
        for fault in LINE_FAULTS:
            indices = [fault.find_pairs(chunk, data)] if fault.find_pairs else []
            indices += [fault.find_lines(side) for side in sides if fault.find_lines]
            for index in (index for some in indices for index in some):
                found[index][fault.name] = None
        return [",".join(names) for names in found]

    return check
