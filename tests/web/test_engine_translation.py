"""Exported models translate in JavaScript as they do in Python."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from javascript import NODE, Engine
from random_models import ODD_LINES, save_network

from nmt import SearchOptions, Translator
from nmt.checkpoint.web import export_web

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
THINGS = [
    "See https://example.org/a?b=1 near house.txt, one cat.",
    "A dog \N{SLIGHTLY SMILING FACE} runs. @dog",
]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"decoder": "input_feeding", "attention": "general", "bridge": "final"},
    {"decoder": "input_feeding", "decoder_layers": 3, "residual": True, "layer_norm": True, "bridge": "none"},
    {"cell": "gru", "encoder_layers": 3, "residual": True, "tied_embeddings": "two_way"},
    {"cell": "rnn", "decoder_layers": 1, "tied_embeddings": "none", "attention": "general", "layer_norm": True},
    {"cell": "gru", "decoder": "input_feeding", "residual": False, "encoder_size": 20, "decoder_size": 20},
]
TOKENIZERS: list[dict[str, Any]] = [
    {"kind": "unigram", "vocabulary_size": 340},
    {"kind": "bpe", "vocabulary_size": 120, "byte_fallback": False, "joint": False},
]


@pytest.mark.parametrize(("settings", "tokenizer"), [*zip(SETTINGS, TOKENIZERS * 3, strict=True)])
def test_every_kind_of_network(
    engine: Engine, tmp_path: Path, settings: dict[str, Any], tokenizer: dict[str, Any]
) -> None:
    model = save_network(tmp_path, settings, tokenizer, tags=tokenizer["kind"] == "bpe")
    export_web(model, tmp_path / "web")
    translator = Translator.load(tmp_path / "web" / "model", precision="fp32")
    # The alignment of the wrong bytes that random weights produce differs.
    lines = [*ODD_LINES, *([] if tokenizer["kind"] == "unigram" else THINGS)]
    for beam in (1, 4):
        own = translator.translate(lines, SearchOptions(beam=beam))
        found = engine.ask("translate", (tmp_path / "web" / "model").as_uri(), lines, {"beam": beam})
        assert [one["text"] for one in found] == own


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model of 0.1.0, exported."""
    folder = tmp_path_factory.mktemp("web") / "exported"
    export_web(MODELS / "input_feeding", folder)
    return folder


def test_a_trained_model(engine: Engine, exported: Path) -> None:
    lines = ["They will play in the morning.", "The famous sister will cry.", "I saw the old house!"]
    model = Translator.load(exported / "model", precision="fp32")
    found = engine.ask("translate", (exported / "model").as_uri(), lines)
    assert [one["text"] for one in found] == model.translate(lines)
    for line, one in zip(lines, found, strict=True):
        words = [one["text"][word["start"] : word["end"]] for word in one["words"]]
        assert words == one["text"].split()
        sources = [line[slice(*word["source"])] for word in one["words"]]
        assert set(sources) <= set(line.split())
        options = SearchOptions(attention=True)
        ((own, *_),) = model.nbest([line], options)
        confidences = [word["confidence"] for word in one["words"]]
        assert confidences == pytest.approx([word.confidence for word in own.words], abs=1e-4)
    (whole,) = engine.ask("translate", (exported / "model").as_uri(), ["\n".join(["", *lines])])
    assert whole["text"].split("\n") == ["", *[one["text"] for one in found]]
    assert whole["words"][-1]["end"] == len(whole["text"])


@pytest.mark.parametrize("prefix", ["", "Ihr ", "Ihr tap", "Die"])
def test_alternatives(engine: Engine, exported: Path, prefix: str) -> None:
    model, line = Translator.load(exported / "model", precision="fp32"), "The famous sister will cry."
    found = engine.ask("alternatives", (exported / "model").as_uri(), line, prefix, {"count": 4})
    own = model.alternatives(line, prefix, 4)
    assert [(one["word"], one["text"]) for one in found] == [(one.word, one.text) for one in own]
    assert [one["probability"] for one in found] == pytest.approx([one.probability for one in own], rel=1e-4)


def test_the_folder_is_an_npm_package(exported: Path, tmp_path: Path) -> None:
    package = json.loads((exported / "package.json").read_text(encoding="utf-8"))
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / package["name"]).symlink_to(exported)
    (tmp_path / "use.mjs").write_text(
        f"import {{ translate }} from {package['name']!r};\n"
        "process.stdout.write(await translate('They will play in the morning.'));\n"
    )
    done = subprocess.run([NODE, tmp_path / "use.mjs"], capture_output=True, text=True, encoding="utf-8", check=True)
    assert [done.stdout] == Translator.load(exported / "model").translate(["They will play in the morning."])


def test_a_wrong_language_is_an_error(engine: Engine, exported: Path) -> None:
    with pytest.raises(RuntimeError, match="the model does not translate into xx; choose de"):
        engine.ask("translate", (exported / "model").as_uri(), ["one"], {"to": "xx"})
