"""Model folders: they are saved completely or not at all, verified, and loaded."""

import dataclasses
import errno
import os
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tiny
import torch
from safetensors import SafetensorError

from nmt.checkpoint.configuration import load_folder_config
from nmt.checkpoint.folder import (
    TrainingState,
    build_network,
    dequantize,
    load_model,
    load_training_state,
    save_model,
    save_shortlist,
    unique_weights,
)
from nmt.checkpoint.tensors import load_tensors, save_tensors
from nmt.checkpoint.training_text import load_languages, save_languages
from nmt.config.schema import Config
from nmt.data.check.languages import LanguageIdentifier
from nmt.data.readers import read_corpora
from nmt.errors import MachineError, ModelError
from nmt.model.candidates import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.system.files import add_file
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import train_tokenizers
from nmt.tokenizers.files import load_tokenizers
from nmt.tokenizers.normalization import Normalizers
from nmt.types import EOS


@pytest.fixture
def parts(tmp_path: Path) -> tuple[Config, Tokenizers, Seq2Seq]:
    config = tiny.config(tiny.write_corpus(tmp_path))
    tokenizers = train_tokenizers(
        config.tokenizer, (pair.sides for pair in read_corpora(config.data.train, config.data))
    )
    return config, tokenizers, build_network(config, tokenizers)


@pytest.fixture
def folder(tmp_path: Path, parts: tuple[Config, Tokenizers, Seq2Seq]) -> Path:
    config, tokenizers, network = parts
    training = TrainingState(tensors={"moment": torch.ones(3)}, progress='{"update": 4}')
    save_model(tmp_path / "model", unique_weights(network), tokenizers, config, training)
    return tmp_path / "model"


def test_a_model_is_saved_and_loaded(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq]) -> None:
    config, tokenizers, network = parts
    model = load_model(folder)
    assert model.config == config
    assert model.tokenizers.source.encode("red cat") == tokenizers.source.encode("red cat")
    for name, weight in unique_weights(network).items():
        assert torch.equal(unique_weights(model.network)[name], weight)
    state = load_training_state(folder)
    assert state.progress == '{"update": 4}'
    assert torch.equal(state.tensors["moment"], torch.ones(3))


def test_files_have_safe_formats(folder: Path) -> None:
    names = {file.name for file in folder.iterdir()}
    assert names == {
        "config.yaml",
        "tokenizer.json",
        "normalization.json",
        "truecase.json",
        "model.safetensors",
        "training.safetensors",
        "state.json",
        "checksums.sha256",
    }


def shortlist(tokenizers: Tokenizers) -> Shortlist:
    sizes = tokenizers.source.size, tokenizers.target.size
    best = np.random.default_rng(1).integers(EOS, sizes[1], (sizes[0], 2))
    return Shortlist(target_size=sizes[1], frequent=np.array([EOS, 5]), best=best)


def test_a_shortlist_is_saved_and_loaded(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq]) -> None:
    assert load_model(folder).shortlist is None
    first = shortlist(parts[1])
    for saved in (first, dataclasses.replace(first, best=first.best[:, :1])):  # the second replaces the first
        save_shortlist(folder, saved)
        loaded = load_model(folder).shortlist
        assert loaded
        assert loaded.target_size == saved.target_size
        assert np.array_equal(loaded.frequent, saved.frequent)
        assert np.array_equal(loaded.best, saved.best)
        assert {tensor.dtype for tensor in load_tensors(folder / "shortlist.safetensors").values()} == {torch.int32}


def test_languages_are_saved_and_loaded(folder: Path) -> None:
    assert load_languages(folder) is None
    save_languages(folder, LanguageIdentifier.learn({"en": ["one two"], "de": ["eins zwei"]}))
    loaded = load_languages(folder)
    assert loaded
    assert loaded.identify("eins")["de"] > loaded.identify("eins")["en"]
    load_model(folder)
    (folder / "languages.safetensors").write_bytes(bytes(10))
    with pytest.raises(ModelError, match=r"languages\.safetensors: damaged or cut short"):
        load_languages(folder)


def test_languages_of_unlimited_size_are_refused(folder: Path) -> None:
    add_file(folder, "languages.safetensors", bytes(200_001))
    with pytest.raises(ModelError, match="at most 200,000 are allowed"):
        load_languages(folder)


def test_a_shortlist_of_other_vocabularies(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq]) -> None:
    own = shortlist(parts[1])
    other = Shortlist(target_size=1000, frequent=np.array([999]), best=own.best)
    for wrong, message in [
        (dataclasses.replace(own, best=own.best[:-1]), "source tokens instead of"),
        (dataclasses.replace(own, best=np.vstack([own.best, own.best[:1]])), "source tokens instead of"),
        (other, "999, but"),
    ]:
        save_shortlist(folder, wrong)
        with pytest.raises(ModelError, match=f"does not fit the vocabularies.*{message}"):
            load_model(folder)


DAMAGED = [
    "config.yaml",
    "tokenizer.json",
    "normalization.json",
    "model.safetensors",
    "shortlist.safetensors",
    "checksums.sha256",
]


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_damage_is_detected(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq], name: str, damage: str) -> None:
    save_shortlist(folder, shortlist(parts[1]))
    content = bytearray((folder / name).read_bytes())
    if damage == "missing":
        (folder / name).unlink()
    elif damage == "cut":
        (folder / name).write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 8] ^= 1  # in the file of checksums: that of a file that is needed
        (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match="copy the whole folder again" if name == "checksums.sha256" else name):
        load_model(folder)


def test_a_folder_names_every_key_of_its_network(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq]) -> None:
    """The default of a key that is missing may describe another network than the one that was saved."""
    assert load_folder_config(folder) == parts[0]
    lines = (folder / "config.yaml").read_text().splitlines()
    (folder / "config.yaml").write_text("\n".join(line for line in lines if "embedding_scale" not in line))
    with pytest.raises(ModelError, match=r"config.yaml: lacks model.embedding_scale; .* another version of nmt"):
        load_folder_config(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must hold sections"),
        ("data: {}", "lacks model.cell, model.embedding_size"),
        ("model:", "lacks model.cell, model.embedding_size"),
        ("model: {cell: lsmt}", "model.cell: must be one of lstm"),
        ("model: {encoder_size: 7}", "model.encoder_size: must be even"),
    ],
)
def test_a_configuration_that_is_not_that_of_a_model(folder: Path, text: str, says: str) -> None:
    (folder / "config.yaml").write_text(text)
    with pytest.raises(ModelError, match=f"config.yaml: {says}.*; the folder was damaged or written by another"):
        load_folder_config(folder)


@pytest.mark.parametrize("name", ["training.safetensors", "state.json"])
def test_files_of_the_training_are_not_needed_to_translate(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"damaged")
    assert load_model(folder)
    (folder / name).unlink()
    assert load_model(folder)


@pytest.mark.parametrize("tied", ["none", "two_way", "three_way"])
def test_loading_does_not_initialize_weights(
    tmp_path: Path,
    parts: tuple[Config, Tokenizers, Seq2Seq],
    monkeypatch: pytest.MonkeyPatch,
    tied: Literal["none", "two_way", "three_way"],
) -> None:
    config, tokenizers, _ = parts
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, tied_embeddings=tied, layer_norm=True))
    network = build_network(config, tokenizers)
    save_model(tmp_path / tied, unique_weights(network), tokenizers, config)
    for name in ("uniform_", "normal_"):
        monkeypatch.setattr(torch.Tensor, name, None)
    loaded = load_model(tmp_path / tied).network
    assert (loaded.output.weight is loaded.target_embedding.weight) == (tied != "none")
    assert (loaded.source_embedding.weight is loaded.target_embedding.weight) == (tied == "three_way")
    for name, weight in unique_weights(network).items():
        assert torch.equal(unique_weights(loaded)[name], weight)


def test_folders_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "copied").symlink_to("checkpoints/update-00000100")
    with pytest.raises(ModelError, match="copied: a link to a missing folder; copy the folder"):
        load_model(tmp_path / "copied")
    with pytest.raises(ModelError, match="not a model folder"):
        load_model(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ModelError, match="not chosen a best checkpoint yet"):
        load_model(tmp_path)


def test_a_full_disk_keeps_the_older_folder(
    folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tokenizers, network = parts

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match="No space left on device"):
        save_model(folder, unique_weights(tiny.network()), tokenizers, config)
    monkeypatch.undo()
    assert torch.equal(load_model(folder).network.output.weight, network.output.weight)
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_inside_safetensors(
    tmp_path: Path, parts: tuple[Config, Tokenizers, Seq2Seq], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tokenizers, network = parts

    def full(tensors: object, path: Path) -> None:
        path.symlink_to("/dev/full")
        path.write_bytes(b"0" * 10_000)

    monkeypatch.setattr("nmt.checkpoint.tensors.save_file", full)
    with pytest.raises(MachineError, match="No space left on device"):
        save_model(tmp_path / "model", unique_weights(network), tokenizers, config)
    assert not (tmp_path / "model").exists()


def test_a_folder_is_on_disk_before_it_is_renamed(
    tmp_path: Path, parts: tuple[Config, Tokenizers, Seq2Seq], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file is synced, then the folder renamed, then the parent synced, which makes the new name durable."""
    events: list[object] = []
    sync, replace = os.fsync, os.replace

    def record_sync(descriptor: int) -> None:
        events.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def record_replace(old: Path, new: Path) -> None:
        events.append("replace")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(os, "replace", record_replace)
    config, tokenizers, network = parts
    save_model(tmp_path / "new" / "model", unique_weights(network), tokenizers, config)
    files = {path.stat().st_ino for path in (tmp_path / "new" / "model").iterdir()}
    renamed = events.index("replace")
    assert set(events[:renamed]) >= files
    assert events[renamed + 1 :] == [(tmp_path / "new").stat().st_ino]


def test_weights_that_do_not_fit(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq], tmp_path: Path) -> None:
    config, tokenizers, network = parts
    own = unique_weights(network)
    bias = next(name for name in own if name.endswith("bias"))
    others = {
        "surplus": own | {"surplus": torch.ones(1)},
        "missing": {name: weight for name, weight in own.items() if name != bias},
        "longer": own | {bias: torch.ones(own[bias].numel() + 1)},
    }
    messages = {
        "surplus": r"differs in surplus\)",
        "missing": rf"differs in {bias}\)",
        "longer": rf"{bias} is \({own[bias].numel() + 1},\) instead of \({own[bias].numel()},\)",
    }
    for name, weights in others.items():
        save_model(tmp_path / name, weights, tokenizers, config)
        with pytest.raises(ModelError, match=f"does not fit config.yaml .*{messages[name]}"):
            load_model(tmp_path / name)
    integers = {name: weight.int() for name, weight in unique_weights(network).items()}
    save_model(tmp_path / "integers", integers, tokenizers, config)
    with pytest.raises(ModelError, match=r"\.weight has integers without .*\.scale"):
        load_model(tmp_path / "integers")


@pytest.mark.parametrize(
    ("text", "number", "says"),
    [("I/O error: x (os error 28)", 28, os.strerror(28)), ("no such type", 0, "no such type")],
)
def test_reason_of_a_safetensors_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, number: int, says: str
) -> None:
    def fail(tensors: object, path: Path) -> None:
        raise SafetensorError(text)

    monkeypatch.setattr("nmt.checkpoint.tensors.save_file", fail)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        save_tensors(tmp_path / "x.safetensors", {})
    assert (caught.value.errno, caught.value.strerror) == (number, says)


def test_tensors_of_any_layout_are_saved(tmp_path: Path) -> None:
    matrix = torch.arange(6.0).reshape(2, 3)
    save_tensors(tmp_path / "x.safetensors", {"columns": matrix.T, "part": matrix[:, 1:]})
    loaded = load_tensors(tmp_path / "x.safetensors")
    assert torch.equal(loaded["columns"], matrix.T)
    assert torch.equal(loaded["part"], matrix[:, 1:])


def test_a_state_of_training_that_cannot_be_read(folder: Path) -> None:
    (folder / "training.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"training\.safetensors: cannot be read"):
        load_training_state(folder)
    (folder / "state.json").unlink()
    with pytest.raises(ModelError, match=r"state\.json: cannot be read \(No such file or directory\)"):
        load_training_state(folder)


def test_initial_weights_depend_on_the_seed_only(parts: tuple[Config, Tokenizers, Seq2Seq]) -> None:
    config, tokenizers, network = parts
    torch.manual_seed(5)
    again = unique_weights(build_network(config, tokenizers))
    assert all(torch.equal(weight, again[name]) for name, weight in unique_weights(network).items())
    other = dataclasses.replace(config, training=dataclasses.replace(config.training, seed=config.training.seed + 1))
    different = unique_weights(build_network(other, tokenizers))
    assert not torch.equal(different["target_embedding.weight"], again["target_embedding.weight"])


def test_a_loaded_network_has_no_gradients(folder: Path) -> None:
    assert not any(parameter.requires_grad for parameter in load_model(folder).network.parameters())


def test_int8_matrices_are_multiplied_by_the_scales_of_their_rows() -> None:
    weights = {
        "a": torch.tensor([[1, -2], [3, 4]], dtype=torch.int8),
        "a.scale": torch.tensor([0.5, 2.0]),
        "b": torch.tensor([7.0]),
    }
    restored = dequantize(weights)
    assert restored.keys() == {"a", "b"}
    assert torch.equal(restored["a"], torch.tensor([[0.5, -1.0], [6.0, 8.0]]))
    assert torch.equal(restored["b"], weights["b"])


def test_tags_are_loaded_from_the_configuration(tmp_path: Path) -> None:
    config = tiny.config(tiny.write_corpus(tmp_path), "data.target_tags=true")
    pairs = (pair.sides for pair in read_corpora(config.data.train, config.data))
    tokenizers = train_tokenizers(config.tokenizer, pairs, config.data.tags)
    network = build_network(config, tokenizers)
    save_model(tmp_path / "model", unique_weights(network), tokenizers, config)
    loaded = load_model(tmp_path / "model")
    assert config.data.tags == ("<2de>",)
    assert loaded.tokenizers.source.size == tokenizers.source.size
    weight = loaded.network.source_embedding.weight
    assert torch.equal(weight, network.source_embedding.weight)
    assert len(weight) == tokenizers.source.size


def test_a_parameter_may_be_called_scale() -> None:
    weights = {"gain.scale": torch.ones(3), "matrix": torch.ones(2, 3), "matrix.scale": torch.full((2,), 2.0)}
    restored = dequantize(weights)
    assert restored.keys() == {"gain.scale", "matrix"}
    assert torch.equal(restored["gain.scale"], torch.ones(3))
    assert torch.equal(restored["matrix"], torch.full((2, 3), 2.0))


def test_a_folder_of_an_older_version_keeps_text_as_it_is(
    tmp_path: Path, parts: tuple[Config, Tokenizers, Seq2Seq]
) -> None:
    config, tokenizers, network = parts
    tokenizers = dataclasses.replace(tokenizers, normalizers=Normalizers())
    save_model(tmp_path / "model", unique_weights(network), tokenizers, config)
    path = tmp_path / "model" / "config.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "normalization:" not in line), encoding="utf-8")
    assert "normalization" not in path.read_text(encoding="utf-8")
    config = load_folder_config(tmp_path / "model")
    assert config.tokenizer.normalization == "none"
    loaded = load_tokenizers(config.tokenizer, tmp_path / "model")
    assert loaded.normalizers.source.normalize("a\u00a0b ") == "a\u00a0b "
