"""nmt-export: a smaller model folder that can be used like any other."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from nmt import Translator
from nmt.checkpoint.export import compute_row_scales, quantize_rows
from nmt.checkpoint.folder import Model, load_model, save_model, save_shortlist, unique_weights
from nmt.checkpoint.tensors import load_tensors
from nmt.commands.export import main
from nmt.data.readers import read_corpora
from nmt.model.candidates import Shortlist
from nmt.native.packing import PACKABLE
from nmt.system.files import verify_checksums
from nmt.tokenizers.build import train_tokenizers
from nmt.training.run import train

floats = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**100), max_value=2.0**100)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    sizes = [f"model.{name}_size=64" for name in ("embedding", "encoder", "decoder")]
    options = [
        "tokenizer.kind=bpe",
        "tokenizer.vocabulary_size=300",
        "training.epochs=8",
        "training.learning_rate=0.01",
    ]
    train(tiny.config(tiny.write_corpus(folder), *sizes, *options), folder / "run")
    return folder / "run"


@given(st_numpy.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=floats))
def test_quantizing_dequantized_rows_gives_the_same_integers(values: np.ndarray) -> None:
    matrix = torch.from_numpy(values)
    scale = compute_row_scales(matrix)
    whole = quantize_rows(matrix, scale)
    # The product is exact: float64, which holds all of its bits, gives the same values.
    product = whole.float() * scale.unsqueeze(1)
    assert torch.equal(product.double(), whole.double() * scale.double().unsqueeze(1))
    again = product.abs().amax(dim=1) / 127
    assert torch.equal(again, torch.where(whole.eq(0).all(dim=1), 0.0, scale))
    assert torch.equal(quantize_rows(product, scale), whole)
    assert int(whole.min()) >= -127
    tiny_row = matrix.abs().amax(dim=1, keepdim=True) < 1e-30
    assert ((product - matrix).abs() <= torch.where(tiny_row, 1e-30, 0.5001 * scale.unsqueeze(1))).all()


def test_an_exported_model_is_small_and_translates_like_the_original(model: Path, tmp_path: Path) -> None:
    assert main(["--format", "int8", str(model), str(tmp_path / "small")]) == 0
    names = {path.name for path in (tmp_path / "small").iterdir()}
    models = {"tokenizer.model", "normalization.json", "truecase.json"}
    models |= {"model.safetensors", "shortlist.safetensors", "languages.safetensors", "words.safetensors"}
    assert names == {"config.yaml", *models, "checksums.sha256"}
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (model / "best", tmp_path / "small")]
    assert sizes[1] < 0.35 * sizes[0]  # vectors are a larger part of a tiny model than of a real one
    lines = [f"{first} {second}" for first, _ in tiny.PAIRS for second, _ in tiny.PAIRS[:4]]
    translations = [Translator.load(folder).translate(lines) for folder in (model, tmp_path / "small")]
    same = sum(first == second for first, second in zip(*translations, strict=True))
    assert same > 0.8 * len(lines)
    assert main(["--format", "int8", str(tmp_path / "small"), str(tmp_path / "again")]) == 0
    first, second = (load_tensors(tmp_path / name / "model.safetensors") for name in ("small", "again"))
    assert all(torch.equal(first[name], second[name]) for name in first.keys() | second.keys())


def save_network(folder: Path, **settings: Any) -> Model:
    """Save a model with these settings of its network to `folder`/model."""
    config = tiny.config(tiny.write_corpus(folder))
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, **settings))
    tokenizers = train_tokenizers(
        config.tokenizer, (pair.sides for pair in read_corpora(config.data.train, config.data))
    )
    sizes = {"source_size": tokenizers.source.size, "target_size": tokenizers.target.size}
    network = type(tiny.network())(config.model, **sizes, generator=torch.Generator().manual_seed(1))
    save_model(folder / "model", unique_weights(network), tokenizers, config)
    return Model(network=network, tokenizers=tokenizers, config=config, name="saved")


@pytest.mark.parametrize(
    "settings",
    [
        *({"cell": cell} for cell in PACKABLE["cell"]),
        *({"attention": attention} for attention in PACKABLE["attention"]),
        *({"decoder": decoder, "layer_norm": True} for decoder in PACKABLE["decoder"]),
        *({"tied_embeddings": tied} for tied in ("none", "two_way", "three_way")),
    ],
)
def test_every_kind_of_network_is_restored_within_rounding(tmp_path: Path, settings: dict[str, str | bool]) -> None:
    original = save_network(tmp_path, **settings)
    assert main(["--format", "int8", str(tmp_path / "model"), str(tmp_path / "small")]) == 0
    loaded = load_model(tmp_path / "small")
    tied = settings.get("tied_embeddings", original.config.model.tied_embeddings) != "none"
    assert (loaded.network.output.weight is loaded.network.target_embedding.weight) == tied
    before, after = unique_weights(original.network), unique_weights(loaded.network)
    largest = max(float(weight.abs().max()) for weight in before.values())
    for name, weight in before.items():
        assert after[name].dtype == torch.float32
        assert float((after[name] - weight).abs().max()) <= 0.501 * largest / 127


def test_the_shortlist_is_copied(tmp_path: Path) -> None:
    sizes = save_network(tmp_path).tokenizers
    best = np.full((sizes.source.size, 1), 5)
    shortlist = Shortlist(target_size=sizes.target.size, frequent=np.array([3, 4, 5]), best=best)
    save_shortlist(tmp_path / "model", shortlist)
    assert main(["--format", "int8", str(tmp_path / "model"), str(tmp_path / "small")]) == 0
    assert "shortlist.safetensors" in verify_checksums(tmp_path / "small")
    assert load_model(tmp_path / "small").shortlist


def test_faults_are_one_line_and_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = save_network(tmp_path)
    for name, value in (("diverged", float("nan")), ("infinite", float("inf"))):
        weights = {key: weight.clone() for key, weight in unique_weights(original.network).items()}
        next(iter(weights.values())).view(-1)[-1] = value
        save_model(tmp_path / name, weights, original.tokenizers, original.config)
    before = sorted(tmp_path.iterdir())
    faults = {
        ("model", "diverged"): "diverged: exists already; name a new folder",
        ("nowhere", "new"): "nowhere: no such folder",
        (".", "new"): "not a model folder",
        ("diverged", "new"): "holds values that are not numbers",
        ("infinite", "new"): "holds values that are not numbers",
        ("model", "text.en/new"): "cannot be written",
    }
    for (model, output), message in faults.items():
        assert main(["--format", "int8", str(tmp_path / model), str(tmp_path / output)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("nmt-export: error: ")
        assert message in error
        assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(SystemExit):
        main([str(tmp_path / "model"), str(tmp_path / "new")])
    assert "--format" in capsys.readouterr().err


def test_a_network_that_does_not_run_in_int8_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_network(tmp_path)
    monkeypatch.setitem(PACKABLE, "cell", ("gru",))
    assert main(["--format", "int8", str(tmp_path / "model"), str(tmp_path / "small")]) == 2
    error = capsys.readouterr().err
    assert "no int8 for models with model.cell=lstm; use the folder as it is" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "small").exists()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    save_network(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    before = sorted(tmp_path.iterdir())
    assert main(["--format", "int8", str(tmp_path / "model"), str(tmp_path / "small")]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, nmt.commands.export; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
