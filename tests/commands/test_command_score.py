"""nmt-score: pairs on standard input or in files, n-best lists, and messages."""

import json
import math
from pathlib import Path

import pytest
import warm

from nmt.commands.score import main
from nmt.translation.translator import Translator

MODEL = Path(__file__).parents[1] / "models" / "0.1.0" / "parallel"
SOURCES = (MODEL.parent / "source.txt").read_text(encoding="utf-8").splitlines()[:4]


@pytest.fixture(scope="module")
def targets() -> list[str]:
    return Translator.load(MODEL, precision="fp32").translate(SOURCES)


@pytest.fixture
def files(tmp_path: Path, targets: list[str]) -> tuple[str, str]:
    for name, lines in {"source": SOURCES, "target": targets}.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(tmp_path / "source"), str(tmp_path / "target")


def score(*arguments: str, content: str = "") -> warm.Ended:
    return warm.run_command(main, str(MODEL), "--precision", "fp32", *arguments, content=content.encode())


def numbers(done: warm.Ended) -> list[float]:
    assert done.status == 0, done.stderr
    return [float(line) for line in done.stdout.splitlines()]


def test_scores_are_those_of_the_translator(targets: list[str], files: tuple[str, str]) -> None:
    scores = Translator.load(MODEL, precision="fp32", shortlist=False).score(SOURCES, targets)
    pairs = "".join(f"{source}\t{target}\n" for source, target in zip(SOURCES, targets, strict=True))
    source, target = files
    for options in (["--source", source, "--target", target], []):
        content = "" if options else pairs
        assert numbers(score(*options, content=content)) == pytest.approx(
            [one.log_probability for one in scores], abs=1e-4
        )
        assert numbers(score("--per", "token", *options, content=content)) == pytest.approx(
            [one.per_token for one in scores], abs=1e-4
        )
        assert numbers(score("--per", "word", *options, content=content)) == pytest.approx(
            [one.per_word for one in scores], abs=1e-4
        )
    done = score("--json", content=pairs)
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["line"] for item in shown] == [1, 2, 3, 4]
    assert [item["tokens"] for item in shown] == [one.tokens for one in scores]
    assert shown[0]["token_log_probabilities"] == pytest.approx(scores[0].token_log_probabilities, abs=1e-6)
    log_p = sum(one.log_probability for one in scores)
    tokens = sum(len(one.token_log_probabilities) for one in scores)
    words = sum(len(line.split()) for line in targets)
    summary = f"4 pairs, {tokens} tokens, {words} words, log P {log_p:.2f}, perplexity per token "
    assert done.stderr.decode().startswith(f"{summary}{math.exp(-log_p / tokens):.4f}, perplexity per word ")


@pytest.mark.parametrize("first", [0, 1])
def test_entries_of_nbest_lists_get_a_score(first: int, files: tuple[str, str], targets: list[str]) -> None:
    source, target = files
    path = Path(source).with_name("nbest")
    entries = [
        f"{first + index} ||| {text} ||| a=1 ||| -{rank}.5"
        for index, text in enumerate(targets)
        for rank, text in enumerate((text, text[:-1]))
    ]
    path.write_text("".join(f"{entry}\n" for entry in entries), encoding="utf-8")
    done = score("--source", source, "--nbest", str(path))
    found = [line.rsplit(" ||| ", 1) for line in done.stdout.decode().splitlines()]
    assert [entry for entry, _ in found] == entries
    alone = numbers(score("--source", source, "--target", target))
    assert [float(value) for _, value in found[::2]] == alone
    assert [float(value) for _, value in found[1::2]] != alone


def test_faults(files: tuple[str, str], tmp_path: Path) -> None:
    source, target = files
    nbest = tmp_path / "nbest"
    short = tmp_path / "short"
    short.write_text("a\n", encoding="utf-8")
    for content, message in {
        "a b": "nbest:1: is not NUMBER ||| TRANSLATION",
        "x ||| b": "nbest:1: is not NUMBER ||| TRANSLATION",
        "0 ||| b\n4 ||| b": "nbest:2: number 4 is not a line of",
        "7 ||| b": "nbest:1: number 7 is not a line of",
    }.items():
        nbest.write_text(f"{content}\n", encoding="utf-8")
        done = score("--source", source, "--nbest", str(nbest))
        assert (done.status, done.stderr.count(b"\n")) == (2, 1)
        assert message in done.stderr.decode()
    for arguments, line, message in [
        ([], "a b", "line 1: has 0 tabs"),
        ([], "a\tb\tc", "line 1: has 2 tabs"),
        (["--source", source, "--target", str(short)], "", "ends at line 1 but"),
        (["--source", str(short), "--target", target], "", "ends at line 1 but"),
        (["--source", source], "", "give --source with --target or with --nbest"),
        (["--target", source], "", "give --source with --target or with --nbest"),
        (["--source", source, "--target", target, "--nbest", target], "", "give --source with --target or"),
        (["--source", source, "--nbest", target, "--json"], "", "--json: not with --nbest"),
    ]:
        done = score(*arguments, content=line)
        assert (done.status, done.stderr.count(b"\n")) == (2, 1)
        assert message in done.stderr.decode()
