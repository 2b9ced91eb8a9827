"""Translator: one translation per line, independent of batches and workers."""

import dataclasses
import logging
import math
import pickle
import shutil
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer

from nmt import Request, RequestSettings, Translation, Translator
from nmt.checkpoint.folder import load_model, save_shortlist
from nmt.config.schema import MAX_SEGMENT_TOKENS
from nmt.errors import ConfigError, MachineError, ModelError
from nmt.model.candidates import Shortlist
from nmt.native import library
from nmt.native.packing import PACKABLE
from nmt.search.loop import Search
from nmt.search.options import SampleOptions, SearchOptions
from nmt.system.files import CHECKSUMS, checksum
from nmt.tokenizers.normalization import Normalizers
from nmt.training.run import train
from nmt.translation import torch_search as torch_way
from nmt.translation.request import Segment
from nmt.translation.torch_search import TorchSearch
from nmt.types import EOS

LINES = [f"{a} {b}" for a, _ in tiny.PAIRS for b, _ in tiny.PAIRS[:4]] + [
    "",
    "red",
    "one two three four five six",
    "cat " * 30,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def trained(folder: Path, name: str, *overrides: str) -> Path:
    prefix = tiny.write_corpus(folder)
    settings = ["tokenizer.kind=bpe", "tokenizer.vocabulary_size=300", "training.epochs=8"]
    settings += ["training.learning_rate=0.01", *tiny.WHOLE_VECTORS]
    train(tiny.config(prefix, *settings, *overrides), folder / name)
    return folder / name


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return trained(folder, "first")


def torch_search(translator: Translator) -> TorchSearch:
    assert isinstance(translator._search, TorchSearch)
    return translator._search


def search_of(translator: Translator) -> Search[Segment]:
    return torch_search(translator)._search


def shown(translator: Translator, lines: list[str], options: SearchOptions) -> list[list[tuple[list[str], Any]]]:
    """Pieces and scores, which are equal when they differ by a rounding."""
    return [
        [(best.tokens, pytest.approx(best.score, abs=1e-4)) for best in line]
        for line in translator.nbest(lines, options)
    ]


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("beam", [1, 4])
def test_batch_size_does_not_change_translations(model: Path, beam: int) -> None:
    options = SearchOptions(beam=beam)
    translators = [Translator.load(model, batch_size=size) for size in (1, 7, 64)]
    outputs = [shown(translator, LINES, options) for translator in translators]
    assert outputs[0] == outputs[1] == outputs[2]
    assert len({tuple(best[0][0]) for best in outputs[0]}) > 10


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_threads_do_not_change_translations(model: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.translation.translator.PART", 3)  # otherwise all lines are one part
    options = SearchOptions(beam=3, nbest=2, attention=True)
    alone = shown(Translator.load(model, precision=precision, batch_size=5), LINES, options)
    for threads in (1, 2, 3):
        assert shown(Translator.load(model, precision=precision, threads=threads), LINES, options) == alone


def test_the_same_text_is_searched_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []
    translator = Translator.load(model)
    search = translator._search.search

    def count(segments: list[Segment]) -> Any:
        searched.append(len(segments))
        return search(segments)

    monkeypatch.setattr(translator._search, "search", count)
    red, blue = translator.translate(["red cat", "blue dog"])
    texts = ["red cat", " red cat", "blue dog", "red cat. blue dog"]
    assert translator.translate(texts)[:3] == [red, red, blue]
    translator.translate(["red cat", Request("red cat", options=SearchOptions(beam=2))])
    assert searched == [2, 3, 2]


def test_each_request_has_its_own_options(model: Path) -> None:
    translator = Translator.load(model)
    narrow, wide, drawn = SearchOptions(beam=1), SearchOptions(beam=4, nbest=3), SampleOptions(samples=2, seed=3)
    requests = [Request(text, options=options) for text in LINES[:6] for options in (narrow, wide, drawn)]
    alone = {options: translator.nbest(LINES[:6], options) for options in (narrow, wide, drawn)}
    expected = [alone[options][index] for index in range(6) for options in (narrow, wide, drawn)]
    found = translator.nbest([*requests, LINES[0]], narrow)
    assert [[best.text for best in line] for line in found] == [
        [best.text for best in line] for line in [*expected, alone[narrow][0]]
    ]
    assert [len(line) for line in found[:3]] == [1, 3, 2]


def test_arguments_of_the_call_are_defaults_of_requests(model: Path) -> None:
    translator = Translator.load(model)
    parts = translator.translate(["red cat.", "blue dog."])
    text = "red cat. blue dog."
    whole, split = translator.translate([Request(text, split=False), Request(text, split=True)])
    assert split == " ".join(parts) != whole
    assert translator.translate([text, Request(text)], split=True) == [split, split]
    unknown: list[dict[str, Any]] = [{"to": "fr"}, {"tag": "<x>"}]
    for asked in unknown:
        with pytest.raises(ConfigError):
            translator.translate([Request("", **asked)])
        with pytest.raises(ConfigError):
            translator.translate([Request("")], **asked)
        with pytest.raises(ConfigError):
            translator.check(**asked)
    translator.check(to="de")
    assert translator.translate([Request("", to="de")], to="fr") == [""]
    assert translator.target_language() == "de"


def test_a_string_or_a_request_is_one_text(model: Path) -> None:
    translator = Translator.load(model)
    expected = translator.translate(["red cat"])
    assert translator.translate("red cat") == translator.translate(Request("red cat")) == expected
    assert translator.translate(np.array(["red cat"])) == translator.translate(t for t in ["red cat"]) == expected
    assert len(translator.nbest("red cat")) == 1
    with pytest.raises(TypeError, match=r"texts\[1\] is None, not a str or a Request; correct it or leave it out"):
        translator.translate(["red cat", None])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="the text of a Request is float, not a str"):
        Request(math.nan)  # type: ignore[arg-type]


def test_a_setting_that_does_not_exist_is_refused(model: Path) -> None:
    translator = Translator.load(model)
    with pytest.raises(TypeError, match="unknown setting prefix; the settings are options, to, tag, split, guard"):
        translator.translate(["red cat"], prefix="rote")  # type: ignore[call-arg]


def test_the_settings_of_a_call_are_fields_of_a_request() -> None:
    fields = get_type_hints(Request)
    for name, kind in get_type_hints(RequestSettings).items():
        assert fields[name] == kind
        assert f"`{name}`" in str(Translator.nbest.__doc__)


def test_translators_and_translations_are_pickled(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model.parent)
    translator = Translator.load(model.name, precision="fp32", batch_size=3)
    content = pickle.dumps(translator)
    assert len(content) < 1000
    monkeypatch.chdir(tmp_path)
    copy = pickle.loads(content)
    assert copy.batch_size == 3
    options = SearchOptions(beam=3, nbest=2, attention=True)
    found = translator.nbest(LINES[:3], options)
    assert copy.nbest(LINES[:3], options) == found == pickle.loads(pickle.dumps(found))
    request = Request("red cat", options=options, name="title")
    assert pickle.loads(pickle.dumps(request)) == request
    with pytest.raises(TypeError, match=r"create it with Translator\.load"):
        pickle.dumps(Translator([load_model(model)]))


def test_the_precision_changes_the_scores_a_little(model: Path) -> None:
    def score(precision: str) -> float:
        return Translator.load(model, precision=precision).nbest(["red cat"], SearchOptions(beam=1))[0][0].score

    exact = Translator([load_model(model)]).nbest(["red cat"], SearchOptions(beam=1))[0][0].score
    assert score("fp32") == pytest.approx(exact, abs=1e-5)
    if library.load():
        assert score("int8") != pytest.approx(exact, abs=1e-5)
        assert score("int8") == pytest.approx(exact, abs=0.1)


@pytest.mark.usefixtures("without_library")
def test_int8_needs_the_library(model: Path) -> None:
    with pytest.raises(MachineError, match="precision int8: the native library is missing"):
        Translator.load(model, precision="int8")


@pytest.mark.usefixtures("without_library")
def test_a_precision_that_the_device_does_not_have(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_way, "choose_device", lambda name: torch.device("cuda"))
    with pytest.raises(
        ConfigError, match="precision int8: only on a CPU; choose device cpu, or precision auto or fp32"
    ):
        Translator.load(model, precision="int8")


def test_the_shortlist_narrows_the_search(folder: Path, model: Path) -> None:
    listed = folder / "listed"
    shutil.copytree((model / "best").resolve(), listed)
    sizes = load_model(model).tokenizers
    best = np.full((sizes.source.size, 1), EOS)
    save_shortlist(listed, Shortlist(target_size=sizes.target.size, frequent=np.array([EOS, 4, 5]), best=best))
    narrow = Translator.load(listed).nbest(["red cat"])[0][0].tokens
    assert set(narrow) <= set(sizes.target.tokens([4, 5]))
    for translator in (Translator.load(listed, shortlist=False), Translator.load(model, shortlist=False)):
        assert not set(translator.nbest(["red cat"])[0][0].tokens) <= set(narrow)
    one, two = load_model(model), load_model(listed)
    assert search_of(Translator([dataclasses.replace(one, shortlist=None), two])).shortlist is two.shortlist
    copying = dataclasses.replace(two, network=tiny.network(output="copy"))
    assert (used := search_of(Translator([copying])).shortlist)
    assert used.best[:, -1].tolist() == [EOS] * EOS + list(range(EOS, sizes.source.size))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(max_size=15), max_size=6))
def test_one_translation_per_line(model: Path, lines: list[str]) -> None:
    output = Translator.load(model).translate(lines, SearchOptions(beam=2))
    assert len(output) == len(lines)
    for line, translation in zip(lines, output, strict=True):
        assert "\n" not in translation
        assert line.strip() or translation == ""


def test_blanks_around_a_line_are_not_translated(model: Path) -> None:
    translator = Translator.load(model)
    (alone,) = translator.translate(["red cat"])
    assert translator.translate(["red cat" + " " * 1000, "\u3000 red cat\t"]) == [alone, alone]
    translator.segmenter.max_tokens = 8
    assert translator.translate(["red cat" + " " * 1000 + "red cat"]) == [f"{alone} {alone}"]


def test_text_without_pieces_is_not_translated(tmp_path: Path) -> None:
    """The default normalization of SentencePiece, which an adopted model may have, removes some characters."""
    prefix = tiny.write_corpus(tmp_path)
    ids: dict[str, Any] = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}
    files, adopted = f"{prefix}.en,{prefix}.de", tmp_path / "adopted"
    SentencePieceTrainer.train(
        input=files, model_prefix=adopted, vocab_size=300, byte_fallback=True, minloglevel=2, **ids
    )
    model = trained(tmp_path, "run", f"tokenizer.source_model={adopted}.model", "tokenizer.kind=unigram")
    empty, text = Translator.load(model).translate(["\u200b", "red cat"])
    assert empty == ""
    assert text


def test_sentences_of_a_line_are_translated_separately(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    translator = Translator.load(model)
    alone = translator.translate(["red cat.", "blue dog?", "green house"])
    line = "red cat.  blue dog? green house "
    assert translator.translate([line, "", "red cat."], split=True) == [" ".join(alone), "", alone[0]]
    assert translator.translate([line], split=False) != [" ".join(alone)]
    assert translator.translate([line]) == [" ".join(alone)]  # the model was trained on single sentences
    assert not caplog.messages


def test_nbest(model: Path) -> None:
    best = Translator.load(model).nbest(["red cat", ""], SearchOptions(beam=4, nbest=3))
    scores = [translation.score for translation in best[0]]
    assert scores == sorted(scores, reverse=True)
    assert len({tuple(translation.tokens) for translation in best[0]}) == 3
    for line in Translator.load(model).nbest(LINES[:20], SearchOptions(beam=8, nbest=8)):
        texts = [translation.text for translation in line]
        assert len(set(texts)) == len(texts) == 8
    assert [translation.text for translation in best[1]] == [""]


def check_attention(translation: Translation) -> None:
    """A row for each token, with a weight for each source token, whose largest is where the alignment points."""
    weights = np.array(translation.attention)
    assert weights.shape == (len(translation.tokens), len(translation.source_tokens))
    assert np.all(weights.sum(axis=1) <= 1 + 1e-4)
    assert weights.argmax(axis=1).tolist() == translation.alignment


def test_attention_is_returned_on_request(model: Path) -> None:
    translator, lines = Translator.load(model), ["red cat", "", "one two three"]
    found = [best[0] for best in translator.nbest(lines, SearchOptions(attention=True))]
    for translation in (found[0], found[2]):
        check_attention(translation)
    assert found[1].attention == []
    assert [best[0].attention for best in translator.nbest(lines)] == [[], [], []]
    assert [translation.text for translation in found] == translator.translate(lines)


def test_long_lines_are_split_with_a_warning(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    translator = Translator.load(model)
    translator.segmenter.max_tokens, translator.segmenter.split_default = 8, False
    line = "red cat. blue dog. green house."
    options = SearchOptions(attention=True)
    with caplog.at_level(logging.WARNING):
        (whole,), (other,) = translator.nbest([Request(line, name="title"), "one", line], options)[:2]
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["title", "line 3"]
    assert len(whole.source_tokens) > 8
    assert max(whole.alignment) >= 8
    check_attention(whole)
    assert other.text == translator.translate(["one"])[0]
    assert len(translator.translate(["x" * 50])) == 1  # no place to split at


def test_parts_are_translated_as_lines_of_their_own(model: Path) -> None:
    translator = Translator.load(model)
    alone = translator.translate(["red cat.", "blue dog."])
    translator.segmenter.max_tokens = 8
    assert translator.translate(["red cat.  blue dog."]) == [" ".join(alone)]


def test_an_ensemble_is_the_mean_of_its_members(folder: Path, model: Path) -> None:
    other = trained(folder, "second", "training.seed=2", "model.decoder=input_feeding", "model.cell=gru")
    options = SearchOptions(beam=1)
    both = Translator.load(model, other).nbest(["red cat"], options)[0][0]
    assert math.isfinite(both.score)
    twice = Translator.load(model, model).nbest(LINES[:5], options)
    once = Translator.load(model).nbest(LINES[:5], options)
    for same, single in zip(twice, once, strict=True):
        assert same[0].text == single[0].text
        assert same[0].score == pytest.approx(single[0].score, abs=1e-5)


def test_models_that_do_not_match(folder: Path, model: Path) -> None:
    words = trained(folder, "words", "tokenizer.kind=words", "tokenizer.vocabulary_size=60")
    with pytest.raises(ModelError, match="cannot be an ensemble, their source vocabularies differ"):
        Translator.load(model, words)
    french = trained(folder, "french", "training.epochs=1")
    config = (french / "best").resolve() / "config.yaml"
    content = config.read_text("utf-8").replace("target_language: de", "target_language: fr").encode()
    config.write_bytes(content)
    files = sorted(path for path in config.parent.iterdir() if path.name != CHECKSUMS)
    (config.parent / CHECKSUMS).write_text("".join(f"{checksum(path)}  {path.name}\n" for path in files))
    with pytest.raises(
        ModelError, match=r"first and .*french: cannot be an ensemble, one translates en to de, the other en to fr"
    ):
        Translator.load(model, french)
    with pytest.raises(ConfigError, match="no model"):
        Translator.load()
    one, other = load_model(model), load_model(words)
    mixed = dataclasses.replace(one.tokenizers, target=other.tokenizers.target)
    with pytest.raises(ModelError, match="their target vocabularies differ"):
        Translator([one, dataclasses.replace(one, tokenizers=mixed)])
    unchanged = dataclasses.replace(one.tokenizers, normalizers=Normalizers())
    with pytest.raises(ModelError, match="normalize text by different rules"):
        Translator([one, dataclasses.replace(one, tokenizers=unchanged)])


def texts(translator: Translator, lines: list[str], options: SampleOptions) -> list[list[str]]:
    return [[translation.text for translation in samples] for samples in translator.nbest(lines, options)]


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_samples_depend_on_neither_batches_nor_threads(model: Path, precision: str) -> None:
    options = SampleOptions(samples=2, seed=3)
    alone = texts(Translator.load(model, precision=precision, batch_size=1), LINES, options)
    assert alone == texts(Translator.load(model, precision=precision), LINES, options)
    together = Translator.load(model, precision=precision, threads=2)
    assert alone[::-1] == texts(together, LINES[::-1], options)
    assert [samples[:1] for samples in alone] == texts(together, LINES, SampleOptions(seed=3))
    assert sum(samples[0] != samples[-1] for samples in alone) > 10


def test_samples_of_an_ensemble_and_of_a_line_in_parts(model: Path) -> None:
    options = SampleOptions(samples=3)
    both = Translator.load(model, model)
    first, second = texts(both, ["red cat.", "blue dog."], options)
    both.segmenter.max_tokens = 8
    assert texts(both, ["red cat.  blue dog.", ""], options) == [
        [" ".join(parts) for parts in zip(first, second, strict=True)],
        [""],
    ]


@pytest.mark.usefixtures("without_library")
def test_torch_uses_the_threads(model: Path) -> None:
    before = torch.get_num_threads()
    assert Translator.load(model, threads=3).threads == 1
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


@pytest.mark.usefixtures("without_library")
def test_memory_is_returned_after_some_batches(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[int] = []
    translator = Translator.load(model, batch_size=2)
    search = torch_search(translator)
    monkeypatch.setattr(torch_way, "return_memory", lambda: returned.append(search._rows))
    monkeypatch.setattr(torch_way, "TRIM_ROWS", 10)
    translator.translate(["red cat" + " one" * count for count in range(9)], SearchOptions(beam=3), guard=False)
    assert returned == [0, 0]


def test_a_model_that_cannot_be_packed_is_translated_by_torch(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Translator.load(model, precision="fp32").translate(LINES)
    monkeypatch.setattr("nmt.translation.load.load_packed", lambda *_: None)  # as it says of such a model
    monkeypatch.setitem(PACKABLE, "cell", ("gru",))
    assert Translator.load(model, model).translate(LINES) == expected
    with pytest.raises(ConfigError, match=r"precision int8: not for models with model\.cell=lstm"):
        Translator.load(model, precision="int8")


def test_a_model_that_learned_longer_lines_translates_them_whole(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = [
        trained(folder, f"long{most}", f"data.max_length={most}", "training.max_updates=1") for most in (100, 300)
    ]
    short, long = map(Translator.load, folders)
    both = Translator.load(*reversed(folders))
    assert [each.segmenter.max_tokens for each in (short, long, both)] == [MAX_SEGMENT_TOKENS, 300, MAX_SEGMENT_TOKENS]
    line = "red cat " * (250 // len(long.tokenizers.source.encode("red cat")))
    for translator in (long, short):
        caplog.clear()
        translator.translate([line], SearchOptions(beam=1, max_length_factor=0, max_length_extra=5))
        assert len(caplog.records) == (translator is short)
