"""Text in one language, which models translate into training pairs: which of its lines are used."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt.config.corpus import CorpusConfig
from nmt.config.schema import DataConfig
from nmt.data.check.letters import hash_letters, read_letters
from nmt.data.cleaning import SeenHashes
from nmt.data.formats.languages import guess_language
from nmt.data.readers import read_corpora
from nmt.data.text_files import read_lines
from nmt.errors import ConfigError, DataError
from nmt.system.files import whole_folder
from nmt.training.choose.held_out import cut_text, mix
from nmt.training.choose.recipe import DATA

MONOLINGUAL = "monolingual"
"""The name of the folder with the chosen lines, in the output folder of a training run."""
MOST_LINES_PER_PAIR = 4
"""The largest number of lines in one language for each training pair. Further lines are left out at random."""
_MOST_CHARACTERS = 1_000  # longer lines are left out, because models translate long lines badly
_CHUNK = 10_000


@dataclass(frozen=True, kw_only=True)
class Monolingual:
    """Text in one language, and what becomes of it."""

    source: tuple[str, ...] = ()
    """Files in the source language."""
    target: tuple[str, ...] = ()
    """Files in the target language."""
    rounds: int = 1
    """How many times the text is translated. In each round, the models learn from the translations before."""
    copy: bool = False
    """Whether target text is also copied to the source side (Currey et al. 2017)."""
    diversify: bool = False
    """Whether both sides of the training text are translated, too (data diversification, Nguyen et al. 2020)."""


def find_monolingual(
    names: Sequence[str],
    languages: tuple[str, str],
    *,
    rounds: int = 1,
    copy: bool = False,
    diversify: bool = False,
) -> Monolingual:
    """Find out the languages of files in one language. A name is `FILE`, which ends in a language, or `LANGUAGE=FILE`.

    Raises:
        ConfigError: the language of a file is not known, or it is not one of `languages`, or there is nothing to copy.
    """
    files: tuple[list[str], list[str]] = ([], [])
    for name in names:
        language, equals, file = name.partition("=")
        if not (equals and language in languages):
            language, file = guess_language(name) or "", name
        if language not in languages:
            raise ConfigError(
                f"--monolingual {name}: does not tell its language; "
                f"write --monolingual {languages[1]}={file} or {languages[0]}={file}"
            )
        files[languages.index(language)].append(file)
    source, target = files
    if copy and not target:
        raise ConfigError(f"--copy: needs text in {languages[1]}; add --monolingual {languages[1]}=FILE")
    return Monolingual(source=tuple(source), target=tuple(target), rounds=rounds, copy=copy, diversify=diversify)


def prepare_text(text: Monolingual, data: DataConfig, output: Path) -> None:
    """Write the parallel text and the chosen lines in one language into the output folder. Later calls change nothing.

    OUTPUT/data/ has the training text, and the validation and test sets that are cut off from it.
    OUTPUT/monolingual/ has the validation and test sets that are given, and a file `text` for each language. All are
    aligned files, which can be read in both directions.

    Args:
        text: the text in one language.
        data: the parallel text.
        output: the output folder of the training run.

    Raises:
        ConfigError: the folder contains a run with other text.
        DataError: a text cannot be read, or has too few usable lines.
        MachineError: the folder cannot be written.
    """
    folder, plan = output / MONOLINGUAL, json.dumps(asdict(text), ensure_ascii=False)
    if (folder / "plan.json").is_file():
        if (folder / "plan.json").read_text(encoding="utf-8") != plan:
            raise ConfigError(
                f"{output}: contains a run with other text in one language, or with other --rounds, --copy or "
                "--diversify; give the same options, or choose another --output"
            )
        return
    given = {name: corpora for name, corpora in (("valid", data.valid), ("test", data.held_out)) if corpora}
    cut_text(data, output / DATA, [name for name in ("valid", "test") if name not in given])
    with whole_folder(folder) as draft:
        for name, corpora in given.items():
            _write_aligned(corpora, data, draft / name)
        parallel = [draft / name for name in given]
        parallel += [output / DATA / name for name in ("train", "valid", "test") if name not in given]
        for files, language in ((text.source, data.source_language), (text.target, data.target_language)):
            if files:
                sides = [Path(f"{path}.{language}") for path in parallel]
                pairs = count_lines(output / DATA / f"train.{language}")
                lines = choose_lines(files, sides, MOST_LINES_PER_PAIR * pairs)
                (draft / f"text.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        (draft / "plan.json").write_text(plan, encoding="utf-8")


def _write_aligned(corpora: Sequence[CorpusConfig], data: DataConfig, prefix: Path) -> None:
    pairs = [pair for pair in read_corpora(corpora, data) if pair.source.strip() and pair.target.strip()]
    for language, lines in (
        (data.source_language, [pair.source for pair in pairs]),
        (data.target_language, [pair.target for pair in pairs]),
    ):
        Path(f"{prefix}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def count_lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(1 for _ in stream)


def choose_lines(files: Sequence[str], known: Sequence[Path], most: int) -> Iterator[str]:
    """Yield the lines of files that can become training pairs, without repetitions.

    Lines without letters, with invalid UTF-8, and with more than 1,000 characters are left out. So are lines with the
    same letters and digits as a line of the parallel text, because they belong to the validation and test sets, or
    teach nothing new. If more lines are left than `most`, some are chosen at random. The choice depends only on the
    content of the lines.

    Raises:
        DataError: a file cannot be read, or no line is left.
    """
    seen = SeenHashes()
    for chunk in _read_chunks(known):
        seen.add(_make_keys(chunk))
    kept, keys = [np.empty(0, dtype=np.bool_)], [np.empty(0, dtype=np.uint64)]
    for chunk in _read_chunks(files):
        found = _make_keys(chunk)
        kept.append(seen.add(found) & (found != 0))  # a line without letters has the key 0
        keys.append(mix(found))
    mask = np.concatenate(kept)
    if not mask.any():
        raise DataError(f"{', '.join(files)}: no line is left that is not in the text already; give other text")
    if mask.sum() > most:
        mixed = np.concatenate(keys)
        mask &= mixed <= np.partition(mixed[mask], most - 1)[most - 1]
    return itertools.compress(itertools.chain.from_iterable(_read_chunks(files)), mask)


def _read_chunks(files: Sequence[str | Path]) -> Iterator[list[str]]:
    """Read lines of files. A line that cannot be used is empty."""
    lines = itertools.chain.from_iterable(map(read_lines, files))
    usable = (line.strip() if len(line) <= _MOST_CHARACTERS and "\ufffd" not in line else "" for line in lines)
    while chunk := list(itertools.islice(usable, _CHUNK)):
        yield chunk


def _make_keys(lines: Sequence[str]) -> NDArray[np.uint64]:
    return hash_letters(read_letters(lines, numbers=True))
