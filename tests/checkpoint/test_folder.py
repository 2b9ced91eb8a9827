import dataclasses
import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from nmt.checkpoint.folder import (
    TrainingState,
    build_network,
    load_folder_config,
    load_model,
    load_training_state,
    save_model,
    save_shortlist,
    unique_weights,
)
from nmt.checkpoint.run_folder import CheckpointFolder
from nmt.config.schema import Config
from nmt.data.readers import read_corpora
from nmt.errors import MachineError, ModelError
from nmt.model.candidates import Shortlist
from nmt.model.seq2seq import Seq2Seq
from nmt.tokenizers.base import Tokenizers
from nmt.tokenizers.build import train_tokenizers
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


def test_a_model_comes_back(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq]) -> None:
    config, tokenizers, network = parts
    model = load_model(folder)
    assert model.config == config
    assert model.tokenizers.source.encode("red cat") == tokenizers.source.encode("red cat")
    for name, weight in unique_weights(network).items():
        assert torch.equal(unique_weights(model.network)[name], weight)
    state = load_training_state(folder)
    assert state.progress == '{"update": 4}'
    assert torch.equal(state.tensors["moment"], torch.ones(3))


def test_only_harmless_formats(folder: Path) -> None:
    names = {file.name for file in folder.iterdir()}
    assert names == {
        "config.yaml",
        "tokenizer.json",
        "model.safetensors",
        "training.safetensors",
        "state.json",
        "checksums.sha256",
    }


def shortlist(tokenizers: Tokenizers) -> Shortlist:
    sizes = tokenizers.source.size, tokenizers.target.size
    best = np.random.default_rng(1).integers(EOS, sizes[1], (sizes[0], 2))
    return Shortlist(target_size=sizes[1], frequent=np.array([EOS, 5]), best=best)


def test_a_shortlist_comes_back(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq]) -> None:
    assert load_model(folder).shortlist is None
    first = shortlist(parts[1])
    for saved in (first, dataclasses.replace(first, best=first.best[:, :1])):  # the second in place of the first
        save_shortlist(folder, saved)
        loaded = load_model(folder).shortlist
        assert loaded
        assert loaded.target_size == saved.target_size
        assert np.array_equal(loaded.frequent, saved.frequent)
        assert np.array_equal(loaded.best, saved.best)


def test_a_shortlist_of_other_vocabularies(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq]) -> None:
    own = shortlist(parts[1])
    other = Shortlist(target_size=1000, frequent=np.array([999]), best=own.best)
    for wrong, message in [
        (dataclasses.replace(own, best=own.best[:-1]), "source tokens instead of"),
        (other, "999, but"),
    ]:
        save_shortlist(folder, wrong)
        with pytest.raises(ModelError, match=f"does not fit the vocabularies.*{message}"):
            load_model(folder)


DAMAGED = ["config.yaml", "tokenizer.json", "model.safetensors", "shortlist.safetensors", "checksums.sha256"]


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_damage_is_recognised(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq], name: str, damage: str) -> None:
    save_shortlist(folder, shortlist(parts[1]))
    content = bytearray((folder / name).read_bytes())
    if damage == "missing":
        (folder / name).unlink()
    elif damage == "cut":
        (folder / name).write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 8] ^= 1  # of the checksums: one that is needed
        (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match="copy the whole folder again" if name == "checksums.sha256" else name):
        load_model(folder)


def test_a_folder_names_every_key_of_its_network(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq]) -> None:
    """A key that came later has a default now, but the network may be another one."""
    assert load_folder_config(folder) == parts[0]
    lines = (folder / "config.yaml").read_text().splitlines()
    (folder / "config.yaml").write_text("\n".join(line for line in lines if "embedding_scale" not in line))
    with pytest.raises(ModelError, match=r"config.yaml: lacks model.embedding_scale; .* another version of nmt"):
        load_folder_config(folder)


@pytest.mark.parametrize("name", ["training.safetensors", "state.json"])
def test_what_only_training_reads_is_not_needed_to_translate(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"damaged")
    assert load_model(folder)
    (folder / name).unlink()
    assert load_model(folder)


@pytest.mark.parametrize("tied", ["none", "two_way", "three_way"])
def test_loading_draws_no_weights(
    tmp_path: Path, parts: tuple[Config, Tokenizers, Seq2Seq], monkeypatch: pytest.MonkeyPatch, tied: str
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


def test_folders_that_are_no_models(tmp_path: Path) -> None:
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


def test_a_full_disk_leaves_what_was_there(
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

    monkeypatch.setattr("nmt.checkpoint.folder.save_file", full)
    with pytest.raises(MachineError, match="No space left on device"):
        save_model(tmp_path / "model", unique_weights(network), tokenizers, config)
    assert not (tmp_path / "model").exists()


def checkpoints(output: Path, folder: Path, *updates: int) -> CheckpointFolder:
    result = CheckpointFolder(output)
    result.folder.mkdir(parents=True)
    for update in updates:
        shutil.copytree(folder, result.path(update))
    return result


def test_the_best_and_the_newest_are_kept(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10, 15, 20, 100)
    saved.choose(10)
    saved.prune(2)
    assert [path.name for path in saved.all()] == ["update-00000010", "update-00000020", "update-00000100"]
    assert saved.best() == saved.path(10).resolve()
    assert load_model(tmp_path / "out").config.model.encoder_size == 16
    saved.choose(100)
    saved.prune(2)
    assert [path.name for path in saved.all()] == ["update-00000020", "update-00000100"]


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10)
    assert saved.newest() == (saved.path(10), [])
    (saved.path(10) / "training.safetensors").write_bytes(b"")
    newest, complaints = saved.newest()
    assert newest == saved.path(5)
    assert len(complaints) == 1
    assert "training.safetensors" in complaints[0]


def test_weights_that_do_not_fit(folder: Path, parts: tuple[Config, Tokenizers, Seq2Seq], tmp_path: Path) -> None:
    config, tokenizers, network = parts
    save_model(tmp_path / "odd", {"x": torch.ones(1)}, tokenizers, config)
    with pytest.raises(ModelError, match="does not fit"):
        load_model(tmp_path / "odd")
    integers = {name: weight.int() for name, weight in unique_weights(network).items()}
    save_model(tmp_path / "integers", integers, tokenizers, config)
    with pytest.raises(ModelError, match=r"\.weight has integers without .*\.scale"):
        load_model(tmp_path / "integers")


def test_what_is_newer_than_the_checkpoint_gone_on_from_is_dropped(tmp_path: Path, folder: Path) -> None:
    saved = checkpoints(tmp_path / "out", folder, 5, 10, 15, 100)
    saved.drop_after(10)
    assert saved.all() == [saved.path(5), saved.path(10)]
