"""nmt-export --format onnx: the network as ONNX graphs."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnx_scorer import OnnxScorer
from random_models import ENGLISH, save_network

from nmt import SearchOptions, Translator
from nmt.checkpoint.export import export
from nmt.checkpoint.folder import Model, load_model
from nmt.checkpoint.onnx_export import export_onnx
from nmt.commands.export import main
from nmt.types import BOS, EOS

MODELS = Path(__file__).parents[1] / "models" / "0.1.0"
LINES = [*ENGLISH, "two dogs", "A RED CAT SEES THE HOUSE.", "你好", "cat " * 9]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"decoder": "input_feeding", "attention": "general", "bridge": "final"},
    {"decoder": "input_feeding", "decoder_layers": 3, "residual": True, "layer_norm": True, "bridge": "none"},
    {"cell": "gru", "encoder_layers": 3, "residual": True, "tied_embeddings": "two_way", "attention": "additive"},
    {"cell": "rnn", "decoder_layers": 1, "tied_embeddings": "none", "attention": "multi_head", "layer_norm": True},
    {"cell": "gru", "decoder": "input_feeding", "residual": False, "encoder_size": 20, "decoder_size": 20},
    {"cell": "rnn", "decoder_layers": 1, "decoder": "parallel", "bridge": "none"},
]
TOKENIZERS: list[dict[str, Any]] = [
    {"kind": "unigram", "vocabulary_size": 340},
    {"kind": "bpe", "vocabulary_size": 120, "byte_fallback": False, "joint": False},
]


def translate(model: Model, folder: Path | None, lines: list[str], beam: int) -> list[str]:
    """Translate with nmt's search, and the graphs in a folder or the network itself."""
    translator = Translator([model], shortlist=False)
    if folder:
        search = translator._search
        scorer = OnnxScorer(folder, model.tokenizers.target.size)
        search._search = dataclasses.replace(search._search, scorer=scorer)  # type: ignore[attr-defined]
    return translator.translate(lines, SearchOptions(beam=beam), protect=False)


@pytest.mark.parametrize(("settings", "tokenizer"), [*zip(SETTINGS, (TOKENIZERS * 4)[:7], strict=True)])
def test_the_graphs_compute_every_kind_of_network(
    tmp_path: Path, settings: dict[str, Any], tokenizer: dict[str, Any]
) -> None:
    folder = save_network(tmp_path, settings, tokenizer, tags=tokenizer["kind"] == "bpe")
    export_onnx(folder, tmp_path / "onnx")
    model = load_model(folder)
    for beam in (1, 4):
        assert translate(model, tmp_path / "onnx" / "fp32", LINES, beam) == translate(model, None, LINES, beam)


def test_log_probabilities_and_attention_of_a_batch(tmp_path: Path) -> None:
    folder = save_network(tmp_path, SETTINGS[1], TOKENIZERS[0])
    export_onnx(folder, tmp_path / "onnx")
    network = load_model(folder).network
    source, lengths = torch.tensor([[7, 8, 9, 10, EOS], [11, EOS, 0, 0, 0]]), torch.tensor([5, 2])
    tokens = torch.tensor([BOS, 20, BOS, 30])  # two hypotheses of each sentence
    with torch.no_grad():
        memory = network.encode(source, lengths)
        start = network.start(memory).select(torch.tensor([0, 0, 1, 1]))
        step = network.step(tokens, start, memory)
        expected = network.output.log_probabilities(
            network.step_readout(step, source), lambda vectors: network.output(vectors)[:, EOS:].log_softmax(dim=-1)
        )
    encoder, decoder = (
        onnxruntime.InferenceSession(str(tmp_path / "onnx" / "fp32" / f"{name}.onnx")) for name in ("encoder", "step")
    )
    names = ("keys", "values", "mask", "state")
    found = encoder.run(names, {"tokens": source.numpy(), "lengths": lengths.numpy()})
    inputs = dict(zip(names, found, strict=True)) | {"tokens": tokens.numpy()}
    inputs["state"] = inputs["state"][[0, 0, 1, 1]]
    log_probabilities, attention, _ = decoder.run(["log_probabilities", "attention", "next_state"], inputs)
    np.testing.assert_allclose(log_probabilities[:, EOS:], expected.numpy(), atol=2e-5)
    assert np.isneginf(log_probabilities[:, :EOS]).all()
    np.testing.assert_allclose(attention, step.attention.numpy(), atol=1e-5)


def test_int8_has_the_weights_of_the_int8_folder(tmp_path: Path) -> None:
    export_onnx(MODELS / "input_feeding", tmp_path / "onnx")
    export(MODELS / "input_feeding", tmp_path / "int8")
    model = load_model(tmp_path / "int8")
    lines = (MODELS / "source.txt").read_text(encoding="utf-8").splitlines()[:10]
    assert translate(model, tmp_path / "onnx" / "int8", lines, 5) == translate(model, None, lines, 5)
    sizes = [(tmp_path / "onnx" / name / "step.onnx").stat().st_size for name in ("fp32", "int8")]
    assert sizes[1] < sizes[0] / 2


def test_the_loop_of_the_readme(tmp_path: Path) -> None:
    folder = save_network(tmp_path, SETTINGS[1], TOKENIZERS[1], tags=True)
    export_onnx(folder, tmp_path / "onnx")
    readme = (tmp_path / "onnx" / "README.md").read_text(encoding="utf-8")
    assert "$" not in readme
    (loop,) = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", loop.replace("int8/", "fp32/")],
        cwd=tmp_path / "onnx",
        input="\n".join(ENGLISH),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    translator = Translator([load_model(folder)], shortlist=False)
    options = SearchOptions(beam=1)
    own = translator.translate(ENGLISH, options, protect=False, guard=False, split=False)
    assert [line.strip() for line in done.stdout.splitlines()] == [line.strip() for line in own]
    description = json.loads((tmp_path / "onnx" / "description.json").read_text(encoding="utf-8"))
    assert description["special_tokens"] == {"pad": 0, "unknown": 1, "bos": 2, "eos": 3}
    assert list(description["tags"]) == ["<2de>"]


def test_what_the_graphs_cannot_have_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--format", "onnx", str(MODELS / "bideep"), str(tmp_path / "onnx")]) == 2
    assert "no ONNX for models with model.decoder=conditional" in capsys.readouterr().err
    assert not (tmp_path / "onnx").exists()


def test_a_missing_package_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    for name in ("nmt.checkpoint.onnx_export", "nmt.checkpoint.onnx_graph"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert main(["--format", "onnx", str(MODELS / "input_feeding"), str(tmp_path / "onnx")]) == 2
    assert "--format onnx needs the package onnx; pip install 'nmt[onnx]'" in capsys.readouterr().err


def test_the_command(tmp_path: Path) -> None:
    assert main(["--format", "onnx", str(MODELS / "input_feeding"), str(tmp_path / "onnx")]) == 0
    files = {
        path.relative_to(tmp_path / "onnx").as_posix() for path in (tmp_path / "onnx").rglob("*") if path.is_file()
    }
    graphs = {f"{precision}/{name}.onnx" for precision in ("fp32", "int8") for name in ("encoder", "step")}
    assert files == {*graphs, "tokenizer.model", "description.json", "README.md"}
