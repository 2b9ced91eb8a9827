"""Training on a text and on text in one language."""

import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny

from nmt.config.load import load_config, parse_config
from nmt.data.readers import read_corpora
from nmt.errors import ConfigError, DataError
from nmt.search.options import SampleOptions, SearchOptions
from nmt.training.choose import rounds
from nmt.training.choose import run as choose_run
from nmt.training.choose.monolingual import Monolingual, choose_lines, find_monolingual
from nmt.training.choose.rounds import Rounds, Stage, choose_options, plan_stages, weigh_corpora
from nmt.training.choose.text import Text, find_text
from nmt.training.run import train
from nmt.translation.translator import Translator

SETTINGS = (
    "tokenizer.kind=words",
    "tokenizer.vocabulary_size=60",
    "model.embedding_size=16",
    "model.encoder_size=16",
    "model.decoder_size=16",
    "training.epochs=1",
    "training.batch_tokens=400",
    "training.shortlist=false",
    "validation.every=100",
    "training.threads=1",
    "training.device=cpu",
)


def write(path: Path, lines: Sequence[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.fixture
def text(tmp_path: Path) -> Text:
    return find_text(str(tiny.write_corpus(tmp_path)), source_language="en", target_language="de")


def run(text: Text, output: Path, mono: Monolingual, *overrides: str, **named: Any) -> None:
    Rounds(text=text, monolingual=mono, output=output, overrides=(*SETTINGS, *overrides)).train(**named)


@pytest.mark.slow
def test_a_run_that_is_stopped_in_each_stage_gives_the_same_model(
    text: Text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [german for _, german in tiny.PAIRS]
    lines = [" ".join((a, b, c)) for a in words for b in words[:8] for c in words[:2]]
    mono = find_monolingual([write(tmp_path / "mono.de", lines)], ("en", "de"))
    run(text, tmp_path / "whole", mono)
    data = load_config(tmp_path / "whole" / "recipe.yaml").data
    assert [(corpus.tag, corpus.weight) for corpus in data.train] == [(None, 1), ("<bt>", 1)]
    pairs = list(read_corpora(data.train[1:], data))
    assert {pair.target for pair in pairs} <= set(lines)
    translator = Translator.load(tmp_path / "whole" / "reverse-1")
    assert [pair.source for pair in pairs[:5]] == translator.translate([pair.target for pair in pairs[:5]])

    # The other run is stopped at the start of each training, and while it translates.
    stops = ["train", "translate", "train"]

    def stop(name: str, function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if stops and name == stops[0]:
                del stops[0]
                raise KeyboardInterrupt
            return function(*arguments, **named)

        return call

    monkeypatch.setattr(rounds, "Translator", SimpleNamespace(load=stop("translate", Translator.load)))
    monkeypatch.setattr(choose_run, "train", stop("train", train))
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(text, tmp_path / "parts", mono, resume=True)
    run(text, tmp_path / "parts", mono, resume=True)
    assert not stops
    for name in ("tokenizer.json", "model.safetensors"):
        assert (tmp_path / "parts" / "best" / name).read_bytes() == (tmp_path / "whole" / "best" / name).read_bytes()
    with pytest.raises(ConfigError, match="contains a run with other text in one language"):
        run(text, tmp_path / "parts", Monolingual(target=(text.train,)), resume=True)
    with pytest.raises(ConfigError, match="already contains a training run; add --resume"):
        run(text, tmp_path / "parts", mono)


@pytest.mark.slow
def test_text_in_both_languages_with_given_sets(text: Text, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt")
    table = write(tmp_path / "valid.tsv", ["red dog and cat\trot hund und katze", "one and two\teins und zwei"])
    given = Text(source_language="en", target_language="de", train=text.train, valid=table, test=table)
    target = write(tmp_path / "mono.txt", ["rot hund und katze", "ein hund", "katze!"])
    source = write(tmp_path / "mono.en", ["one two three", "a red cat", "a red cat", "..."])
    mono = find_monolingual([f"de={target}", source], ("en", "de"), copy=True)
    run(given, tmp_path / "run", mono, "training.max_updates=1", "data.max_ratio=1000", minutes=5)
    assert next(line for line in caplog.messages if line.startswith("plan: ")) == (
        "plan: 1. reverse-1: train de to en on the text, and translate 2 lines into back-1; "
        "2. forward-1: train en to de on the text and back-1, and translate 2 lines into forth-1; "
        "3. train en to de on the text and back-1 and forth-1 and copies; 5 minutes in all"
    )
    reverse = load_config(tmp_path / "run" / "reverse-1" / "recipe.yaml").data
    assert [pair.source for pair in read_corpora(reverse.valid, reverse)] == ["rot hund und katze", "eins und zwei"]
    assert (tmp_path / "run" / "monolingual" / "text.de").read_text(encoding="utf-8") == "ein hund\nkatze!\n"
    forth = tmp_path / "run" / "synthetic" / "forth-1" / "text.en"
    assert set(forth.read_text(encoding="utf-8").splitlines()) <= {"one two three", "a red cat"}
    assert not (tmp_path / "run" / "data" / "valid.en").exists()
    data = load_config(tmp_path / "run" / "recipe.yaml").data
    assert [corpus.tag for corpus in data.train] == [None, "<bt>", "<ft>", "<copy>"]
    assert {pair.source for pair in read_corpora(data.train[3:], data)} == {"ein hund", "katze!"}


@pytest.mark.slow
def test_both_sides_of_the_text_are_translated(text: Text, tmp_path: Path) -> None:
    source = write(tmp_path / "mono.en", ["a red cat"])
    mono = find_monolingual([source], ("en", "de"), diversify=True)
    run(text, tmp_path / "run", mono, "training.max_updates=1", "data.max_ratio=1000")
    data = load_config(tmp_path / "run" / "recipe.yaml").data
    genuine, back, forth = (list(read_corpora([corpus], data)) for corpus in data.train)
    assert {pair.target for pair in back} <= {pair.target for pair in genuine}
    assert {pair.source for pair in forth} <= {pair.source for pair in genuine} | {"a red cat"}
    translator = Translator.load(tmp_path / "run" / "forward-1")
    assert [pair.target for pair in forth[:5]] == translator.translate([pair.source for pair in forth[:5]])
    assert [corpus.tag for corpus in data.train] == [None, "<bt>", "<ft>"]


def test_stages() -> None:
    both = Monolingual(source=("a",), target=("b",), rounds=2)
    assert plan_stages(both) == [
        Stage(name="reverse-1", back=True, synthetic=(), result="back-1"),
        Stage(name="forward-1", back=False, synthetic=("back-1",), result="forth-1"),
        Stage(name="reverse-2", back=True, synthetic=("back-1", "forth-1"), result="back-2"),
        Stage(name="forward-2", back=False, synthetic=("back-2", "forth-1"), result="forth-2"),
        Stage(name="", back=False, synthetic=("back-2", "forth-2"), result=""),
    ]
    assert [stage.name for stage in plan_stages(Monolingual(diversify=True))] == ["reverse-1", "forward-1", ""]
    names = [stage.name for stage in plan_stages(Monolingual(target=("b",)))]
    assert names == ["reverse-1", ""]
    assert [stage.name for stage in plan_stages(Monolingual(source=("b",)))] == ["forward-1", ""]


def test_languages_of_files() -> None:
    found = find_monolingual(["news.en.gz", "de=web.txt", "a=b.de"], ("en", "de"), rounds=3)
    assert found == Monolingual(source=("news.en.gz",), target=("web.txt", "a=b.de"), rounds=3)
    with pytest.raises(ConfigError, match=r"news.txt: does not tell its language; write --monolingual de=news.txt or"):
        find_monolingual(["news.txt"], ("en", "de"))
    with pytest.raises(ConfigError, match=r"news\.fr: does not tell its language"):
        find_monolingual(["news.fr"], ("en", "de"))
    with pytest.raises(ConfigError, match="--copy: needs text in de; add --monolingual de=FILE"):
        find_monolingual(["news.en"], ("en", "de"), copy=True)


def test_lines_that_the_text_has_are_left_out(tmp_path: Path) -> None:
    known = tmp_path / "valid.de"
    write(known, ["Das Haus."])
    lines = ["das HAUS!", "Ein Haus.", " Ein  Haus. ", "", "12 %", "?!", "x" * 1001, "Zwei Häuser."]
    file = write(tmp_path / "mono.de", lines)
    assert list(choose_lines([file], [known], 9)) == ["Ein Haus.", "12 %", "Zwei Häuser."]
    with pytest.raises(DataError, match="no line is left that is not in the text already"):
        choose_lines([write(tmp_path / "same.de", ["das haus"])], [known], 9)
    with pytest.raises(DataError, match="No such file"):
        choose_lines([str(tmp_path / "none.de")], [known], 9)


def test_too_many_lines_are_chosen_by_their_content(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(1000)]
    chosen = list(choose_lines([write(tmp_path / "a.de", lines)], [], 100))
    assert len(chosen) == 100
    assert chosen == sorted(chosen, key=lines.index)
    assert 300 < sum(map(lines.index, chosen)) / 100 < 700
    assert set(choose_lines([write(tmp_path / "b.de", lines[::-1])], [], 100)) == set(chosen)


def test_genuine_pairs_are_at_least_half_of_the_pairs() -> None:
    synthetic = [{"path": "back"}, {"path": "forth"}]
    assert weigh_corpora("text", 10, [], []) == "text"
    assert weigh_corpora("text", 10, synthetic, [6, 4]) == [{"path": "text"}, *synthetic]
    weights = [corpus["weight"] for corpus in weigh_corpora("text", 10, synthetic, [30, 10])]
    assert weights == [1, 0.75, 0.25]
    corpora = weigh_corpora("text", 10, synthetic, [1_000_000, 1])
    parse_config({"data": {"train": corpora}})  # no weight is 0, which the configuration refuses


def test_only_good_models_sample_sources() -> None:
    assert isinstance(choose_options(99_999, back=True), SearchOptions)
    assert isinstance(choose_options(100_000, back=True), SampleOptions)
    assert isinstance(choose_options(100_000, back=False), SearchOptions)


def test_faults_are_reported_before_any_work(text: Text, tmp_path: Path) -> None:
    mono = Monolingual(target=(str(tmp_path / "none.de"),))
    with pytest.raises(DataError, match=r"none\.de: no such file"):
        run(text, tmp_path / "run", mono)
    with pytest.raises(ConfigError, match="dropuot"):
        run(text, tmp_path / "run", mono, "model.dropuot=1")
    assert not (tmp_path / "run").exists()
