"""Validation on sets of corpora, and a model of several languages from training to the commands."""

import dataclasses
import functools
import json
import logging
import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import tiny
import torch
from sacrebleu import CHRF, corpus_bleu

from nmt.checkpoint.folder import load_model
from nmt.commands.evaluate import main as evaluate
from nmt.commands.translate import main as translate
from nmt.config.load import parse_config
from nmt.config.schema import Config
from nmt.data.batching import make_text_batches
from nmt.data.cursor import World
from nmt.errors import ConfigError, DataError
from nmt.search.options import SearchOptions
from nmt.tokenizers.build import train_tokenizers
from nmt.tokenizers.normalization import Normalizers
from nmt.training.run import train
from nmt.training.shortlist import add_shortlist, learn_shortlist
from nmt.training.validation import Validator, read_validation_sets, score_sets, translate_sets
from nmt.translation.translator import Translator

FRENCH = dict(
    zip(
        [source for source, _ in tiny.PAIRS],
        ["un", "deux", "trois", "quatre", "cinq", "six", "rouge", "vert", "bleu", "chat", "chien", "maison"],
        strict=True,
    )
)
GERMAN = dict(tiny.PAIRS)
DICE = random.Random(1)
LINES = [" ".join(DICE.choices(list(GERMAN), k=DICE.choice((4, 5)))) for _ in range(250)]


def words(line: str, dictionary: dict[str, str]) -> str:
    return " ".join(dictionary[word] for word in line.split())


def settings(prefix: Path, *overrides: str) -> Config:
    """Into German and French, some of the French back-translated, as it were."""
    french = {"path": str(prefix), "target_language": "fr"}
    content = {
        "data": {
            "train": [str(prefix), french, {**french, "tag": "<bt>"}],
            "valid": [str(prefix), french],
            "target_tags": True,
            "drop_overlap": False,
        },
        "tokenizer": {"kind": "words", "vocabulary_size": 60},
        "model": {"embedding_size": 32, "encoder_size": 32, "decoder_size": 32, "dropout": 0.0},
        "training": {
            "epochs": 10,
            "batch_tokens": 300,
            "warmup": 5,
            "threads": 1,
            "learning_rate": 0.01,
            "device": "cpu",
        },
        "validation": {"sentences": 12},
    }
    return parse_config(content, overrides)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("many") / "text"
    texts = {"en": LINES, "de": [words(line, GERMAN) for line in LINES], "fr": [words(line, FRENCH) for line in LINES]}
    for language, lines in texts.items():
        prefix.with_suffix(f".{language}").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return prefix


@pytest.fixture(scope="module")
def model(prefix: Path) -> Path:
    train(settings(prefix), prefix.parent / "run")
    return prefix.parent / "run"


def test_one_set_or_one_for_each_corpus(prefix: Path) -> None:
    german, french = read_validation_sets(settings(prefix), Normalizers())
    assert [len(german.pairs), len(french.pairs)] == [12, 12]
    assert [(each.name, each.to, each.tag) for each in (german, french)] == [
        (f"{prefix}", "de", None),
        (f"{prefix} to fr", "fr", None),
    ]
    assert (german.pairs[0].tags, french.pairs[0].tags) == (("<2de>",), ("<2fr>",))
    [together] = read_validation_sets(
        tiny.config(prefix, f"data.valid=[{prefix}, {prefix}]", "validation.sentences=300"), Normalizers()
    )
    assert len(together.pairs) == 300
    assert together.pairs[0].tags == ()
    tagged = {
        "train": {"path": str(prefix), "tag": "<bt>"},
        "valid": [str(prefix), {"path": str(prefix), "tag": "<bt>"}],
    }
    assert [each.tag for each in read_validation_sets(parse_config({"data": tagged}), Normalizers())] == [None, "<bt>"]
    (prefix.parent / "gaps.tsv").write_text("a\tb\n\nc\t\n\td\ne\tf\n")
    gaps = tiny.config(prefix, f"data.valid={prefix.parent / 'gaps.tsv'}")
    [complete] = read_validation_sets(gaps, Normalizers())
    assert [pair.sides for pair in complete.pairs] == [("a", "b"), ("e", "f")]
    (prefix.parent / "empty.tsv").write_text("")
    with pytest.raises(DataError, match="contain no sentence pairs"):
        read_validation_sets(tiny.config(prefix, f"data.valid={prefix.parent / 'empty.tsv'}"), Normalizers())


def test_loss_covers_pairs_that_training_accepts(prefix: Path, model: Path) -> None:
    judged = load_model(model)
    long = prefix.parent / "long"
    for language in ("en", "de"):
        lines = prefix.with_suffix(f".{language}").read_text("utf-8").splitlines()[:12]
        long.with_suffix(f".{language}").write_text("\n".join([*lines, "six " * 300]) + "\n", "utf-8")
    losses = []
    for sentences in (12, 13):
        config = tiny.config(prefix, f"data.valid={long}", f"validation.sentences={sentences}")
        losses.append(Validator(config, judged.tokenizers, torch.device("cpu"))(judged.network)["loss"])
    assert losses[0] == losses[1]


def test_the_score_is_the_mean_over_the_sets(prefix: Path) -> None:
    sets = read_validation_sets(settings(prefix), Normalizers())
    hypotheses = [[words(source, GERMAN) for source in sets[0].sources], ["un chat rouge et six"] * 12]
    references = sets[1].references
    other = corpus_bleu(hypotheses[1], [references]).score
    found = score_sets(sets, hypotheses)
    assert found == pytest.approx(
        {
            "bleu": (found[f"bleu {sets[0].name}"] + other) / 2,
            f"bleu {sets[0].name}": 100,
            f"bleu {sets[1].name}": other,
        }
    )
    assert list(score_sets(sets[1:], hypotheses[1:])) == ["bleu"]


def test_sets_of_the_same_name_count_separately(prefix: Path) -> None:
    """A corpus may be given twice, with two tags."""
    first, second = (
        dataclasses.replace(part, name="both") for part in read_validation_sets(settings(prefix), Normalizers())
    )
    perfect, bad = first.references, ["x"] * len(second.pairs)
    assert score_sets([first, second], [perfect, bad])["bleu"] == pytest.approx(50)


def test_the_loss_is_the_mean_over_target_tokens(prefix: Path, model: Path) -> None:
    judged = load_model(model)
    figures = Validator(settings(prefix), judged.tokenizers, torch.device("cpu"))(judged.network)
    pairs = [pair for part in read_validation_sets(settings(prefix), Normalizers()) for pair in part.pairs]
    batches = [batch for pair in pairs for batch in make_text_batches([pair], judged.tokenizers, 100)]
    with torch.inference_mode():
        loss = sum(float(tiny.loss(judged.network, batch)) for batch in batches)
    assert figures["loss"] == pytest.approx(loss / sum(batch.target_tokens for batch in batches), rel=1e-4)
    assert figures["perplexity"] == pytest.approx(math.exp(figures["loss"]), rel=1e-5)


class OneOfSeveral:
    """Replaces one process of several. It adds its share to the list, and receives the shares of all."""

    def __init__(self, rank: int, size: int, shares: list[Any]) -> None:
        self.world, self.shares = World(rank=rank, size=size), shares

    def once(self, function: Callable[[], Any]) -> Any:
        return function()

    def gather(self, share: Any) -> list[Any]:
        self.shares.append(share)
        return self.shares


@pytest.mark.parametrize("size", [2, 5])
def test_processes_share_validation_and_agree(prefix: Path, model: Path, size: int) -> None:
    judged, config = load_model(model), settings(prefix, "validation.metric=chrf++", "validation.sentences=11")
    alone = Validator(config, judged.tokenizers, torch.device("cpu"))(judged.network)
    shares: list[Any] = []
    for rank in range(size):
        processes: Any = OneOfSeveral(rank, size, shares)
        validator = Validator(config, judged.tokenizers, torch.device("cpu"), processes)
        if rank < size - 1:
            shares.append(validator.judge_share(judged.network))
    assert validator(judged.network) == pytest.approx(alone, rel=1e-5)
    assert [len(share.hypotheses[0]) for share in shares] == [len(range(rank, 11, size)) for rank in range(size)]


def test_the_loss_is_over_the_pairs_of_at_most_max_length_tokens(tmp_path: Path) -> None:
    for ending, lines in {
        "en": "one\none two\none two\none two red\n",
        "de": "eins\neins zwei\neins zwei rot\neins\n",
    }.items():
        (tmp_path / f"text.{ending}").write_text(lines, encoding="utf-8")
    config = tiny.config(tmp_path / "text", "data.max_length=2")
    tokenizers = train_tokenizers(config.tokenizer, [("one two red", "eins zwei rot")])
    batches = Validator(config, tokenizers, torch.device("cpu")).batches
    lengths = [pair for batch in batches for pair in zip(batch.source_lengths, batch.target_lengths, strict=True)]
    assert sorted((int(source), int(target)) for source, target in lengths) == [(2, 2), (3, 3)]  # with EOS


def test_pairs_that_are_all_too_long_are_all_judged(prefix: Path, model: Path) -> None:
    judged = load_model(model)
    config = tiny.config(prefix, "data.max_length=1", "validation.sentences=3")
    assert math.isfinite(Validator(config, judged.tokenizers, torch.device("cpu"))(judged.network)["loss"])


def test_chrf_chooses_checkpoints_if_configured(prefix: Path, model: Path) -> None:
    judged = load_model(model)
    figures = [
        Validator(settings(prefix, f"validation.metric={metric}"), judged.tokenizers, torch.device("cpu"))(
            judged.network
        )
        for metric in ("bleu", "chrf")
    ]
    sets = read_validation_sets(settings(prefix), Normalizers())
    lines = translate_sets(judged, sets, SearchOptions(beam=1))
    each = [CHRF().corpus_score(ours, [part.references]).score for ours, part in zip(lines, sets, strict=True)]
    named = {f"chrf {part.name}": score for part, score in zip(sets, each, strict=True)}
    assert figures[1] == pytest.approx({**figures[0], "chrf": mean(each), **named})


@pytest.mark.parametrize(("language", "by_characters"), [("fr", False), ("zh", True), ("th", True), ("ja", True)])
@pytest.mark.parametrize("good", [False, True])
def test_auto_is_the_mean_bleu_or_chrf_of_the_sets(
    prefix: Path, model: Path, language: str, by_characters: bool, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = load_model(model)
    source, target = (prefix.with_suffix(ending).read_bytes() for ending in (".en", ".fr"))
    prefix = prefix.parent / "one"
    prefix.with_suffix(".en").write_bytes(source)
    prefix.with_suffix(f".{language}").write_bytes(target)
    corpora = f"[{prefix}, {{path: {prefix}, tag: <bt>}}]"
    data = (f"data.train={corpora}", f"data.valid={corpora}", f"data.target_language={language}")
    config = tiny.config(prefix, *data, "validation.metric=auto")
    first, second = read_validation_sets(config, Normalizers())
    hypotheses = [first.references if good else ["un chat rouge"] * 8, ["un chien et six"] * len(second.pairs)]
    monkeypatch.setattr("nmt.training.validation.translate_sets", lambda *_: hypotheses)
    figures = Validator(config, judged.tokenizers, torch.device("cpu"))(judged.network)
    for name in ("bleu", "chrf"):
        each = [part.score(name, lines) for part, lines in zip((first, second), hypotheses, strict=True)]
        assert figures[name] == pytest.approx(mean(each))
    assert (figures["bleu"] > 10) >= good
    assert by_characters or (figures["bleu"] > 10) == good
    assert figures["auto"] == (figures["bleu"] if good and not by_characters else figures["chrf"] / 10)


@pytest.mark.parametrize(("language", "by_characters"), [("fr", False), ("zh-TW", True)])
def test_auto_is_chrf_if_one_of_several_languages_is_scored_by_characters(
    prefix: Path, language: str, by_characters: bool
) -> None:
    prefix.with_suffix(f".{language}").write_bytes(prefix.with_suffix(".fr").read_bytes())
    corpora = f"[{prefix}, {{path: {prefix}, target_language: {language}}}]"
    config = settings(prefix, f"data.train={corpora}", f"data.valid={corpora}")
    assert config.validation.metric == "auto"
    tokenizers = train_tokenizers(config.tokenizer, GERMAN.items(), ["<2de>", f"<2{language}>"])
    assert Validator(config, tokenizers, torch.device("cpu")).by_characters == by_characters


def test_training_logs_the_mean_and_each_figure(prefix: Path, model: Path) -> None:
    records = [json.loads(line) for line in (model / "metrics.jsonl").read_text().splitlines()]
    figures = [record for record in records if record["kind"] == "valid"]
    assert len(figures) == 10
    for record in figures:
        each = [record[f"bleu {prefix}{own}"] for own in ("", " to fr")]
        assert record["bleu"] == pytest.approx(sum(each) / 2)
    loaded = load_model(model)
    sets = read_validation_sets(settings(prefix), Normalizers())
    best = score_sets(sets, translate_sets(loaded, sets, SearchOptions(beam=1)))["bleu"]
    assert best == pytest.approx(max(record["bleu"] for record in figures), abs=0.5)


def check_languages(translator: Translator) -> None:
    german, french = (translator.translate(LINES[:50], to=to) for to in ("de", "fr"))
    for lines, own, other in ((german, GERMAN, FRENCH), (french, FRENCH, GERMAN)):
        found = " ".join(lines).split()
        assert sum(word in own.values() for word in found) > 20 * sum(word in other.values() for word in found)


def test_requested_language_is_used(model: Path) -> None:
    translator = Translator.load(model, shortlist=False)
    check_languages(translator)
    best = translator.nbest(["red cat"], to="fr", tag="<bt>")[0][0]
    assert best.source_tokens == ["<2fr>", "<bt>", "red", "cat"]
    assert translator.nbest(["red cat"], to="fr")[0][0].source_tokens == ["<2fr>", "red", "cat"]
    assert translator.nbest([" "], to="fr")[0][0].text == ""


def test_parts_of_a_long_line_have_the_tags_each(model: Path) -> None:
    translator = Translator.load(model)
    translator.segmenter.max_tokens = 2
    [best] = translator.nbest(["red cat one dog"], to="fr")[0]
    assert best.source_tokens == ["<2fr>", "red", "cat", "<2fr>", "one", "dog"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, r"the target language is not given; choose de or fr \(--to\)"),
        ({"to": "cs"}, r"the model does not translate into cs; choose de or fr \(--to\)"),
        ({"to": "fr", "tag": "<x>"}, r"tag <x>: no training corpus has it; choose <bt>, or leave it out \(--tag\)"),
    ],
)
def test_unknown_languages_and_tags_are_refused(model: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Translator.load(model).translate(["red cat"], **asked)


def test_commands_take_the_language(prefix: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--source", f"{prefix}.en", "--metrics", "bleu", "--threads", "1"]

    def score(*options: str, language: str = "fr") -> float:
        assert evaluate([str(model), *common, "--reference", f"{prefix}.{language}", "--json", *options]) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return float(result["scores"][0]["score"])

    french = score("--to", "fr")
    assert french > 10 * score("--to", "de")
    assert score("--language-pair", "en-fr") == french
    assert score("--to", "fr", "--tag", "<bt>") != french
    options = ["--threads", "1", "--to", "fr", "--tag", "<bt>", "--json"]
    command = [sys.executable, "-m", "nmt.commands.translate", str(model), *options]
    [answer] = subprocess.run(command, input=b"red cat\n", capture_output=True, check=True).stdout.splitlines()
    assert json.loads(answer)["source_tokens"] == ["<2fr>", "<bt>", "red", "cat"]
    for main, arguments in ((evaluate, [*common, "--reference", f"{prefix}.fr"]), (translate, ["--threads", "1"])):
        assert main([str(model), *arguments]) == 2
        assert "choose de or fr (--to)" in capsys.readouterr().err


def test_no_shortlist_from_corpora_with_other_tags(prefix: Path, model: Path) -> None:
    with pytest.raises(ConfigError, match="other languages or tags"):
        add_shortlist(model, tiny.config(prefix))


def test_a_shortlist_is_learned_and_judged_for_all_languages(
    prefix: Path, model: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "nmt")
    monkeypatch.setattr(
        "nmt.training.shortlist.learn_shortlist", functools.partial(learn_shortlist, frequent=0, best=2)
    )
    monkeypatch.setattr("nmt.training.shortlist._MAX_CHRF_LOSS", 10)
    assert add_shortlist(model, settings(prefix))
    assert "BLEU" in caplog.text
    check_languages(Translator.load(model))
